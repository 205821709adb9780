"""CQL: its penalty, what each loss trains, limit cases, and extreme inputs."""

import jax
import numpy as np
import pytest

from ssar_jax.algorithms import sac
from ssar_jax.networks.backend import states_per_block
from tests.algorithms.cql.small_cql import (
    BATCH,
    BETA,
    DEFAULTS,
    LOCOMOTION,
    NUMBERS,
    RATE,
    ROWS,
    antmaze,
    make_batch,
    make_draws,
    make_state,
    plain,
    run,
    sample,
    shifted,
)
from tests.algorithms.states import with_params
from tests.algorithms.td3_bc.small_td3_bc import assert_close, equal, warmed
from tests.networks.numpy_networks import Adam, as_numpy, critic, gradient, norm, polyak


def numpy_critic_losses(state, b, draws, weight, heat):
    """The loss of one critic as a function of its parameters: squared error and penalty, equation 4 of the paper."""
    actor = state.actor.params
    following, log_prob = sample(actor, b.next_observations, draws.following)
    current, current_log_prob = sample(actor, b.observations, draws.current)
    next_action = sample(actor, b.next_observations, draws.target_actions)[0]
    values = np.minimum(*(critic(p, b.next_observations, next_action) for p in state.target_critics))
    target = b.rewards + NUMBERS["discount"] * b.masks * values
    repeated = np.repeat(b.observations[:, None], LOCOMOTION.num_actions, axis=1)

    def squared_error(params):
        return np.mean((critic(params, b.observations, b.actions) - target) ** 2)

    def penalty(params):
        terms = [
            critic(params, repeated, draws.uniform) + 2.0 * np.log(2.0),
            critic(params, repeated, following) - log_prob,
            critic(params, repeated, current) - current_log_prob,
        ]
        soft_maximum = heat * np.log(np.sum(np.exp(np.concatenate(terms, axis=1) / heat), axis=1))
        return np.mean(weight * (soft_maximum - critic(params, b.observations, b.actions)))

    return squared_error, penalty


@pytest.mark.parametrize("trusted", [1.0, None], ids=["all", "some"])
def test_critics_step_agrees_with_numpy(trusted):
    """A coefficient that starts at beta gives CQL with that weight on the trusted rows, in any blocks of rows."""
    assert states_per_block(ROWS) == 9
    batch = BATCH if trusted is None else BATCH._replace(trusted=np.ones(ROWS))
    state, draws, heat = make_state(), make_draws(), 1.5
    after, metrics = run(plain, state, batch, draws, softmax_temperature=heat)
    squared_error, penalty = numpy_critic_losses(as_numpy(state), batch, draws, BETA * batch.trusted, heat)
    total = 0.0
    for i, params in enumerate(as_numpy(state.critics.params)):
        assert metrics[f"critic/td_loss_{i + 1}"] == pytest.approx(squared_error(params), rel=1e-9)
        assert metrics[f"critic/penalty_{i + 1}"] == pytest.approx(penalty(params), rel=1e-9)
        total += squared_error(params) + penalty(params)
        gradients = gradient(lambda p: squared_error(p) + penalty(p), params)
        assert metrics[f"critic/grad_norm_{i + 1}"] == pytest.approx(norm(gradients), rel=1e-9)
        stepped = Adam(params, RATE).step(params, gradients)
        assert_close(after.critics.params[i], stepped, atol=1e-9)
        assert_close(after.target_critics[i], polyak(state.target_critics[i], stepped, NUMBERS["tau"]), atol=1e-9)
    assert metrics["critic/loss"] == pytest.approx(total, rel=1e-9)
    assert metrics["actor/regulariser_weight"] == pytest.approx(BETA * np.mean(batch.trusted))


