"""IQL in both orders: invariants, limit cases, extreme inputs, and a problem with known values."""

import jax
import numpy as np
import pytest

from ssar_jax.algorithms import iql
from ssar_jax.types import Batch
from tests.algorithms.iql.small_iql import (
    BATCH,
    NUMBERS,
    PROGRAMS,
    SIZES,
    VARIANTS,
    distance,
    make_state,
    shifted,
)
from tests.algorithms.states import with_params
from tests.algorithms.td3_bc.small_td3_bc import assert_close, equal, make_batch, to_rounding_or_exactly, warmed
from tests.networks.numpy_networks import as_numpy, critic, mlp


@pytest.fixture(params=VARIANTS)
def program(request):
    return PROGRAMS[request.param]


@pytest.fixture(scope="module")
def two_seeds():
    """One compiled update of two seeds in single precision: pairs of (state, batch) -> states, metrics."""
    update = iql.iql(2, config=SIZES._replace(**NUMBERS)).update
    compiled = jax.jit(jax.vmap(lambda *run: update(*run, (), step=1, annealing=1.0, phase="offline")))

    def run(*pair):
        both = jax.tree.map(lambda *leaves: np.stack(leaves).astype(leaves[0].dtype), *pair)
        both = jax.tree.map(lambda leaf: np.float32(leaf) if leaf.dtype == np.float64 else leaf, both)
        return jax.device_get(compiled(*both))

    return run


def test_no_value_of_a_policy_action_is_asked_for(program):
    """Q and V do not depend on the actor."""
    state = make_state(program.config)
    other = with_params(state, actor=jax.tree.map(lambda leaf: -leaf, state.actor.params))
    here, there = program(state)[0], program(other)[0]
    assert equal(here.values, there.values)
    assert not equal(here.actor.params, there.actor.params)


def test_terminal_rows_regress_on_their_rewards(program):
    """With all masks 0 the targets are the rewards for any next state; V never depends on it."""
    state, batch = make_state(program.config), BATCH._replace(masks=np.zeros(6))
    elsewhere = batch._replace(next_observations=batch.next_observations + 7.0)
    (here, metrics), (there, _) = program(state, batch), program(state, elsewhere)
    assert equal(here, there)
    twins = as_numpy(state.values.critics.params)
    residuals = [critic(p, batch.observations, batch.actions) - batch.rewards for p in twins]
    total = sum(np.mean(r**2) for r in residuals)
    share = 1.0 if program.config.order == "official" else 0.5
    assert metrics["critic/loss"] == pytest.approx(share * total, rel=1e-12)
    with_future = program(state, BATCH._replace(next_observations=batch.next_observations + 7.0))[0]
    assert equal(with_future.values.value, here.values.value)


def test_at_temperature_zero_the_actor_clones_the_behavior(program):
    """All weights are 1: the loss is the plain negative log-likelihood, or squared distance."""
    state = make_state(program.config)
    _, metrics = program(state, temperature=0.0)
    assert metrics["actor/weight_mean"] == 1.0
    expected = np.mean(distance(as_numpy(state.actor.params), BATCH, program.config.deterministic))
    assert metrics["actor/loss"] == pytest.approx(float(expected), rel=1e-12)


def test_weights_end_at_a_hundred(program):
    """e^(3 * 2) = 403 is cut to 100; e^(3 * 0.5) = 4.481689; e^(-3e6) = 0 and e^(3e6) do no harm."""
    weights = jax.jit(iql.advantage_weights)(np.float32([2.0, 0.5, -1e6, 1e6, 0.0]), 3.0)
    np.testing.assert_allclose(weights, [100.0, 4.481689, 0.0, 100.0, 1.0], rtol=1e-6)
    state = make_state(program.config)
    targets = tuple(shifted(params, 50.0) for params in state.values.target_critics)
    _, metrics = program(state._replace(values=state.values._replace(target_critics=targets)))
    assert metrics["actor/weight_mean"] == 100.0


