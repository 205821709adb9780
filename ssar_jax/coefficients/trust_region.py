"""How far dataset actions lie inside or outside the policy's trust region."""

import jax.numpy as jnp

from ssar_jax.ops.distributions import TanhGaussian
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
        [B], in [(n delta)^2 - 1, (n delta)^2].
    """
    squared_error = jnp.minimum((policy_actions - actions) ** 2, MAX_SQUARED_ERROR)
    return (n * delta) ** 2 - jnp.mean(squared_error, axis=-1)


BOUNDARY_LIMIT = 0.99999
"""Boundary actions stay inside it, where the inverse of tanh is finite."""

BOUNDARY_DISTANCE = 0.1
"""Largest distance of a boundary action from the mode, per unit of n."""

FLOOR_SIZE = 10.0
"""The size of the trust region whose boundary density bounds the data's density from below."""


def boundary_log_prob(policy: TanhGaussian, n: Array | float) -> Array:
    """C_n(s): the smaller log-density of the two boundary actions tanh(mean +- n std), per dimension.

    The paper has no clips; the program limits the actions to +-0.99999 and then to 0.1 n around the mode, which
    gives wide policies the same region as deterministic ones.

    Args:
        policy: [B, A].
        n: scalar, size of the region in standard deviations.

    Returns:
        [B, A].
    """
    spread = n * jnp.exp(policy.log_std)

    def log_prob(x: Array) -> Array:
        action = jnp.clip(jnp.tanh(x), -BOUNDARY_LIMIT, BOUNDARY_LIMIT)
        reach = BOUNDARY_DISTANCE * n
        return policy.log_prob(jnp.clip(action, policy.mode - reach, policy.mode + reach))

    return jnp.minimum(log_prob(policy.mean + spread), log_prob(policy.mean - spread))


def stochastic_slack(policy: TanhGaussian, actions: Array, n: Array) -> Array:
    """mean_j [max(log pi_j(a_j | s), C_10,j) - C_n,j], the trust region of a stochastic policy.

    The paper has the joint density; the mean over dimensions makes the scale independent of their number. The
    floor C_10 keeps single far-off actions from outweighing all others. For a wide policy the floor may lie
    above C_n, and then every action counts as inside.

    Args:
        policy: [B, A].
        actions: [B, A], from the dataset, strictly inside (-1, 1).
        n: scalar.

    Returns:
        [B].
    """
    floored = jnp.maximum(policy.log_prob(actions), boundary_log_prob(policy, FLOOR_SIZE))
    return jnp.mean(floored - boundary_log_prob(policy, n), axis=-1)


def floor_share(policy: TanhGaussian, n: Array) -> Array:
    """The share of dimensions whose floor C_10 exceeds C_n, where every action counts as inside.

    Args:
        policy: [B, A].
        n: scalar.

    Returns:
        Scalar: 0 for all but wide policies, whose coefficient can only fall.
    """
    return jnp.mean(boundary_log_prob(policy, FLOOR_SIZE) > boundary_log_prob(policy, n))