def test_without_penalty_a_step_is_one_of_soft_actor_critic():
    """Weight 0, one next action repeated. SAC's actor sees the new critics, so a second step keeps them fixed."""
    state, draws = make_state(antmaze), make_draws()
    same = draws._replace(target_actions=np.repeat(draws.target_actions[:, None], LOCOMOTION.num_actions, axis=1))
    after, metrics = run(antmaze, state, draws=same, beta=0.0)
    sac_state = sac.SACState(*(getattr(state, name) for name in sac.SACState._fields))
    adam, rest = state.critics.opt_state
    held = (adam._replace(nu=jax.tree.map(lambda leaf: np.full_like(leaf, 1e30), adam.nu)), rest)
    held_state = sac_state._replace(critics=state.critics._replace(opt_state=held))
    sac_draws = sac.SACDraws(draws.actions, draws.target_actions)
    config = sac.SACConfig(hidden_sizes=(3, 2), learning_rate=RATE, discount=NUMBERS["discount"], tau=NUMBERS["tau"])
    algorithm = sac.sac(2, config=config)
    with jax.enable_x64(True):
        update = jax.jit(algorithm.update, static_argnames="phase")
        critics, sac_metrics = update(sac_state, BATCH, sac_draws, step=1, annealing=1.0, phase="offline")
        actor, _ = update(held_state, BATCH, sac_draws, step=1, annealing=1.0, phase="offline")
    assert_close(after.critics.params, critics.critics.params, atol=1e-12)
    assert_close(after.target_critics, critics.target_critics, atol=1e-12)
    assert_close(after.temperature.params, critics.temperature.params, atol=1e-12)
    assert_close(after.actor.params, actor.actor.params, atol=1e-12)
    for name in ("critic/loss", "actor/entropy", "actor/temperature"):
        assert metrics[name] == pytest.approx(float(sac_metrics[name].total), rel=1e-12)


@pytest.fixture(scope="module")
def derivatives():
    """Clips -> {loss: {network: derivative}}, through a whole update."""
    state = make_state()

    @jax.jit
    def jacobian(minimum, maximum):
        def losses(parts):
            numbers = NUMBERS | DEFAULTS[plain] | {"difference_min": minimum, "difference_max": maximum}
            coefficient = with_params(state.coefficient, network=parts["coefficient"])
            start = with_params(state, **(parts | {"coefficient": coefficient}))
            metrics = plain(start, BATCH, make_draws(), numbers)[1]
            names = ("critic/loss", "critic/penalty_1", "critic/penalty_2", "actor/loss", "coefficient/loss")
            return {name: metrics[name].total for name in names}

        parts = {name: getattr(state, name).params for name in ("actor", "critics", "temperature")}
        parts |= {"target_critics": state.target_critics, "coefficient": state.coefficient.network.params}
        return jax.jacrev(losses)(parts)

    def run(minimum=-np.inf, maximum=np.inf):
        with jax.enable_x64(True):
            return as_numpy(jacobian(minimum, maximum))

    return run


def test_each_loss_reaches_what_it_trains(derivatives):
    """The policy's actions, their densities, the targets and beta are constants in the critics' loss."""
    scalars = [derivatives()["actor/loss"]["actor"][f"log_std_{name}"] for name in ("multiplier", "offset")]
    assert all(np.abs(scalars) > 1e-3)
    found = {(loss, part) for loss, parts in derivatives().items() for part, tree in parts.items() if norm(tree) > 0.0}
    assert found == {
        ("critic/loss", "critics"),
        ("critic/penalty_1", "critics"),
        ("critic/penalty_2", "critics"),
        ("actor/loss", "actor"),
        ("actor/loss", "critics"),  # it depends on them; the critics' step above shows that it does not train them
        ("actor/loss", "temperature"),  # the same
        ("coefficient/loss", "coefficient"),
    }


def test_the_penalty_has_a_gradient_except_behind_a_clip(derivatives):
    """In every layer of its own critic except the last bias, because a common offset of the values cancels."""
    for i in (0, 1):
        own, other = (derivatives()[f"critic/penalty_{i + 1}"]["critics"][j] for j in (i, 1 - i))
        assert norm(other) == 0.0
        assert abs(own["layer2"].pop("bias")[0]) < 1e-12
        assert all(norm(leaf) > 1e-3 for leaf in jax.tree.leaves(own))
        for low, high in [(50.0, 60.0), (-60.0, -50.0), (0.5, 0.5)]:
            assert norm(derivatives(low, high)[f"critic/penalty_{i + 1}"]) == 0.0


