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

DECAY_STEPS = 1_000_000
SIZES = iql.Hyperparameters(hidden_sizes=(3, 2), actor_decay_steps=DECAY_STEPS)
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


def make_state(hyperparameters=SIZES, seed=1, dtype=np.float64):
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


def shifted(params, offset, last="layer2"):
    """A network whose output is `offset` higher."""
    return {**params, last: {**params[last], "bias": params[last]["bias"] + offset}}


class NumpyIQL:
    """Kostrikov et al. 2021, written from its equations; derivatives come from the losses by complex steps."""

    def __init__(self, state, hyperparameters):
        self.hp = hyperparameters
        values = as_numpy(state.values)
        self.critics, self.targets, self.value = values.critics, values.target_critics, values.value
        self.actor, self.updates = as_numpy(state.actor), 0
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
    """A short cosine, over 4 updates, so that its factors 1, 0.854 and 0.5 show."""
    numbers = NUMBERS | {"actor_decay_steps": 4}
    state = make_state(program.hyperparameters)
    reference = NumpyIQL(state, program.hyperparameters._replace(**numbers))
    short = Program(program.hyperparameters._replace(actor_decay_steps=4))
    for seed in range(3):
        batch = jax.tree.map(np.float64, make_batch(seed)[0])
        state, metrics = short(state, batch)
        for name, expected in reference.update(batch).items():
            assert metrics[name] == pytest.approx(float(expected), rel=1e-11, abs=1e-11), name
        ours = state.values.critics, state.values.target_critics, state.values.value, state.actor
        assert_close(ours, (reference.critics, reference.targets, reference.value, reference.actor), atol=1e-11)
