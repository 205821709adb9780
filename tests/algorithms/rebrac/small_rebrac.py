"""A ReBRAC that compiles fast and can be recomputed in NumPy: sizes, numbers, a batch, a state."""

import jax
import numpy as np

from ssar_jax.algorithms import rebrac
from ssar_jax.coefficients.constant import constant
from ssar_jax.types import Batch
from tests.algorithms.states import with_params

SIZES = rebrac.ReBRACConfig(critic_hidden_sizes=(8, 6), actor_hidden_sizes=(3, 2))
NUMBERS = {"critic_learning_rate": 0.02, "actor_learning_rate": 0.01, "tau": 0.1, "discount": 0.9}
SMALL = SIZES._replace(critic_penalty=0.3, **NUMBERS)


def make_batch(seed, rows=6):
    """A batch with two observations and two actions, with terminal and trusted rows; and the smoothing noise.

    The last row has no next action.
    """
    rng = np.random.default_rng(seed)
    following = rng.uniform(-1.0, 1.0, (rows, 2))
    following[-1] = np.nan
    arrays = Batch(
        observations=rng.normal(size=(rows, 2)),
        actions=rng.uniform(-1.0, 1.0, (rows, 2)),
        rewards=rng.normal(size=rows),
        masks=(np.arange(rows) % 3 > 0).astype(float),
        next_observations=rng.normal(size=(rows, 2)),
        trusted=(np.arange(rows) % 2).astype(float),
        extras={"next_actions": following},
    )
    return jax.tree.map(np.float32, arrays), rng.normal(size=(rows, 2)).astype(np.float32)


BATCH, NOISE = make_batch(0)


def make_state(coefficient=None, config=SMALL, seed=0):
    """Random parameters, with targets that differ from the online networks as in training; everything else is zero."""
    algorithm = rebrac.rebrac(2, coefficient or constant(0.4), config=config)
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