def test_with_the_clip_closed_only_the_squared_error_trains_the_critics():
    """c_min = c_max = 7: the difference is 7 for every sample, and the step is that of weight 0."""
    closed, metrics = run(plain, make_state(), difference_min=7.0, difference_max=7.0)
    assert metrics["critic/difference"] == 7.0
    free, free_metrics = run(plain, make_state(), annealing=0.0)
    assert free_metrics["critic/penalty_1"] == 0.0
    assert_close(closed.critics.params, free.critics.params, atol=1e-14)
    assert not equal(closed.critics.params, run(plain, make_state())[0].critics.params)


def test_swapped_critics_swap_their_updates():
    state = make_state()
    swapped = with_params(state, critics=state.critics.params[::-1], target_critics=state.target_critics[::-1])
    (here, metrics), (there, swapped_metrics) = run(plain, state), run(plain, swapped)
    assert_close(there.critics.params, here.critics.params[::-1], atol=1e-14)
    assert_close(there.actor.params, here.actor.params, atol=1e-14)
    assert swapped_metrics["critic/penalty_1"] == pytest.approx(metrics["critic/penalty_2"], rel=1e-12)


def test_the_order_of_rows_does_not_matter():
    """Although it decides which rows share a block."""
    order = np.random.default_rng(5).permutation(ROWS)
    batch, draws = jax.tree.map(lambda array: array[order], (BATCH, make_draws()))
    here, there = run(plain, make_state())[0], run(plain, make_state(), batch, draws)[0]
    assert_close(
        [there.critics.params, there.actor.params, there.coefficient],
        [here.critics.params, here.actor.params, here.coefficient],
        1e-12,
    )


def test_the_multiplier_holds_the_difference_at_the_gap():
    """It grows where the mean difference exceeds the gap, falls below it, and stays where all weights are 0.

    The critics see it from before its step: their penalty is e^0.3 times the weighted excess. At e^20 it is a million.
    """
    state, rate = make_state(antmaze), RATE
    _, metrics = run(antmaze, state, target_gap=0.0)
    means = [metrics[f"critic/penalty_{i}"] / (BETA * np.exp(0.3)) for i in (1, 2)]
    assert metrics["critic/difference"] == pytest.approx(np.mean(means), rel=1e-12)
    for excess in (0.1, -0.1):
        after, metrics = run(antmaze, state, target_gap=np.mean(means) - excess)
        assert metrics["critic/multiplier"] == pytest.approx(np.exp(0.3), rel=1e-12)
        assert np.mean([metrics[f"critic/penalty_{i}"] for i in (1, 2)]) == pytest.approx(
            np.exp(0.3) * BETA * excess, rel=1e-9
        )
        assert after.multiplier.params - 0.3 == pytest.approx(np.sign(excess) * rate, rel=1e-6)
    assert run(antmaze, state, beta=0.0)[0].multiplier.params == state.multiplier.params
    after, metrics = run(antmaze, with_params(state, multiplier=np.float64(20.0)))
    assert (metrics["critic/multiplier"], float(after.multiplier.params)) == (1e6, 20.0)


@pytest.mark.parametrize("update", [plain, antmaze])
@pytest.mark.parametrize(("log_std", "sign"), [(-5.0, 1.0), (0.0, -1.0)])
def test_the_temperature_keeps_the_entropy_at_its_target(update, log_std, sign):
    """Two dimensions of width e^-5 have an entropy of 2 (1.419 - 5) = -7.2, below the target of -2: it grows.

    Two squashed standard normals have about 1.1, above the target: it falls.
    """
    state = make_state(update)
    actor = jax.tree.map(np.zeros_like, state.actor.params) | {"log_std_offset": np.float64(log_std)}
    after, metrics = run(update, with_params(state, actor=actor))
    assert (metrics["actor/entropy"] < -2.0) == (sign > 0.0)
    assert after.temperature.params - state.temperature.params == pytest.approx(sign * RATE, rel=1e-6)
    assert metrics["actor/std"] == pytest.approx(np.exp(log_std), rel=1e-12)


