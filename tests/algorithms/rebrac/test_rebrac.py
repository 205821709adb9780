"""ReBRAC's penalties, initial parameters, next actions and coefficient."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssar_jax import OfflineDataset, prepare, rebrac
from ssar_jax.algorithms.rebrac import next_actions, squared_distance
from ssar_jax.coefficients.constant import constant
from ssar_jax.coefficients.state_adaptive import state_adaptive
from ssar_jax.transitions import Transitions
from tests.algorithms.rebrac.small_rebrac import BATCH, NOISE, SIZES, SMALL, make_batch, make_state
from tests.algorithms.states import with_params
from tests.algorithms.td3_bc.small_td3_bc import assert_close, equal, warmed
from tests.networks.numpy_networks import as_numpy, gradient, mlp, norm


@functools.cache
def compiled(coefficient, config, phase):
    """One update; a number is a constant coefficient, so that equal cases share their compilation."""
    if isinstance(coefficient, float):
        coefficient = constant(coefficient)
    return jax.jit(functools.partial(rebrac(2, coefficient, config).update, phase=phase))


def take(state, batch=BATCH, *, coefficient=0.4, config=SMALL, step=2, phase="offline"):
    after, metrics = compiled(coefficient, config, phase)(state, batch, NOISE, step=np.int32(step), annealing=1.0)
    return after, {name: float(average.total) for name, average in metrics.items()}


@pytest.fixture(scope="module")
def state():
    return make_state()


def test_squared_distances_by_hand():
    """(0.5 - 0)^2 + (-1 - 1)^2 = 4.25; an unknown action has none."""
    distances = squared_distance(jnp.array([[0.5, -1.0], [0.5, 0.5]]), jnp.array([[0.0, 1.0], [np.nan, np.nan]]))
    np.testing.assert_array_equal(distances, [4.25, 0.0])
    with pytest.raises(AssertionError):
        squared_distance(jnp.zeros((3, 2)), jnp.zeros((3, 1)))


def test_next_actions_end_with_their_episode():
    """Rows 0 to 2 are an episode that ends by a time limit, rows 3 and 4 one that terminates, row 5 is cut off."""
    actions = np.float32([[0.0], [0.1], [0.2], [0.3], [0.4], [0.5]])
    ends = np.array([False, False, True, False, True, False])
    transitions = Transitions(actions, actions, actions[:, 0], np.ones(6, np.float32), actions)
    np.testing.assert_array_equal(
        next_actions(transitions, ends)[:, 0], np.float32([0.1, 0.2, np.nan, 0.4, np.nan, np.nan])
    )
    np.testing.assert_array_equal(actions[:, 0], np.float32([0.0, 0.1, 0.2, 0.3, 0.4, 0.5]))  # not changed


def dataset(rows=40):
    rng = np.random.default_rng(0)
    observations = rng.normal(size=(rows + 1, 3))
    return OfflineDataset.from_arrays(
        observations=observations[:-1],
        actions=rng.uniform(-1, 1, (rows, 2)),
        rewards=rng.normal(size=rows),
        masks=np.arange(rows) != 19,  # row 19 terminates, row 29 ends by a time limit
        next_observations=observations[1:],
        episode_ends=np.isin(np.arange(rows), [19, 29, rows - 1]),
    )


def test_prepared_data_have_the_next_actions():
    data = dataset()
    algorithm = rebrac(2, config=SMALL)
    found = prepare(data, columns=algorithm.columns).transitions.extras["next_actions"]
    missing = np.flatnonzero(np.isnan(found).any(axis=1))
    np.testing.assert_array_equal(missing, [19, 29, 39])
    kept = np.setdiff1d(np.arange(40), missing)
    np.testing.assert_array_equal(found[kept], data.actions[kept + 1])


@pytest.mark.slow
def test_without_a_critic_penalty_no_next_actions_are_needed(state):
    """Published for antmaze-medium-diverse."""
    none = SMALL._replace(critic_penalty=0.0)
    assert rebrac(2, config=none).columns == ()
    assert [column.name for column in rebrac(2, config=SMALL).columns] == ["next_actions"]
    without, metrics = take(state, BATCH._replace(extras={}), config=none)
    assert metrics["critic/penalty"] == 0.0
    assert not equal(take(state)[0].critics.params, without.critics.params)


@pytest.mark.slow
def test_the_published_program_has_no_critic_penalty_online(state):
    online, metrics = take(state, phase="online")
    assert metrics["critic/penalty"] == 0.0
    without = take(state, BATCH._replace(extras={}), config=SMALL._replace(critic_penalty=0.0))[0]
    assert equal(online.critics.params, without.critics.params)


def test_the_gradient_of_the_actors_penalty(state):
    """weight = 1e6: the gradient is the weight times that of the mean squared distance, summed over dimensions."""
    _, metrics = take(state, coefficient=1e6)

    def cloning_loss(params):
        return np.mean(np.sum((np.tanh(mlp(params, BATCH.observations)) - BATCH.actions) ** 2, axis=-1))

    cloning = gradient(cloning_loss, as_numpy(state.actor.params))
    assert metrics["actor/grad_norm"] == pytest.approx(1e6 * norm(cloning), rel=1e-4)


def test_the_critics_penalty_lowers_the_target(state):
    """Row by row by discount * mask * weight * distance; the mean target falls by their mean."""
    free = take(state, BATCH._replace(extras={}), config=SMALL._replace(critic_penalty=0.0))[1]
    low = take(state)[1]
    target_policy = np.tanh(mlp(as_numpy(state.target_actor), BATCH.next_observations))
    smoothed = np.clip(target_policy + np.clip(0.2 * NOISE, -0.5, 0.5), -1.0, 1.0)
    distance = np.nan_to_num(np.sum((smoothed - BATCH.extras["next_actions"]) ** 2, axis=-1))
    fall = np.mean(0.9 * BATCH.masks * 0.3 * distance)
    assert fall > 0.05
    assert free["critic/target_mean"] - low["critic/target_mean"] == pytest.approx(fall, rel=1e-5)


def test_q_may_be_left_unnormalized(state):
    assert take(state, config=SMALL._replace(normalize_q=False))[1]["actor/q_scale"] == 1.0
    assert take(state)[1]["actor/q_scale"] != 1.0


def test_the_initial_parameters_are_the_authors():
    """Biases of 0.1, kernels within 1 / sqrt(fan in), outputs within 0.001 (actor) and 0.003 (critics)."""
    algorithm = rebrac(2)
    state = jax.jit(algorithm.init)(jax.random.key(0), np.zeros((1, 11)), np.zeros((1, 2)))
    actor, critics = state.actor.params, state.critics.params
    assert set(actor) == {f"layer{i}" for i in range(4)}
    for net, bound, fan_in in ((actor, 1e-3, 11), (critics[0], 3e-3, 13), (critics[1], 3e-3, 13)):
        for i, width in enumerate((fan_in, 256, 256)):
            np.testing.assert_array_equal(net[f"layer{i}"]["bias"], np.full(256, 0.1, np.float32))
            kernel = np.abs(net[f"layer{i}"]["kernel"])
            assert 0.95 / np.sqrt(width) < kernel.max() <= 1.0 / np.sqrt(width)
        for leaf in net["layer3"].values():
            assert 0.0 < np.abs(leaf).max() <= bound
        assert np.abs(net["layer3"]["kernel"]).max() > 0.95 * bound
    assert set(critics[0]) == {*actor, "layernorm0", "layernorm1", "layernorm2"}
    assert equal([state.target_actor, state.target_critics], [actor, critics])


def test_an_actor_with_layer_norm():
    config = SIZES._replace(actor_layer_norm=True)
    assert {"layernorm0", "layernorm1"} <= set(make_state(config=config).actor.params)


def constant_network(state, coefficient):
    """The state with a coefficient network of beta(s) = 1.5 * 0.4 * sigmoid(0.6931) = 0.3999937 in every state."""
    shapes = jax.eval_shape(coefficient.init, jax.random.key(0), BATCH.observations)
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    network = {**params.network.params, "layer1": {**params.network.params["layer1"], "bias": np.float32([0.6931])}}
    return state._replace(
        coefficient=with_params(params, network=network)._replace(n=np.float32(1.0), active=np.array(True))
    )


VALUE = 0.4 * 1.5 / (1.0 + np.exp(-0.6931))


def test_a_constant_coefficient_is_rebrac_bit_for_bit(state):
    """Also as the factor beta(s') / base = 1 on the critics' penalty."""
    config = SMALL._replace(adaptive_critic_penalty=True, coefficient_base=0.4)
    base, both = state, state
    for step in range(1, 5):
        batch, _ = make_batch(step)
        base, base_metrics = take(base, batch, step=step)
        both, metrics = take(both, batch, config=config, step=step)
        assert metrics == base_metrics
    assert equal(base, both)


@pytest.mark.slow
def test_a_frozen_coefficient_is_rebrac(state):
    """A network of the same value in every state, rate 0: the base algorithm to rounding, also in the critics."""
    coefficient = state_adaptive(0.4, hidden_sizes=(3,), learning_rate=0.0, mask_regularizer=False)
    config = SMALL._replace(adaptive_critic_penalty=True, coefficient_base=VALUE)
    base, sa = state, constant_network(state, coefficient)
    for step in range(1, 5):
        batch, _ = make_batch(step)
        base, _ = take(base, batch, coefficient=VALUE, step=step)
        sa, metrics = take(sa, batch, coefficient=coefficient, config=config, step=step)
    assert "coefficient/loss" in metrics
    assert_close(base, sa._replace(coefficient=()), atol=1e-5)


def test_the_second_switch_scales_the_critics_penalty_by_the_next_states_coefficient(state):
    """beta(s') = 0.8 where the base is 0.4 doubles the penalty; without the switch it stays."""
    base = take(state)[1]["critic/penalty"]
    config = SMALL._replace(adaptive_critic_penalty=True, coefficient_base=0.4)
    assert take(state, coefficient=0.8, config=config)[1]["critic/penalty"] == pytest.approx(2.0 * base, rel=1e-6)
    assert take(state, coefficient=1e6)[1]["critic/penalty"] == pytest.approx(base, rel=1e-6)


@pytest.mark.slow
def test_no_loss_trains_another_losses_network(state):
    """Critics and actor get nothing from the coefficient's loss, the coefficient nothing from theirs."""
    coefficient = state_adaptive(0.4, hidden_sizes=(3,), mask_regularizer=False)
    start = constant_network(state, coefficient)
    start = start._replace(critics=start.critics._replace(opt_state=warmed(start.critics.opt_state)))
    config = SMALL._replace(adaptive_critic_penalty=True, coefficient_base=0.4)
    update = rebrac(2, coefficient, config).update

    def losses(phi, actor, critics):
        given = with_params(
            start, actor=actor, critics=critics, coefficient=with_params(start.coefficient, network=phi)
        )
        metrics = update(given, BATCH, NOISE, step=jnp.int32(2), annealing=1.0, phase="offline")[1]
        return {name: metrics[name].total for name in ("critic/loss", "actor/loss", "coefficient/loss")}

    networks = start.coefficient.network.params, state.actor.params, state.critics.params
    jacobian = jax.jit(jax.jacrev(losses, argnums=(0, 1, 2)))(*networks)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(jacobian))
    trained = {loss: [norm(as_numpy(tree)) != 0.0 for tree in trees] for loss, trees in jacobian.items()}
    assert trained == {
        "critic/loss": [False, False, True],
        "actor/loss": [False, True, True],
        "coefficient/loss": [True, False, False],
    }
