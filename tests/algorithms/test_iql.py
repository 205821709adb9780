"""IQL in both orders: whole updates against NumPy, invariants, limit cases, and a problem with known values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssar_jax.algorithms import iql
from ssar_jax.networks.actors import GaussianActor
from ssar_jax.types import Batch
from tests.algorithms.small_td3_bc import assert_close, equal, make_batch, warmed
from tests.networks.numpy_networks import Adam, as_numpy, critic, gradient, mlp, polyak

SIZES = iql.Hyperparameters(hidden_sizes=(3, 2))
NUMBERS = {"learning_rate": 0.01, "tau": 0.1, "discount": 0.9, "expectile": 0.7, "temperature": 3.0}
BATCH = jax.tree.map(np.float64, make_batch(0)[0])
VARIANTS = {
    "corl": SIZES,
    "corl, deterministic": SIZES._replace(deterministic=True),
    "official": SIZES._replace(order="official", actor_schedule="constant"),
}


class Program:
    """One compiled update in double precision whose numbers are arguments."""

    def __init__(self, hyperparameters):
        self.hyperparameters = hyperparameters
        self._compiled = jax.jit(self._update)

    def _update(self, numbers, state, batch):
        algorithm = iql.make(2, self.hyperparameters._replace(**numbers))
        return algorithm.update(state, batch, (), step=jnp.int32(1), annealing=1.0, phase="offline")

    def __call__(self, state, batch=BATCH, **options):
        with jax.enable_x64(True):
            state, metrics = jax.device_get(self._compiled(NUMBERS | options, state, batch))
        return state, {name: float(average.total) for name, average in metrics.items()}


PROGRAMS = {name: Program(hyperparameters) for name, hyperparameters in VARIANTS.items()}


@pytest.fixture(params=VARIANTS)
def program(request):
    return PROGRAMS[request.param]


@pytest.fixture(scope="module")
def program32():
    """One update in single precision, with the published numbers."""
    update = iql.make(2, SIZES).update
    return jax.jit(lambda state, batch: update(state, batch, (), step=1, annealing=1.0, phase="offline"))


def make_state(hyperparameters=SIZES, seed=115, dtype=np.float64):
    """Random parameters, targets unlike the online critics, fresh optimisers.

    With this seed each target critic is the smaller one on some rows, which the reference asserts.
    """
    shapes = jax.eval_shape(iql.make(2, hyperparameters).init, jax.random.key(0), BATCH.observations, BATCH.actions)
    rng = np.random.default_rng(seed)

    def fill(shapes):
        return jax.tree.map(lambda leaf: rng.normal(scale=0.7, size=leaf.shape).astype(dtype), shapes)

    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype if leaf.dtype == np.int32 else dtype), shapes)
    values = {name: fill(getattr(shapes.values, name)) for name in ("critics", "target_critics", "value")}
    return zeros._replace(values=zeros.values._replace(**values), actor=fill(shapes.actor))


def at_update(state, count):
    """The state with the actor's learning rate at that point of its schedule, where it has one."""
    adam, schedule = state.actor_opt
    if "count" in schedule._fields:
        schedule = schedule._replace(count=np.int32(count))
    return state._replace(actor_opt=(adam, schedule))


def shifted(params, offset, last="layer2"):
    """A network whose output is `offset` higher."""
    return {**params, last: {**params[last], "bias": params[last]["bias"] + offset}}


class NumpyIQL:
    """Kostrikov et al. 2021, written from its equations; derivatives come from the losses by complex steps."""

    def __init__(self, state, hyperparameters, updates):
        self.hp, self.updates = hyperparameters, updates
        values = as_numpy(state.values)
        self.critics, self.targets, self.value = values.critics, values.target_critics, values.value
        self.actor = as_numpy(state.actor)
        rate = hyperparameters.learning_rate
        self.critics_adam, self.value_adam, self.actor_adam = (
            Adam(params, rate) for params in (self.critics, self.value, self.actor)
        )

    def update(self, b):
        hp, official = self.hp, self.hp.order == "official"
        first, second = (critic(p, b.observations, b.actions) for p in self.targets)
        assert 0.0 < np.mean(first < second) < 1.0
        lowest = np.minimum(first, second)
        advantages, next_values = lowest - self.v(b.observations), self.v(b.next_observations)
        assert 0.0 < np.mean(advantages < 0.0) < 1.0

        def value_loss(params):
            u = lowest - mlp(params, b.observations)[:, 0]
            return np.mean(np.where(u.real < 0.0, 1.0 - hp.expectile, hp.expectile) * u**2)

        metrics = {"value/loss": value_loss(self.value)}
        self.value = self.value_adam.step(self.value, gradient(value_loss, self.value))
        if official:  # the others see the new V
            advantages, next_values = lowest - self.v(b.observations), self.v(b.next_observations)
        target = b.rewards + hp.discount * b.masks * next_values

        def critic_loss(both):
            total = sum(np.mean((critic(p, b.observations, b.actions) - target) ** 2) for p in both)
            return total if official else total / 2.0

        metrics["critic/loss"] = critic_loss(self.critics)
        self.critics = self.critics_adam.step(self.critics, gradient(critic_loss, self.critics))
        self.targets = polyak(self.targets, self.critics, hp.tau)
        weights = np.minimum(np.exp(hp.temperature * advantages), 100.0)

        def actor_loss(params):
            return np.mean(weights * self.distance(params, b))

        metrics |= {"actor/loss": actor_loss(self.actor), "actor/weight_mean": np.mean(weights)}
        metrics["value/positive_share"] = np.mean(advantages >= 0.0)
        step = self.actor_adam.step(self.actor, gradient(actor_loss, self.actor))
        progress = self.updates / hp.actor_decay_steps
        factor = 0.5 * (1.0 + np.cos(np.pi * progress)) if hp.actor_schedule == "cosine" else 1.0
        self.actor = polyak(self.actor, step, factor)
        self.updates += 1
        return metrics

    def v(self, observations):
        return mlp(self.value, observations)[:, 0]

    def distance(self, params, b):
        """Squared distance to the data, or minus its log-density under a Gaussian around the squashed mean."""
        mean = np.tanh(mlp(params, b.observations))
        if self.hp.deterministic:
            return np.sum((mean - b.actions) ** 2, axis=-1)
        log_std = params["log_std"]
        density = -0.5 * ((b.actions - mean) / np.exp(log_std)) ** 2 - log_std - 0.5 * np.log(2.0 * np.pi)
        return -np.sum(density, axis=-1)


