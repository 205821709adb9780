"""SPOT's invariants, whole updates against NumPy, and a problem whose best supported action is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssar_jax.algorithms import spot, td3_bc
from ssar_jax.coefficients.constant import constant
from ssar_jax.coefficients.state_adaptive import state_adaptive
from ssar_jax.networks.vae import VAE
from ssar_jax.types import Batch
from tests.algorithms.spot.small_spot import DRAWS, NETWORK, SIZES, SMALL, as_td3_bc, make_draws, make_state, score
from tests.algorithms.states import with_params
from tests.algorithms.td3_bc import small_td3_bc
from tests.algorithms.td3_bc.small_td3_bc import (
    BATCH,
    NUMBERS,
    assert_close,
    equal,
    make_batch,
    to_rounding_or_exactly,
    warmed,
)
from tests.algorithms.td3_bc.test_td3_bc_by_numpy import NumpyTD3BC
from tests.networks.numpy_networks import as_numpy, critic, gradient, mlp, norm, polyak


class Program:
    """One compiled update for each phase, whose numbers are arguments."""

    def __init__(self):
        self._compiled = jax.jit(self._update, static_argnames="phase")

    def _update(self, options, state, batch, draws, step, annealing, phase):
        numbers = dict(options)
        coefficient = constant(numbers.pop("value"))
        algorithm = spot.spot(2, coefficient, config=SIZES._replace(**numbers))
        return algorithm.update(state, batch, draws, step=step, annealing=annealing, phase=phase)

    def __call__(self, state, batch=BATCH, draws=DRAWS, *, step, annealing=1.0, phase="offline", **options):
        options = {"value": 0.4} | NUMBERS | options
        state, metrics = self._compiled(options, state, batch, draws, np.int32(step), annealing, phase)
        return state, {name: float(average.total) for name, average in metrics.items()}


@pytest.fixture(scope="module")
def program():
    return Program()


@pytest.fixture(scope="module")
def state():
    """With warm optimizers, whose steps show the size of a gradient and not its sign alone."""
    start = make_state(seed=464)  # the actor's hidden units are alive
    return start._replace(
        actor=start.actor._replace(opt_state=warmed(start.actor.opt_state)),
        critics=start.critics._replace(opt_state=warmed(start.critics.opt_state)),
    )


@pytest.mark.slow
def test_without_coefficient_it_is_td3_with_a_normalized_q(program, state):
    """A coefficient of 0: the step of TD3+BC with its own coefficient at 0, in all networks."""
    after, metrics = program(state, step=2, value=0.0)
    update = jax.jit(td3_bc.td3_bc(2, constant(0.0), config=small_td3_bc.SMALL).update, static_argnames="phase")
    other, td3_metrics = update(as_td3_bc(state), BATCH, DRAWS.smoothing, step=2, annealing=1.0, phase="offline")
    assert metrics["actor/loss"] == pytest.approx(float(td3_metrics["actor/loss"].total), abs=1e-6)
    assert_close(as_td3_bc(after), other)


def test_a_large_coefficient_follows_the_score_alone(program, state):
    """1e6: the gradient is 1e6 times that of the mean score through encoder and reconstruction."""
    _, metrics = program(state, step=2, value=1e6)
    density = as_numpy(state.density)

    def mean_score(params):
        actions = np.tanh(mlp(params, BATCH.observations))
        return np.mean(score(density, BATCH.observations, actions, DRAWS.latent))

    before = as_numpy(state.actor.params)
    alone = gradient(mean_score, before)
    assert norm(alone) > 0.01
    assert metrics["actor/grad_norm"] == pytest.approx(1e6 * norm(alone), rel=1e-4)
    assert metrics["actor/density_score"] == pytest.approx(mean_score(before), rel=1e-5)


@pytest.mark.parametrize("phase", ["offline", "online"])
def test_no_update_changes_the_density_model(program, state, phase):
    after = state
    for step in range(1, 4):
        after, _ = program(after, step=step, phase=phase)
    assert equal(after.density, state.density)
    assert not equal(after.actor.params, state.actor.params)


def test_the_density_model_reaches_the_actor_alone(program, state):
    other = state._replace(density=make_state(seed=7).density)
    here, there = program(state, step=2)[0], program(other, step=2)[0]
    assert equal(here.critics, there.critics)
    assert not equal(here.actor.params, there.actor.params)


class NumpySPOT(NumpyTD3BC):
    """TD3 in NumPy with the penalty of SPOT on its actor."""

    def __init__(self, state, config, value):
        super().__init__(state, config, alpha=1.0)
        self._density, self._value, self.latent = as_numpy(state.density), value, None

    def _delayed(self, b):
        actions = np.tanh(mlp(self.actor, b.observations))
        scale = 1.0 / np.mean(np.abs(critic(self.critics[0], b.observations, actions)))

        def loss(params):
            actions = np.tanh(mlp(params, b.observations))
            values = critic(self.critics[0], b.observations, actions)
            penalty = score(self._density, b.observations, actions, self.latent)
            return -scale * np.mean(values) + self._value * np.mean(penalty)

        gradients = gradient(loss, self.actor)
        metrics = {"actor/loss": loss(self.actor), "actor/grad_norm": norm(gradients), "actor/q_scale": scale}
        self.actor = self.actor_adam.step(self.actor, gradients)
        self.targets = [polyak(t, c, self.config.tau) for t, c in zip(self.targets, self.critics, strict=True)]
        self.target_actor = polyak(self.target_actor, self.actor, self.config.tau)
        return metrics


def test_four_updates_agree_with_numpy():
    """In double precision: losses, norms and all parameters."""
    state = make_state(seed=464)  # each critic is the smaller one somewhere, which the reference asserts
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: leaf.astype(np.float64) if leaf.dtype == np.float32 else leaf, state)
        reference = NumpySPOT(wide, SMALL, value=0.3)
        update = jax.jit(spot.spot(2, constant(0.3), config=SMALL).update, static_argnames="phase")
        for step in range(1, 5):
            batch, draws = jax.tree.map(np.float64, (make_batch(step)[0], make_draws(step)))
            wide, metrics = update(wide, batch, draws, step=step, annealing=1.0, phase="offline")
            reference.latent = draws.latent
            for name, expected in reference.update(batch, draws.smoothing, step).items():
                assert float(metrics[name].total) == pytest.approx(expected, abs=1e-12, rel=1e-12), name
            assert_close(tuple(reference.critics), wide.critics.params, atol=1e-12)
            assert_close(tuple(reference.targets), wide.target_critics, atol=1e-12)
            assert_close(reference.actor, wide.actor.params, atol=1e-12)
            assert_close(reference.target_actor, wide.target_actor, atol=1e-12)


def test_cooling_multiplies_the_coefficient(program, state):
    """0.75 of 0.4 is 0.3."""
    cooled, metrics = program(state, step=2, phase="online", annealing=0.75)
    direct, _ = program(state, step=2, phase="online", value=0.3)
    assert metrics["actor/regulariser_weight"] == pytest.approx(0.3)
    assert_close(cooled, direct)


def test_each_phase_has_its_discount(program, state):
    """The mean target is linear in the discount: r + d m q; that of the online phase is its own, or the same."""
    frozen = {"step": 1, "discount": 0.9, "online_discount": 0.5}
    at_zero = program(state, step=1, discount=0.0)[1]["critic/target_mean"]
    offline = program(state, **frozen)[1]["critic/target_mean"]
    online = program(state, phase="online", **frozen)[1]["critic/target_mean"]
    assert offline != at_zero
    assert online - at_zero == pytest.approx(0.5 / 0.9 * (offline - at_zero), rel=1e-5)
    alike = program(state, step=1, discount=0.9, phase="online")[1]["critic/target_mean"]
    assert alike == pytest.approx(offline, rel=1e-6)


def factors(seed):
    """Random factors, different for every row, on the two hidden layers."""
    rng = np.random.default_rng(seed)
    return tuple(np.float32(rng.choice([0.0, 1.25], (6, width))) for width in (3, 2))


def test_dropout_reaches_the_policy_it_is_for(program, state):
    """The target's factors change the critics' step, the actor's change the actor's; factors of 1 change nothing."""
    plain, _ = program(state, step=2)
    ones = jax.tree.map(np.ones_like, factors(0))
    assert_close(program(state, draws=DRAWS._replace(dropout=ones, target_dropout=ones), step=2)[0], plain, atol=1e-6)
    in_target, _ = program(state, draws=DRAWS._replace(target_dropout=factors(0)), step=1)
    assert not equal(in_target.critics.params, plain.critics.params)
    in_actor, _ = program(state, draws=DRAWS._replace(dropout=factors(0)), step=2)
    assert equal(in_actor.critics, plain.critics)
    assert not equal(in_actor.actor.params, plain.actor.params)


def test_dropout_in_the_target_by_numpy(program, state):
    """The mean target is that of the target actor whose hidden maps are multiplied, layer by layer."""
    dropped, params, critics = factors(3), as_numpy(state.target_actor), as_numpy(state.target_critics)
    draws = DRAWS._replace(smoothing=np.zeros_like(DRAWS.smoothing), target_dropout=dropped)
    _, metrics = program(state, draws=draws, step=1)
    actions = actor_with_dropout(params, BATCH.next_observations, dropped)
    next_values = np.minimum(*(critic(member, BATCH.next_observations, actions) for member in critics))
    target = np.mean(BATCH.rewards + NUMBERS["discount"] * BATCH.masks * next_values)
    assert metrics["critic/target_mean"] == pytest.approx(target, rel=1e-5)


def test_dropout_in_the_actors_loss_by_numpy(program, state):
    """The score, at a critics' rate of 0, is that of the actions of the actor with dropout."""
    dropped, density = factors(3), as_numpy(state.density)
    _, metrics = program(state, draws=DRAWS._replace(dropout=dropped), step=2, critic_learning_rate=0.0)
    actions = actor_with_dropout(as_numpy(state.actor.params), BATCH.observations, dropped)
    values = critic(as_numpy(state.critics.params[0]), BATCH.observations, actions)
    assert metrics["actor/q_scale"] == pytest.approx(1.0 / np.mean(np.abs(values)), rel=1e-5)
    scores = score(density, BATCH.observations, actions, DRAWS.latent)
    assert metrics["actor/density_score"] == pytest.approx(np.mean(scores), rel=1e-5)


