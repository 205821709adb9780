"""A TD3+BC that compiles fast and can be recomputed in NumPy: sizes, numbers, a batch, a state."""

import jax
import numpy as np
import pytest

from ssar_jax.algorithms import td3_bc
from ssar_jax.coefficients.constant import constant
from ssar_jax.types import Batch
from tests.algorithms.states import with_params

SIZES = td3_bc.TD3BCConfig(critic_hidden_sizes=(3, 2), critic_layer_norm=False, actor_hidden_sizes=(3, 2))
NUMBERS = {"critic_learning_rate": 0.02, "actor_learning_rate": 0.01, "tau": 0.1, "discount": 0.9}
SMALL = SIZES._replace(**NUMBERS)


def make_batch(seed, rows=6):
    """A batch with two observations and two actions, with terminal and trusted rows; and the smoothing noise."""
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
    """Random parameters, with targets that differ from the online networks as in training; everything else is zero."""
    algorithm = td3_bc.td3_bc(2, coefficient or constant(0.4), config=SMALL)
    shapes = jax.eval_shape(algorithm.init, jax.random.key(0), BATCH.observations, BATCH.actions)
    rng = np.random.default_rng(seed)

    def fill(shapes):
        return jax.tree.map(lambda leaf: rng.normal(scale=0.7, size=leaf.shape).astype(np.float32), shapes)

    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    return with_params(
        zeros,
        actor=fill(shapes.actor.params),
        target_actor=fill(shapes.target_actor),
        critics=fill(shapes.critics.params),
        target_critics=fill(shapes.target_critics),
    )


def to_rounding_or_exactly(tolerance):
    """Parametrizes a test that compares two programs: tolerance 0 in the slow suite, which compiles as users do."""
    return pytest.mark.parametrize("tolerance", [tolerance, pytest.param(0.0, marks=pytest.mark.slow)])


def equal(first, second):
    """Whether two trees are bitwise equal."""
    return all(jax.tree.leaves(jax.tree.map(lambda a, b: bool(np.array_equal(a, b)), first, second)))


def assert_close(first, second, atol=2e-6, rtol=0.0):
    """Every leaf of one tree is within `atol + rtol |second|` of the other's."""
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=atol), first, second)


def warmed(opt_state):
    """Adam with second moments of 1, so that its next step depends on the gradient's size.

    From zero moments the first step would show the gradient's sign alone.
    """
    adam, *rest = opt_state
    return (adam._replace(nu=jax.tree.map(np.ones_like, adam.nu)), *rest)