def test_three_updates_agree_with_numpy(program):
    """Losses and all parameters, from a point where the cosine, if any, is at 0.854."""
    state, count = make_state(program.hyperparameters), 250_000
    reference = NumpyIQL(state, program.hyperparameters._replace(**NUMBERS), count)
    state = at_update(state, count)
    for seed in range(3):
        batch = jax.tree.map(np.float64, make_batch(seed)[0])
        state, metrics = program(state, batch)
        for name, expected in reference.update(batch).items():
            assert metrics[name] == pytest.approx(float(expected), rel=1e-11, abs=1e-11), name
        ours = state.values.critics, state.values.target_critics, state.values.value, state.actor
        assert_close(ours, (reference.critics, reference.targets, reference.value, reference.actor), atol=1e-11)


def test_no_value_of_a_policy_action_is_asked_for(program):
    """Q and V do not notice another actor."""
    state = make_state(program.hyperparameters)
    other = state._replace(actor=jax.tree.map(lambda leaf: -leaf, state.actor))
    here, there = program(state)[0], program(other)[0]
    assert equal(here.values, there.values)
    assert not equal(here.actor, there.actor)


def test_terminal_rows_regress_on_their_rewards(program):
    """With all masks 0 the targets are the rewards, whatever comes next; V never sees it."""
    state, batch = make_state(program.hyperparameters), BATCH._replace(masks=np.zeros(6))
    elsewhere = batch._replace(next_observations=batch.next_observations + 7.0)
    (here, metrics), (there, _) = program(state, batch), program(state, elsewhere)
    assert equal(here, there)
    residuals = [critic(p, batch.observations, batch.actions) - batch.rewards for p in as_numpy(state.values.critics)]
    total = sum(np.mean(r**2) for r in residuals)
    share = 1.0 if program.hyperparameters.order == "official" else 0.5
    assert metrics["critic/loss"] == pytest.approx(share * total, rel=1e-12)
    with_future = program(state, BATCH._replace(next_observations=batch.next_observations + 7.0))[0]
    assert equal(with_future.values.value, here.values.value)


def test_at_temperature_zero_the_actor_clones_the_behaviour(program):
    """All weights are 1: the loss is the plain negative log-likelihood, or squared distance."""
    state = make_state(program.hyperparameters)
    reference = NumpyIQL(state, program.hyperparameters, 0)
    _, metrics = program(state, temperature=0.0)
    assert metrics["actor/weight_mean"] == 1.0
    expected = np.mean(reference.distance(as_numpy(state.actor), BATCH))
    assert metrics["actor/loss"] == pytest.approx(float(expected), rel=1e-12)


def test_weights_end_at_a_hundred(program):
    """e^(3 * 2) = 403 is cut to 100; e^(3 * 0.5) = 4.481689; e^(-3e6) = 0 and e^(3e6) do no harm."""
    weights = jax.jit(iql.advantage_weights)(np.float32([2.0, 0.5, -1e6, 1e6, 0.0]), 3.0)
    np.testing.assert_allclose(weights, [100.0, 4.481689, 0.0, 100.0, 1.0], rtol=1e-6)
    state = make_state(program.hyperparameters)
    targets = tuple(shifted(params, 50.0) for params in state.values.target_critics)
    _, metrics = program(state._replace(values=state.values._replace(target_critics=targets)))
    assert metrics["actor/weight_mean"] == 100.0


def test_a_constant_added_to_all_values_leaves_the_actor_unchanged(program):
    state = make_state(program.hyperparameters)
    targets = tuple(shifted(params, 4.0) for params in state.values.target_critics)
    higher = state._replace(
        values=state.values._replace(target_critics=targets, value=shifted(state.values.value, 4.0))
    )
    assert_close(program(higher)[0].actor, program(state)[0].actor, atol=1e-11)