def actor_with_dropout(params, observations, dropout):
    """In NumPy, the factors between a linear map and its ReLU."""
    x = observations
    for i, multiplier in enumerate(dropout):
        x = np.maximum(multiplier * (x @ params[f"layer{i}"]["kernel"] + params[f"layer{i}"]["bias"]), 0.0)
    return np.tanh(x @ params["layer2"]["kernel"] + params["layer2"]["bias"])


def test_draws():
    """Latent noise of 2 A columns; with a rate of 0.2 factors of 0 and 1 / 0.8, a fifth of them 0."""
    batch = jax.tree.map(lambda column: jnp.asarray(np.repeat(column, 400, axis=0)), BATCH)
    without = spot.spot(2, constant(0.4), config=SIZES).draw(jax.random.key(0), batch)
    assert (without.smoothing.shape, without.latent.shape) == ((2400, 2), (2400, 4))
    assert (without.dropout, without.target_dropout) == ((), ())
    draws = spot.spot(2, constant(0.4), config=SIZES._replace(dropout=0.2)).draw(jax.random.key(0), batch)
    assert equal(draws[:2], without[:2])
    for both in (draws.dropout, draws.target_dropout):
        assert [leaf.shape for leaf in both] == [(2400, 3), (2400, 2)]
        for leaf in both:
            assert set(np.unique(leaf)) == {np.float32(0.0), np.float32(1.25)}
            # Of 4,800 or 7,200 draws; the standard deviation of a share of 4,800 is 0.006.
            assert np.mean(leaf == 0.0) == pytest.approx(0.2, abs=0.025)
    assert not equal(draws.dropout, draws.target_dropout)