def test_a_constant_added_to_all_values_leaves_the_actor_unchanged(program):
    state = make_state(program.config)
    targets = tuple(shifted(params, 4.0) for params in state.values.target_critics)
    value = shifted(state.values.value.params, 4.0)
    higher = state._replace(values=with_params(state.values, target_critics=targets, value=value))
    assert_close(program(higher)[0].actor.params, program(state)[0].actor.params, atol=1e-11)


def test_both_orders_agree_where_v_is_fixed():
    """Second moments of 1e30 fix V.

    One order sums the twins' losses and the other averages them, which only Adam's epsilon shows.
    """
    state = make_state()
    adam, rest = state.values.value.opt_state
    held = (adam._replace(nu=jax.tree.map(lambda leaf: np.full_like(leaf, 1e30), adam.nu)), rest)
    state = state._replace(values=state.values._replace(value=state.values.value._replace(opt_state=held)))
    opt_state = make_state(VARIANTS["official"]).actor.opt_state
    official = state._replace(actor=state.actor._replace(opt_state=opt_state))
    (here, metrics), (there, official_metrics) = PROGRAMS["corl"](state), PROGRAMS["official"](official)
    assert_close(here.values.value.params, state.values.value.params, atol=1e-15)
    values, official_values = (each.values._replace(critics=each.values.critics.params) for each in (here, there))
    assert_close(values, official_values, atol=1e-5)
    assert official_metrics["critic/loss"] == pytest.approx(2.0 * metrics["critic/loss"], rel=1e-12)
    assert_close(here.actor.params, there.actor.params, atol=1e-8)


def test_cosine_of_the_actors_learning_rate():
    """(1 + cos(pi N / 1e6)) / 2 after N updates; offline it stays 0 from 1e6 on, with `cosine_wrap` it rises again."""
    config = SIZES._replace(learning_rate=1.0, online_actor_schedule="cosine_wrap")
    for done, offline, wrapped in (
        (0, 1.0, 1.0), (250_000, 0.853553, 0.853553), (500_000, 0.5, 0.5), (1_000_000, 0.0, 0.0),
        (1_100_000, 0.0, 0.024472), (1_250_000, 0.0, 0.146447), (2_000_000, 0.0, 1.0),
    ):  # fmt: skip
        assert iql.actor_learning_rate(config, done + 1, "offline") == pytest.approx(offline, abs=1e-6)
        assert iql.actor_learning_rate(config, done + 1, "online") == pytest.approx(wrapped, abs=1e-6)
        assert iql.actor_learning_rate(config._replace(online_actor_schedule="constant"), done + 1, "online") == 1.0
        assert iql.actor_learning_rate(config._replace(actor_schedule="constant"), done + 1, "offline") == 1.0


@pytest.mark.parametrize(("phase", "factor"), [("offline", 0.5), ("online", 1.0)])
def test_an_update_moves_the_actor_by_its_learning_rate(phase, factor):
    """Adam's first step is the rate times the gradient's sign; halfway the cosine is 0.5, online it is off."""
    state = make_state()
    after = PROGRAMS["corl"](state, step=500_001, phase=phase)[0]
    moved = np.abs(after.actor.params["layer2"]["bias"] - state.actor.params["layer2"]["bias"])
    np.testing.assert_allclose(moved, 0.01 * factor, atol=1e-8)
    assert equal(after.values, PROGRAMS["corl"](state)[0].values)  # Q and V keep their rate