def test_both_orders_agree_where_v_stands_still():
    """Second moments of 1e30 hold V; the sum of the twins' losses against their average shows in Adam's 1e-8 alone."""
    state = make_state()
    adam, rest = state.values.value_opt
    held = (adam._replace(nu=jax.tree.map(lambda leaf: np.full_like(leaf, 1e30), adam.nu)), rest)
    state = state._replace(values=state.values._replace(value_opt=held))
    official = state._replace(actor_opt=make_state(VARIANTS["official"]).actor_opt)
    (here, metrics), (there, official_metrics) = PROGRAMS["corl"](state), PROGRAMS["official"](official)
    assert_close(here.values.value, state.values.value, atol=1e-15)
    assert_close(here.values._replace(critics_opt=()), there.values._replace(critics_opt=()), atol=1e-5)
    assert official_metrics["critic/loss"] == pytest.approx(2.0 * metrics["critic/loss"], rel=1e-12)
    assert_close(here.actor, there.actor, atol=1e-8)


def test_swapped_critics_swap_their_updates(program):
    """Only their minimum is used."""
    state = make_state(program.hyperparameters)
    values = state.values
    swapped = values._replace(critics=values.critics[::-1], target_critics=values.target_critics[::-1])
    here, there = program(state)[0], program(state._replace(values=swapped))[0]
    assert_close(there.values.critics, here.values.critics[::-1], atol=1e-14)
    assert_close([there.values.value, there.actor], [here.values.value, here.actor], atol=1e-14)


@pytest.mark.parametrize(("tau", "source"), [(0.0, "before"), (1.0, "after")])
def test_ends_of_tau(program, tau, source):
    """0 keeps the targets, 1 makes them the online critics of after the step."""
    state = make_state(program.hyperparameters)
    after = program(state, tau=tau)[0].values
    assert equal(after.target_critics, state.values.target_critics if source == "before" else after.critics)


@pytest.mark.parametrize(
    ("updates", "factor"), [(0, 1.0), (250_000, 0.853553), (500_000, 0.5), (1_000_000, 0.0), (1_250_000, 0.0)]
)
def test_cosine_of_the_actors_rate(updates, factor):
    """(1 + cos(pi N / 1e6)) / 2, and 0 for good from the end on; Adam's first step is the rate, gradient's sign."""
    state = at_update(make_state(), updates)
    after = PROGRAMS["corl"](state)[0]
    moved = np.abs(after.actor["layer2"]["bias"] - state.actor["layer2"]["bias"])
    np.testing.assert_allclose(moved, 0.01 * factor, atol=1e-8)
    still = PROGRAMS["corl"](at_update(state, 0))[0].values
    assert equal(after.values, still)  # Q and V keep their rate


def test_constant_rate_of_the_actor():
    state = make_state(VARIANTS["official"])
    after = PROGRAMS["official"](state)[0]
    np.testing.assert_allclose(np.abs(after.actor["log_std"] - state.actor["log_std"]), 0.01, atol=1e-8)


def test_seeds_under_vmap_are_single_runs():
    """To 1e-6 in float32, on states and batches of their own, with warm optimisers that follow the gradient's size."""
    algorithm = iql.make(2, SIZES._replace(**NUMBERS))

    def update(state, batch):
        return algorithm.update(state, batch, (), step=jnp.int32(1), annealing=1.0, phase="offline")

    def warm(state):
        opts = {name: warmed(getattr(state.values, name)) for name in ("critics_opt", "value_opt")}
        return state._replace(values=state.values._replace(**opts), actor_opt=warmed(state.actor_opt))

    runs = [(warm(make_state(seed=seed, dtype=np.float32)), make_batch(seed)[0]) for seed in range(3)]
    together = jax.jit(jax.vmap(update))(*jax.tree.map(lambda *leaves: np.stack(leaves), *runs))
    single = jax.jit(update)
    for i, run in enumerate(runs):
        assert_close(jax.tree.map(lambda leaf, i=i: leaf[i], together), single(*run), atol=1e-6)


@pytest.mark.parametrize("log_std", [-20.0, 0.0, 2.0])
@pytest.mark.parametrize("size", [1e6, -1e6])
def test_extremes_stay_finite(program32, log_std, size):
    """|Q| about 1e6, a saturated mean, actions at +-(1 - 1e-4), log-stds at both clips: state, losses, gradients."""
    state = make_state(dtype=np.float32)
    values = state.values
    critics = tuple(shifted(params, np.float32(size)) for params in values.critics)
    targets = tuple(shifted(params, np.float32(size)) for params in values.target_critics)
    actor = {**shifted(state.actor, np.float32([20.0, -20.0])), "log_std": np.full(2, log_std, np.float32)}
    state = state._replace(values=values._replace(critics=critics, target_critics=targets), actor=actor)
    actions = np.where(np.arange(12).reshape(6, 2) % 3 == 0, 0.9999, -0.9999).astype(np.float32)
    after, metrics = program32(state, make_batch(0)[0]._replace(actions=actions))
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves((after, metrics)))
