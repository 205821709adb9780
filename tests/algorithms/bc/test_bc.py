"""Behavior cloning: losses by hand, a problem with a known answer, and what it refuses."""

import math

import jax
import numpy as np
import pytest

from ssar_jax import BCConfig, bc
from ssar_jax.algorithms.registry import get_entry
from ssar_jax.errors import UserError
from ssar_jax.types import Batch
from tests.algorithms.states import with_params
from tests.networks.numpy_networks import as_numpy, mlp

RNG = np.random.default_rng(0)
SIZES = BCConfig(hidden_sizes=(5,), learning_rate=0.1)


def make_batch(observations, actions):
    rows = len(observations)
    return Batch(
        observations=np.asarray(observations, np.float32),
        actions=np.asarray(actions, np.float32),
        rewards=np.full(rows, np.nan, np.float32),  # rewards, masks and next observations are not looked at
        masks=np.full(rows, np.nan, np.float32),
        next_observations=np.full_like(observations, np.nan, np.float32),
        trusted=np.zeros(rows, np.float32),
    )


BATCH = make_batch(RNG.normal(size=(7, 3)), RNG.uniform(-1, 1, (7, 2)))


def start(config=SIZES, action_size=2, observation_size=3):
    algorithm = bc(action_size, config)
    state = algorithm.init(jax.random.key(0), np.zeros((1, observation_size)), np.zeros((1, action_size)))
    return algorithm, state


def take(algorithm, state, batch, phase="offline"):
    return algorithm.update(state, batch, algorithm.draw(jax.random.key(1), batch), step=1, annealing=1.0, phase=phase)


def test_the_squared_error_by_numpy():
    """Mean over rows and dimensions; Adam's first step is the learning rate against the sign of the gradient."""
    algorithm, state = start()
    after, metrics = take(algorithm, state, BATCH)
    params = as_numpy(state.actor.params)
    predicted = np.tanh(mlp(params, BATCH.observations))
    np.testing.assert_allclose(metrics["actor/loss"].total, np.mean((predicted - BATCH.actions) ** 2), rtol=1e-5)
    # The gradient of the output bias, from d tanh(z) / dz = 1 - tanh(z)^2.
    slope = np.mean(2 * (predicted - BATCH.actions) * (1 - predicted**2), axis=0)
    moved = np.asarray(after.actor.params["layer1"]["bias"]) - params["layer1"]["bias"]
    np.testing.assert_allclose(moved, -0.1 * np.sign(slope), rtol=1e-3)


def test_the_likelihood_by_hand():
    """Mean 0 and standard deviation 1 at the actions (0.5, -1): (0.125 + 0.5) + 2 log sqrt(2 pi) for every row."""
    algorithm, state = start(SIZES._replace(policy="gaussian"))
    zeros = jax.tree.map(np.zeros_like, state.actor.params)
    batch = make_batch(BATCH.observations, np.tile([0.5, -1.0], (7, 1)))
    after, metrics = take(algorithm, with_params(state, actor=zeros), batch)
    np.testing.assert_allclose(metrics["actor/loss"].total, 0.625 + math.log(2.0 * math.pi), rtol=1e-6)
    # d/dm = -(a - m): the means move to the actions. d/dlog std = 1 - (a - m)^2: 0.75 and 0.
    np.testing.assert_allclose(after.actor.params["layer1"]["bias"], [0.1, -0.1], rtol=1e-4)
    np.testing.assert_allclose(after.actor.params["log_std"], [-0.1, 0.0], atol=1e-6)


@pytest.mark.parametrize("policy", ["deterministic", "gaussian"])
def test_learns_the_mean_and_the_spread_of_the_data(policy):
    """Actions 0.3 ± 0.2 where the observation is 1 and -0.6 ± 0.2 where it is -1."""
    algorithm, state = start(BCConfig(policy, (16,), 0.01), action_size=1, observation_size=1)
    observations = np.tile([[1.0], [-1.0]], (50, 1))
    noise = np.repeat([0.2, -0.2], 2)[None].repeat(25, 0).reshape(100, 1)
    batch = make_batch(observations, np.where(observations > 0, 0.3, -0.6) + noise)
    update = jax.jit(lambda state: take(algorithm, state, batch)[0])
    for _ in range(400):
        state = update(state)
    params = algorithm.policy_params(state)
    np.testing.assert_allclose(algorithm.act(params, observations[:2], None), [[0.3], [-0.6]], atol=0.01)
    sampled = algorithm.act(params, np.tile(observations, (50, 1)), jax.random.key(0))
    spread = np.std(np.asarray(sampled).reshape(-1, 2), axis=0)
    np.testing.assert_allclose(spread, 0.2 if policy == "gaussian" else 0.0, atol=0.02)


@pytest.mark.slow
def test_seeds_are_single_runs_under_vmap():
    algorithm, state = start()
    other = jax.tree.map(lambda leaf: leaf * 2, state)
    both = jax.tree.map(lambda *leaves: np.stack(leaves), state, other)
    together, _ = jax.vmap(lambda state: take(algorithm, state, BATCH))(both)
    alone, _ = take(algorithm, other, BATCH)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[1], b, rtol=1e-6, atol=1e-7), together, alone)


def test_what_it_refuses():
    with pytest.raises(UserError, match=r"learning_rate=-1\.0 must be positive"):
        bc(2, BCConfig(learning_rate=-1.0))
    with pytest.raises(UserError, match="policy='guassian' is unknown: choose one of deterministic, gaussian"):
        bc(2, BCConfig(policy="guassian"))  # pyright: ignore[reportArgumentType]
    with pytest.raises(UserError, match="learns from a dataset alone"):
        take(*start(), BATCH, phase="online")
    assert get_entry("bc").offline_only