def test_acting_drops_nothing(state):
    algorithm = spot.spot(2, constant(0.4), config=SIZES._replace(dropout=0.5))
    expected = np.tanh(mlp(as_numpy(state.actor.params), BATCH.observations))
    for key in (None, jax.random.key(0)):
        actions = algorithm.act(algorithm.policy_params(state), BATCH.observations, key)
        np.testing.assert_allclose(actions, expected, atol=1e-6)


def test_initial_state():
    """Output layers within 0.001 and 0.003 where asked for, all else as in TD3; NaN for the missing density model.

    PyTorch's default for 64 units is 1 / 8.
    """
    sizes = {"critic_layer_norm": False, "critic_hidden_sizes": (64,), "actor_hidden_sizes": (64,)}
    config = SIZES._replace(**sizes)
    bounded = config._replace(actor_output_bound=1e-3, critic_output_bound=3e-3)
    arguments = jax.random.key(0), BATCH.observations, BATCH.actions
    state = spot.spot(2, constant(0.4), config=bounded).init(*arguments)
    plain = spot.spot(2, constant(0.4), config=config).init(*arguments)
    cloning = td3_bc.td3_bc(2, constant(0.4), config=td3_bc.TD3BCConfig(**sizes)).init(*arguments)
    assert equal(as_td3_bc(plain), cloning)
    assert equal([state.target_actor, state.target_critics], [state.actor.params, state.critics.params])
    for small, default, bound in (
        (state.actor.params, plain.actor.params, 1e-3),
        *((params, other, 3e-3) for params, other in zip(state.critics.params, plain.critics.params, strict=True)),
    ):
        assert equal(small["layer0"], default["layer0"])
        assert 0.8 * bound < np.max(np.abs(small["layer1"]["kernel"])) <= bound * (1 + 1e-6)
        assert 0.0 < np.max(np.abs(small["layer1"]["bias"])) <= bound * (1 + 1e-6)
        assert np.max(np.abs(default["layer1"]["kernel"])) > 0.1
    assert all(np.all(np.isnan(leaf)) for leaf in jax.tree.leaves(state.density))