@to_rounding_or_exactly(1e-6)
def test_seeds_under_vmap_are_single_runs(two_seeds, tolerance):
    """To 1e-6, in the default suite also relative to the value (a last bias is near -4), in float32 against float64.

    The steps of warm optimizers scale with the gradient; cold ones would amplify the rounding of a gradient near 0.
    """

    def one(seed):
        state = make_state(seed=seed)
        critics, value, actor = (
            network._replace(opt_state=warmed(network.opt_state))
            for network in (state.values.critics, state.values.value, state.actor)
        )
        state = state._replace(values=state.values._replace(critics=critics, value=value), actor=actor)
        return state, jax.tree.map(np.float64, make_batch(seed)[0])

    pair = [one(seed) for seed in (0, 115)]
    together = two_seeds(*pair)[0]
    for i, each in enumerate(pair):
        assert_close(
            jax.tree.map(lambda leaf, i=i: leaf[i], together), PROGRAMS["corl"](*each)[0], atol=1e-6, rtol=tolerance
        )


@pytest.mark.parametrize("log_std", [-25.0, -20.0, -19.0, 2.0, 3.0])
def test_extremes_stay_finite(two_seeds, log_std):
    """Q about 1e6 and -1e6, a saturated mean, actions at +-(1 - 1e-4), log-stds around both clips.

    State, losses and gradients are finite, with one exception: a log-std of exactly -20, where the clip passes the
    gradient, with a weight of 100. The gradient is 100 * (2 e^20)^2 = 9e19, and its square, which Adam keeps, overflows
    float32; the step is then 0, not NaN.
    """
    state = make_state()
    values = state.values
    actor = {**shifted(state.actor.params, np.array([20.0, -20.0])), "log_std": np.full(2, log_std)}
    batch = BATCH._replace(actions=np.where(np.arange(12).reshape(6, 2) % 3 == 0, 0.9999, -0.9999))

    def extreme(size):
        critics, targets = (
            tuple(shifted(p, size) for p in pair) for pair in (values.critics.params, values.target_critics)
        )
        far = with_params(values, critics=critics, target_critics=targets)
        return with_params(state, values=far, actor=actor), batch

    after, metrics = two_seeds(extreme(1e6), extreme(-1e6))
    leaves = jax.tree.leaves((after, metrics))
    if log_std == -20.0:
        assert not any(np.any(np.isnan(leaf)) for leaf in leaves)
        leaves = jax.tree.leaves((after.values, after.actor.params, metrics["actor/loss"]))
        leaves += [leaf[1] for leaf in jax.tree.leaves((after, metrics))]
    assert all(np.all(np.isfinite(leaf)) for leaf in leaves)


@pytest.mark.parametrize(("order", "lowest"), [("corl", -20.0), ("official", -5.0)])
def test_acting(order, lowest):
    """Without a key the squashed mean, with a key a sample around it, not squashed but clipped to [-1, 1].

    The free log-std is clipped from below, differently in the two programs, and at 2 from above.
    """
    params, observations = make_state().actor.params, np.random.default_rng(0).normal(size=(50, 2))
    key, mean = jax.random.key(1), np.tanh(mlp(as_numpy(params), observations))
    with jax.enable_x64(True):
        noise = np.asarray(jax.random.normal(key, (50, 2)))
        act = jax.jit(iql.iql(2, config=SIZES._replace(order=order)).act)
        np.testing.assert_allclose(act(params, observations, None), mean, atol=1e-12)
        for log_std, used in [(-30.0, lowest), (0.25, 0.25), (9.0, 2.0)]:
            actions = act({**params, "log_std": np.full(2, log_std)}, observations, key)
            np.testing.assert_allclose(actions, np.clip(mean + np.exp(used) * noise, -1.0, 1.0), atol=1e-12)
        # A deterministic actor ignores the key.
        params.pop("log_std")
        act = jax.jit(iql.iql(2, config=SIZES._replace(order=order, deterministic=True)).act)
        np.testing.assert_allclose(act(params, observations, key), mean, atol=1e-12)


