"""How the coefficient fades in the online phase."""

from typing import Literal

import jax.numpy as jnp

from ssar_jax.types import Array

Annealing = Literal["linear", "cosine", "none"]


def anneal(kind: Annealing, updates: Array, decay_steps: int, floor: float = 0.0) -> Array:
    """The factor on the regulariser after a number of online updates, always within [0, 1].

    linear: max(1 - N / decay_steps, 0); the paper prints min where max is meant.
    cosine: cos(pi / 2 * min(N / decay_steps, 1)).

    Args:
        kind: the schedule.
        updates: scalar N, online updates so far including the current one.
        decay_steps: N at which the factor reaches 0; no decay where it is not positive.
        floor: below which the factor does not fall; SPOT's cooling ends at 0.2.

    Returns:
        Scalar.
    """
    if kind == "none" or decay_steps <= 0:
        return jnp.ones(())
    progress = jnp.clip(updates / decay_steps, 0.0, 1.0)
    if kind == "linear":
        return jnp.maximum(1.0 - progress, floor)
    return jnp.maximum(jnp.cos(0.5 * jnp.pi * progress), floor)