def test_initial_outputs_are_bounded_in_batched_critics_too(monkeypatch):
    """An accelerator runs the critics as one program; their initial parameters are the same, bit for bit."""
    config = SIZES._replace(critic_output_bound=0.1)
    arguments = jax.random.key(0), BATCH.observations, BATCH.actions
    here = spot.spot(2, constant(0.4), config=config).init(*arguments)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    there = spot.spot(2, constant(0.4), config=config).init(*arguments)
    assert equal(there.critics, here.critics)
    assert jax.tree.structure(there) == jax.tree.structure(here)
    for member in there.critics.params:
        assert 0.0 < np.max(np.abs(member["layer2"]["kernel"])) <= 0.1 * (1 + 1e-6)


def adaptive(**options):
    return state_adaptive(0.4, hidden_sizes=(3,), **options)


@pytest.fixture(scope="module")
def adaptive_state():
    """Random networks around a coefficient network whose last kernel is zero."""
    start = make_state(adaptive())
    params = {
        "layer0": {"kernel": np.ones((2, 3), np.float32), "bias": np.ones(3, np.float32)},
        "layer1": {"kernel": np.zeros((3, 1), np.float32), "bias": np.float32([0.6931])},
    }
    coefficient = with_params(start.coefficient, network=params)
    return start._replace(coefficient=coefficient._replace(n=np.float32(1.0), active=np.array(True)))


@to_rounding_or_exactly(1e-6)
def test_a_frozen_coefficient_is_the_base_algorithm(adaptive_state, tolerance):
    """beta(s) = 1.5 * 0.4 * sigmoid(0.6931) for all states; at a rate of 0 the two are the same."""
    frozen = adaptive(learning_rate=0.0, mask_regularizer=False)
    (value,) = np.unique(frozen.apply(adaptive_state.coefficient, BATCH.observations))
    assert value == pytest.approx(0.4, rel=2e-5)
    update = jax.jit(spot.spot(2, frozen, config=SMALL).update, static_argnames="phase")
    base_update = jax.jit(spot.spot(2, constant(value), config=SMALL).update, static_argnames="phase")
    base, sa = adaptive_state._replace(coefficient=()), adaptive_state
    for step in range(1, 5):
        arguments = make_batch(step)[0], make_draws(step)
        base, metrics = base_update(base, *arguments, step=step, annealing=1.0, phase="offline")
        sa, sa_metrics = update(sa, *arguments, step=step, annealing=1.0, phase="offline")
        assert sa_metrics["actor/loss"].total == pytest.approx(
            float(metrics["actor/loss"].total), rel=tolerance, abs=0.0
        )
    assert_close(*jax.device_get((base, sa._replace(coefficient=()))), atol=tolerance)


@pytest.mark.slow
def test_the_adaptive_coefficient_trains_offline_alone(adaptive_state):
    coefficient = adaptive(learning_rate=0.1)
    update = jax.jit(spot.spot(2, coefficient, config=SMALL).update, static_argnames="phase")
    for phase, trains in (("offline", True), ("online", False)):
        after, metrics = update(adaptive_state, BATCH, DRAWS, step=2, annealing=1.0, phase=phase)
        same = equal(after.coefficient.network.params, adaptive_state.coefficient.network.params)
        assert same is not trains
        assert ("coefficient/loss" in metrics) is trains