def test_the_best_of_several_next_actions():
    """K times the same action gives the plain target; further actions can only raise it."""
    draws = make_draws()
    first = np.repeat(draws.target_actions[:, None], LOCOMOTION.num_actions, axis=1)
    others = make_draws(max_backup=True).target_actions.copy()
    others[:, 0] = draws.target_actions
    plain_target = run(plain, make_state())[1]["critic/target_mean"]
    targets = [
        run(antmaze, make_state(antmaze), draws=draws._replace(target_actions=noise), temperature_multiplier=0.0)[1]
        for noise in (first, others)
    ]
    assert targets[0]["critic/target_mean"] == pytest.approx(plain_target, rel=1e-12)
    assert targets[1]["critic/target_mean"] > plain_target + 1e-3


def test_the_actors_distance_to_the_data():
    """A weight of 0.5 adds half of E|a_pi - a|^2, summed over dimensions."""
    state = make_state(antmaze)
    losses = [run(antmaze, state, actor_bc_weight=weight)[1]["actor/loss"] for weight in (0.0, 0.5)]
    actions = sample(state.actor.params, BATCH.observations, make_draws(True).actions)[0]
    distance = np.mean(np.sum((actions - BATCH.actions) ** 2, axis=-1))
    assert losses[1] - losses[0] == pytest.approx(0.5 * distance, rel=1e-9)


@pytest.fixture(scope="module")
def two_seeds():
    """One compiled update of two seeds in single precision: pairs of (state, batch, draws) -> states, metrics."""
    compiled = jax.jit(jax.vmap(lambda *run: plain(*run, NUMBERS | DEFAULTS[plain])))

    def update(*pair):
        both = jax.tree.map(lambda *leaves: np.stack(leaves).astype(leaves[0].dtype), *pair)
        both = jax.tree.map(lambda leaf: np.float32(leaf) if leaf.dtype == np.float64 else leaf, both)
        return jax.device_get(compiled(*both))

    return update


@pytest.mark.slow
def test_seeds_under_vmap_are_single_runs(two_seeds):
    """To 1e-6, in float32 against float64.

    The steps of warm optimizers scale with the gradient; cold ones would amplify the rounding of a gradient near 0.
    """

    def one(seed):
        state = make_state(seed=seed)
        networks = {
            name: getattr(state, name)._replace(opt_state=warmed(getattr(state, name).opt_state))
            for name in ("actor", "critics", "temperature")
        }
        network = state.coefficient.network
        clip, adam = network.opt_state
        coefficient = state.coefficient._replace(network=network._replace(opt_state=(clip, warmed(adam))))
        return state._replace(**networks, coefficient=coefficient), make_batch(seed), make_draws(seed=seed)

    pair = [one(seed) for seed in (26, 27)]
    together = two_seeds(*pair)[0]
    for i, each in enumerate(pair):
        assert_close(jax.tree.map(lambda leaf, i=i: leaf[i], together), run(plain, *each)[0], atol=1e-6)


@pytest.mark.parametrize("log_std", [-20.0, -21.0, 2.0, 3.0])
@pytest.mark.parametrize("mean", [0.0, 12.0])
def test_extremes_stay_finite(two_seeds, log_std, mean):
    """Q about 1e6 and -1e6, central and saturated policies, log-stds at and beyond both clips, actions +-(1 - 1e-4)."""
    state = make_state()
    params = state.actor.params
    head = {"kernel": 0.0 * params["layer2"]["kernel"], "bias": np.array([mean, -mean, 0.0, 0.0])}
    actor = {**params, "layer2": head, "log_std_offset": np.array(log_std)}
    batch = BATCH._replace(actions=np.where(np.arange(2 * ROWS).reshape(ROWS, 2) % 3 == 0, 0.9999, -0.9999))

    def extreme(size):
        critics, targets = (shifted(pair, size) for pair in (state.critics.params, state.target_critics))
        return with_params(state, actor=actor, critics=critics, target_critics=targets), batch, make_draws()

    after = two_seeds(extreme(1e6), extreme(-1e6))
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(after))