def test_initial_state():
    """Official: orthogonal kernels of gain sqrt 2, the outputs' too, and biases 0. CORL: PyTorch's uniform defaults.

    The Gram matrix of orthogonal columns of gain sqrt 2 is 2 I. The log-std starts at 0, the targets as copies.
    """

    @jax.jit
    def initial():
        """A part of both states, which compiles faster."""
        official, corl = (
            iql.iql(2, config=VARIANTS[name]._replace(hidden_sizes=(2,))).init(jax.random.key(0), *BATCH[:2])
            for name in ("official", "corl")
        )
        values = official.values
        networks = values.critics.params[0], values.value.params, official.actor.params
        return *networks, values.target_critics[0], corl.values.value.params["layer0"]

    *nets, target, corl = initial()
    assert equal(target, nets[0])
    np.testing.assert_array_equal(nets[-1].pop("log_std"), np.zeros(2))
    for layer in [layer for net in nets for layer in net.values()]:
        gram = np.asarray(layer["kernel"]).T @ layer["kernel"]
        np.testing.assert_allclose(gram, 2.0 * np.eye(len(gram)), atol=1e-5)
        np.testing.assert_array_equal(layer["bias"], np.zeros(len(gram)))
    for leaf in jax.tree.leaves(corl):  # two inputs: within 1 / sqrt(2)
        assert 0.0 < np.max(np.abs(leaf)) <= np.sqrt(0.5)


@pytest.fixture(scope="module", params=[("corl", False), ("official", True)], ids=["corl", "official, deterministic"])
def trained(request):
    """Trains on a two-step problem: (expectile, temperature) -> values, actions; and the data.

    In both states the data's actions are -0.5 and 0.5, equally often. State 0 leads to state 1 with reward 0; state 1
    ends with reward 0 after -0.5 and 1 after 0.5.
    """
    states = np.repeat(np.eye(2, dtype=np.float32), 2, axis=0)
    actions = np.float32([[-0.5], [0.5], [-0.5], [0.5]])
    batch = Batch(states, actions, np.float32([0, 0, 0, 1]), states[:, 0], states[:, ::-1], np.ones(4, np.float32))
    config = iql.IQLConfig(
        request.param[0], 0.9, 0.05, (16,), 5e-3, actor_schedule="constant", deterministic=request.param[1]
    )

    @jax.jit
    def train(expectile, temperature):
        algorithm = iql.iql(1, config=config._replace(expectile=expectile, temperature=temperature))

        def body(step, state):
            return algorithm.update(state, batch, (), step=step, annealing=1.0, phase="offline")[0]

        state = jax.lax.fori_loop(1, 2000, body, make_state(config, dtype=np.float32, action_size=1))
        return state.values, algorithm.act(state.actor.params, np.eye(2, dtype=np.float32), None)[:, 0]

    return train, states, actions


@pytest.mark.parametrize(("expectile", "temperature"), [(0.5, 3.0), (0.7, 3.0), (0.9, 0.0)])
def test_learns_the_values_and_actions_of_a_two_step_problem(trained, expectile, temperature):
    """V(1) is the expectile of 0 and 1, which is the expectile itself: e (1 - v) = (1 - e) v. Q(0, .) = 0.9 V(1).

    With weights e^(T (1 - v)) and e^(-T v) the weighted mean of 0.5 and -0.5 is 0.5 tanh(T / 2), 0.4526 at T = 3, and
    0, the mean of the data, at T = 0. In state 0 both actions are worth the same: 0.
    """
    train, states, actions = trained
    values, chosen = train(expectile, temperature)
    expected = 0.9 * expectile
    for params in as_numpy(values.critics.params):
        np.testing.assert_allclose(critic(params, states, actions), [expected, expected, 0.0, 1.0], atol=0.03)
    v = mlp(as_numpy(values.value.params), np.eye(2))[:, 0]
    np.testing.assert_allclose(v, [expected, expectile], atol=0.03)
    np.testing.assert_allclose(chosen, [0.0, 0.5 * np.tanh(temperature / 2.0)], atol=0.03)
