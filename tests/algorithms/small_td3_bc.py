"""A TD3+BC small enough to compile fast and to be recomputed in NumPy: sizes, numbers, a batch, a state."""

import jax
import numpy as np
import pytest

from ssar_jax.algorithms import td3_bc
from ssar_jax.coefficients import constant
from ssar_jax.types import Batch

SIZES = td3_bc.Hyperparameters(critic_hidden_sizes=(3, 2), critic_layer_norm=False, actor_hidden_sizes=(3, 2))
NUMBERS = {"critic_learning_rate": 0.02, "actor_learning_rate": 0.01, "tau": 0.1, "discount": 0.9}
SMALL = SIZES._replace(**NUMBERS)


def make_batch(seed, rows=6):
    """Two observations, two actions; some rows terminate, some are trusted; and the smoothing noise."""
    rng = np.random.default_rng(seed)
    arrays = Batch(
        rng.normal(size=(rows, 2)),
        rng.uniform(-1.0, 1.0, (rows, 2)),
        rng.normal(size=rows),
        (np.arange(rows) % 3 > 0).astype(float),
        rng.normal(size=(rows, 2)),
        (np.arange(rows) % 2).astype(float),
    )
    return jax.tree.map(np.float32, arrays), rng.normal(size=(rows, 2)).astype(np.float32)


BATCH, NOISE = make_batch(0)


def make_state(coefficient=None, seed=0):
    """Random parameters, targets unlike the online networks, as in training; optimisers and the rest zero."""
    algorithm = td3_bc.make(2, coefficient or constant.make(0.4), SMALL)
    shapes = jax.eval_shape(algorithm.init, jax.random.key(0), BATCH.observations, BATCH.actions)
    rng = np.random.default_rng(seed)

    def fill(shapes):
        return jax.tree.map(lambda leaf: rng.normal(scale=0.7, size=leaf.shape).astype(np.float32), shapes)

    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    networks = {name: fill(getattr(shapes, name)) for name in NETWORKS}
    return zeros._replace(**networks)


NETWORKS = ("actor", "target_actor", "critics", "target_critics")


def to_rounding_or_exactly(tolerance):
    """Parametrises `tolerance` of a test that compares two programs: exactly where they are compiled as users' are."""
    return pytest.mark.parametrize("tolerance", [tolerance, pytest.param(0.0, marks=pytest.mark.slow)])


def equal(first, second):
    """Whether two trees are bitwise equal."""
    return all(jax.tree.leaves(jax.tree.map(lambda a, b: bool(np.array_equal(a, b)), first, second)))


def assert_close(first, second, atol=2e-6, rtol=0.0):
    """Every leaf of one tree is within `atol + rtol |second|` of the other's."""
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=atol), first, second)


def warmed(opt_state):
    """Adam as in the middle of training: with second moments of 1 its next step follows the gradient's size.

    From zero moments the first step would show the gradient's sign alone.
    """
    adam, *rest = opt_state
    return (adam._replace(nu=jax.tree.map(np.ones_like, adam.nu)), *rest)
