"""The annealing of the coefficient in the online phase."""

import jax.numpy as jnp

from ssar_jax.choices import Annealing
from ssar_jax.types import Array


def anneal(kind: Annealing, updates: Array, decay_steps: int, floor: float = 0.0) -> Array:
    """Computes the factor on the regularizer after a number of online updates.

    `linear`: max(1 - N / decay_steps, floor). The SSAR poster prints a minimum where the maximum is meant.
    `cosine`: max(cos(pi / 2 * min(N / decay_steps, 1)), floor), as in the authors' program of CQL(SA).
    `none`: 1.

    Args:
        kind: the schedule.
        updates: number N of online updates so far including this one, scalar.
        decay_steps: N at which the schedule reaches 0; zero or less means no annealing.
        floor: smallest value of the factor; SPOT uses 0.2.

    Returns:
        The factor, a scalar in [floor, 1].
    """
    if kind == "none" or decay_steps <= 0:
        return jnp.ones(())
    progress = jnp.clip(updates / decay_steps, 0.0, 1.0)
    if kind == "linear":
        return jnp.maximum(1.0 - progress, floor)
    return jnp.maximum(jnp.cos(0.5 * jnp.pi * progress), floor)