def test_the_density_models_loss_is_the_mean_score(state):
    """And one step of Adam from zero moves every parameter by the rate against its gradient."""
    algorithm = spot.density_algorithm(NETWORK, 0.01)
    start = algorithm.init(jax.random.key(0), BATCH.observations, BATCH.actions)
    start = with_params(start, network=state.density)
    update = jax.jit(algorithm.update, static_argnames="phase")
    after, metrics = update(start, BATCH, DRAWS.latent, step=1, annealing=1.0, phase="offline")

    def loss(params):
        return np.mean(score(params, BATCH.observations, BATCH.actions, DRAWS.latent))

    before = as_numpy(state.density)
    assert float(metrics["density/loss"].total) == pytest.approx(loss(before), rel=1e-5)
    gradients = gradient(loss, before)
    moved = jax.tree.map(lambda p, g: p - 0.01 * g / (np.abs(g) + 1e-8), before, gradients)
    assert_close(as_numpy(after.network.params), moved, atol=1e-4)
    with pytest.raises(TypeError, match="no policy"):
        algorithm.act((), BATCH.observations, None)


@pytest.fixture(scope="module")
def trained():
    """Trains on rewards equal to the action, in episodes of one step, and data from -0.8 to -0.6 and 0.6 to 0.8.

    Gives a function from the coefficient to the actions of SPOT and TD3+BC, and the density model.
    """
    ones, spread = jnp.ones((64, 1)), jnp.linspace(0.6, 0.8, 32)
    actions = jnp.concatenate([-spread, spread])[:, None]
    batch = Batch(ones, actions, actions[:, 0], jnp.zeros(64), ones, jnp.ones(64))
    sizes = {
        "critic_hidden_sizes": (16,),
        "critic_layer_norm": False,
        "critic_learning_rate": 3e-3,
        "actor_hidden_sizes": (8,),
        "actor_learning_rate": 3e-3,
    }
    start = jax.random.key(0), ones, actions

    def train(algorithm, state, num_updates=2000):
        def body(step, state):
            draws = algorithm.draw(jax.random.key(step), batch)
            return algorithm.update(state, batch, draws, step=step, annealing=1.0, phase="offline")[0]

        return jax.lax.fori_loop(1, num_updates, body, state)

    @jax.jit
    def train_density():
        model = spot.density_algorithm(VAE((32,), 1), 3e-3)
        return train(model, model.init(*start), 4000).network.params

    @jax.jit
    def train_policies(value, density):
        algorithm = spot.spot(1, constant(value), config=spot.SPOTConfig(density_hidden_sizes=(32,), **sizes))
        cloning = td3_bc.td3_bc(1, constant(value), config=td3_bc.TD3BCConfig(**sizes))
        supported = train(algorithm, algorithm.init(*start)._replace(density=density))
        cloned = train(cloning, cloning.init(*start))
        return algorithm.act(supported.actor.params, ones[:1], None), cloning.act(cloned.actor.params, ones[:1], None)

    density = train_density()
    return lambda value: [float(action[0, 0]) for action in train_policies(value, density)], density


def stationary_action(density, value):
    """Where 1 / a, the slope of the normalized Q(a) = a, meets that of the coefficient's mean score; in NumPy."""
    params, noise = as_numpy(density), np.random.default_rng(0).normal(size=(2000, 2))
    ones = np.ones((2000, 1))
    grid = np.linspace(0.1, 1.0, 91)
    slopes = [np.mean(score(params, ones, a + 1e-30j * ones, noise).imag) / 1e-30 for a in grid]
    return grid[np.argmax(grid * value * np.array(slopes) > 1.0)]


@pytest.mark.slow
def test_takes_the_best_supported_action_where_td3_bc_takes_one_between(trained):
    """Without a penalty both take the best action there is, 1; with a coefficient of 5 they stop where it balances.

    For TD3+BC that is between the data: the mean squared distance to them is a^2 plus a constant, its slope times 5 is
    10 a, and 1 / a = 10 a at 0.316. For SPOT it is among the better half of the data.
    """
    actions, density = trained
    assert min(actions(0.0)) > 0.95
    supported, cloned = actions(5.0)
    assert cloned == pytest.approx(np.sqrt(0.1), abs=0.03)
    expected = stationary_action(density, 5.0)
    assert 0.6 < expected < 0.8
    assert supported == pytest.approx(expected, abs=0.03)
