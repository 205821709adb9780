"""AWAC: whole updates against NumPy, problems with known answers, and what it shares between phases."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssar_jax import AWACConfig, awac
from ssar_jax.algorithms.awac import AWACDraws
from ssar_jax.types import Batch
from tests.algorithms.states import with_params
from tests.algorithms.td3_bc.small_td3_bc import assert_close, equal
from tests.networks.numpy_networks import Adam, as_numpy, critic, gradient, mlp, norm, polyak

SMALL = AWACConfig(discount=0.9, tau=0.1, hidden_sizes=(3, 2), learning_rate=0.02, kl_weight=0.5)
NETWORK = ("layer0", "layer1", "layer2")


def make_batch(seed, rows=6):
    """Two observations and two actions, with terminal rows; and the noise of both samples."""
    rng = np.random.default_rng(seed)
    batch = Batch(
        rng.normal(size=(rows, 2)),
        rng.uniform(-1.0, 1.0, (rows, 2)),
        rng.normal(size=rows),
        (np.arange(rows) % 3 > 0).astype(float),
        rng.normal(size=(rows, 2)),
        np.ones(rows),
    )
    draws = AWACDraws(rng.normal(size=(rows, 2)), rng.normal(size=(rows, 2)))
    return jax.tree.map(np.float32, (batch, draws))


BATCH, DRAWS = make_batch(0)


@pytest.fixture(scope="module")
def state():
    """Random parameters and targets of their own; log-stds inside their clip."""
    algorithm = awac(2, SMALL)
    shapes = jax.eval_shape(algorithm.init, jax.random.key(0), BATCH.observations, BATCH.actions)
    rng = np.random.default_rng(5)

    def fill(shapes):
        return jax.tree.map(lambda leaf: rng.normal(scale=0.7, size=leaf.shape).astype(np.float32), shapes)

    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    return with_params(
        zeros,
        actor=fill(shapes.actor.params),
        critics=fill(shapes.critics.params),
        target_critics=fill(shapes.target_critics),
    )


class NumpyAWAC:
    """The published algorithm, written from its formulas; derivatives come from the losses by complex steps."""

    def __init__(self, state, config):
        self.config = config
        self.actor = as_numpy(state.actor.params)
        self.critics, self.targets = list(as_numpy(state.critics.params)), list(as_numpy(state.target_critics))
        self.actor_adam = Adam(self.actor, config.learning_rate)
        self.critic_adams = [Adam(params, config.learning_rate) for params in self.critics]
        self.clipped = 0

    def sample(self, observations, noise):
        raw = mlp({name: self.actor[name] for name in NETWORK}, observations) + np.exp(self.actor["log_std"]) * noise
        self.clipped += np.sum(np.abs(raw) > 1.0)
        return np.clip(raw, -1.0, 1.0)

    def update(self, batch, draws):
        b, config = as_numpy(batch), self.config
        next_actions = self.sample(b.next_observations, draws.next_actions)
        next_values = np.min([critic(p, b.next_observations, next_actions) for p in self.targets], axis=0)
        target = b.rewards + config.discount * b.masks * next_values

        def critic_loss(params):
            return np.mean((critic(params, b.observations, b.actions) - target) ** 2)

        metrics = {"critic/loss": sum(critic_loss(params) for params in self.critics)}
        for i, adam in enumerate(self.critic_adams):
            self.critics[i] = adam.step(self.critics[i], gradient(critic_loss, self.critics[i]))
        # The actor sees the critics after their step.
        mine, data = self.sample(b.observations, draws.actions), b.actions
        q, v = (np.min([critic(p, b.observations, a) for p in self.critics], axis=0) for a in (data, mine))
        weights = np.minimum(np.exp((q - v) / config.kl_weight), 100.0)

        def actor_loss(params):
            mean = mlp({name: params[name] for name in NETWORK}, b.observations)
            log_std = params["log_std"]
            log_prob = -0.5 * ((data - mean) / np.exp(log_std)) ** 2 - log_std - 0.5 * np.log(2.0 * np.pi)
            return -np.mean(weights * np.sum(log_prob, axis=-1))

        gradients = gradient(actor_loss, self.actor)
        metrics |= {"actor/loss": actor_loss(self.actor), "actor/grad_norm": norm(gradients)}
        metrics |= {"actor/weight_mean": np.mean(weights), "critic/advantage_mean": np.mean(q - v)}
        self.actor = self.actor_adam.step(self.actor, gradients)
        self.targets = [polyak(t, c, config.tau) for t, c in zip(self.targets, self.critics, strict=True)]
        return metrics


def test_three_updates_agree_with_numpy(state):
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: leaf.astype(np.float64) if leaf.dtype == np.float32 else leaf, state)
        reference = NumpyAWAC(wide, SMALL)
        update = jax.jit(awac(2, SMALL).update, static_argnames="phase")
        for step in range(1, 4):
            batch, draws = jax.tree.map(np.float64, make_batch(step))
            wide, metrics = update(wide, batch, draws, step=step, annealing=1.0, phase="offline")
            for name, expected in reference.update(batch, draws).items():
                assert float(metrics[name].total) == pytest.approx(expected, abs=1e-12, rel=1e-12), name
            assert_close(tuple(reference.critics), wide.critics.params, atol=1e-12)
            assert_close(tuple(reference.targets), wide.target_critics, atol=1e-12)
            assert_close(reference.actor, wide.actor.params, atol=1e-12)
    assert 0 < reference.clipped < 2 * 3 * 12  # of two samples of twelve numbers in three updates


def test_both_phases_are_the_same_update(state):
    update = jax.jit(awac(2, SMALL).update, static_argnames="phase")
    offline, online = (
        update(state, BATCH, DRAWS, step=1, annealing=1.0, phase=phase)[0] for phase in ("offline", "online")
    )
    assert equal(offline, online)
    assert not equal(offline, state)


def test_huge_advantages_have_weight_one_hundred(state):
    """kl_weight 1e-6: weights are 100 where the advantage is positive and 0 where it is negative.

    Three are positive, two negative, and in the sixth row the critics are flat, so that its weight is exp(0) = 1.
    """
    update = jax.jit(awac(2, SMALL._replace(kl_weight=1e-6)).update, static_argnames="phase")
    _, metrics = update(state, BATCH, DRAWS, step=1, annealing=1.0, phase="offline")
    assert float(metrics["actor/weight_mean"].total) == pytest.approx(301.0 / 6.0, rel=1e-6)


def test_acting_clips_the_mean_and_the_samples():
    """The mean is a linear output, here 3 and 0.25, and the standard deviation exp(0) = 1."""
    algorithm = awac(2, SMALL)
    state = algorithm.init(jax.random.key(0), np.zeros((1, 2)), np.zeros((1, 2)))
    params = jax.tree.map(np.zeros_like, state.actor.params)
    params = {**params, "layer2": {**params["layer2"], "bias": np.float32([3.0, 0.25])}}
    observations = np.zeros((500, 2), np.float32)
    np.testing.assert_array_equal(algorithm.act(params, observations, None), np.tile(np.float32([1.0, 0.25]), (500, 1)))
    samples = np.asarray(algorithm.act(params, observations, jax.random.key(1)))
    assert np.abs(samples).max() <= 1.0
    # Of N(0.25, 1), 22.7 % are above 1 and 10.6 % below -1.
    assert np.mean(samples[:, 1] == 1.0) == pytest.approx(0.227, abs=0.06)
    assert np.mean(samples[:, 1] == -1.0) == pytest.approx(0.106, abs=0.045)


def test_learns_the_better_of_two_actions():
    """One state that ends; actions -0.5 and 0.5 with rewards 0 and 1, equally often.

    Weighted by exp(A / 0.1), the clone of the data moves from their mean, 0, to the better action, 0.5.
    """
    config = AWACConfig(hidden_sizes=(16,), learning_rate=0.01, kl_weight=0.1)
    algorithm = awac(1, config)
    good = (np.arange(32) % 2).astype(np.float32)
    batch = Batch(
        np.ones((32, 1), np.float32), good[:, None] - 0.5, good, np.zeros(32), np.ones((32, 1), np.float32), np.ones(32)
    )

    @jax.jit
    def train(kl_weight):
        learner = awac(1, config._replace(kl_weight=kl_weight))

        def body(step, state):
            draws = learner.draw(jax.random.key(step), batch)
            return learner.update(state, batch, draws, step=step, annealing=1.0, phase="offline")[0]

        start = learner.init(jax.random.key(0), batch.observations, batch.actions)
        return jax.lax.fori_loop(1, 800, body, start)

    sharp, flat = train(0.1), train(1e6)
    for params in as_numpy(sharp.critics.params):
        values = critic(params, np.ones((2, 1)), np.array([[-0.5], [0.5]]))
        np.testing.assert_allclose(values, [0.0, 1.0], atol=0.05)
    assert float(algorithm.act(sharp.actor.params, jnp.ones((1, 1)), None)[0, 0]) == pytest.approx(0.5, abs=0.1)
    assert float(algorithm.act(flat.actor.params, jnp.ones((1, 1)), None)[0, 0]) == pytest.approx(0.0, abs=0.1)
