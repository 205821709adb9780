"""How far dataset actions lie inside or outside the policy's trust region."""

import jax.numpy as jnp

from ssar_jax.types import Array

MAX_SQUARED_ERROR = 1.0
"""Cap on the squared error of one action dimension, as in the authors' program."""


def deterministic_slack(policy_actions: Array, actions: Array, n: Array, delta: float) -> Array:
    """(n delta)^2 - mean_j min((pi_j(s) - a_j)^2, 1), the trust region of a deterministic policy.

    The paper has the squared distance without the cap; with it no single dimension outweighs the others.

    Args:
        policy_actions: [B, A].
        actions: [B, A], from the dataset.
        n: scalar, size of the region in multiples of `delta`.
        delta: width of the region per unit of n.

    Returns:
        [B], in ((n delta)^2 - 1, (n delta)^2].
    """
    squared_error = jnp.minimum((policy_actions - actions) ** 2, MAX_SQUARED_ERROR)
    return (n * delta) ** 2 - jnp.mean(squared_error, axis=-1)
