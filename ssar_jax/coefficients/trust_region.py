"""The slack of dataset actions: by how much they are inside (+) or outside (-) the policy's trust region.

Luo et al., "Learning to Trust Bellman Updates: Selective State-Adaptive Regularization for Offline RL", 2025,
https://arxiv.org/abs/2505.19923.
"""

import chex
import jax.numpy as jnp

from ssar_jax.ops.distributions import TanhGaussian
from ssar_jax.types import Array

MAX_SQUARED_ERROR = 1.0
"""Cap on the squared error of one action dimension, as in the authors' program."""


def deterministic_slack(policy_actions: Array, actions: Array, n: Array, delta: float) -> Array:
    """Computes the slack of a deterministic policy, (n delta)^2 - mean_j min((pi_j(s) - a_j)^2, 1).

    The paper has the squared distance without the cap, which the authors' program adds so that no single dimension
    outweighs the others.

    Args:
        policy_actions: actions pi(s) of the policy, [B, A].
        actions: actions a of the dataset, [B, A].
        n: size of the region in multiples of `delta`, scalar.
        delta: width of the region per unit of n.

    Returns:
        Slacks, [B], in [(n delta)^2 - 1, (n delta)^2].
    """
    chex.assert_rank([policy_actions, actions], 2)
    chex.assert_equal_shape([policy_actions, actions])
    squared_error = jnp.minimum((policy_actions - actions) ** 2, MAX_SQUARED_ERROR)
    return (n * delta) ** 2 - jnp.mean(squared_error, axis=-1)


BOUNDARY_LIMIT = 0.99999
"""Largest absolute value of a boundary action, for which the inverse of tanh is finite."""

BOUNDARY_DISTANCE = 0.1
"""Largest distance of a boundary action from the mode, per unit of n."""

FLOOR_SIZE = 10.0
"""Size n of the region whose boundary density is the lower bound on the density of dataset actions."""


def boundary_log_prob(policy: TanhGaussian, n: Array | float) -> Array:
    """Computes C_n(s), the smaller log-density of the two boundary actions tanh(mean +- n std), per dimension.

    The paper has no clips. The authors' program clips the boundary actions to +-0.99999 and then to 0.1 n around the
    mode, so that the region of a wide policy is as large as that of a deterministic one.

    Args:
        policy: action distributions, [B, A].
        n: size of the region in standard deviations, scalar.

    Returns:
        Log-densities, [B, A].
    """
    spread = n * jnp.exp(policy.log_std)

    def log_prob(x: Array) -> Array:
        action = jnp.clip(jnp.tanh(x), -BOUNDARY_LIMIT, BOUNDARY_LIMIT)
        reach = BOUNDARY_DISTANCE * n
        return policy.log_prob(jnp.clip(action, policy.mode - reach, policy.mode + reach))

    return jnp.minimum(log_prob(policy.mean + spread), log_prob(policy.mean - spread))


def stochastic_slack(policy: TanhGaussian, actions: Array, n: Array) -> Array:
    """Computes the slack of a stochastic policy, mean_j [max(log pi_j(a_j | s), C_10,j(s)) - C_n,j(s)].

    The paper has the joint density and no floor. As in the authors' program, the mean over dimensions makes the scale
    independent of their number, and the floor C_10 keeps a few distant actions from outweighing all others. If the
    policy is so wide that the floor exceeds C_n, every action counts as inside.

    Args:
        policy: action distributions, [B, A].
        actions: actions of the dataset, [B, A], strictly inside (-1, 1).
        n: size of the region in standard deviations, scalar.

    Returns:
        Slacks, [B].
    """
    chex.assert_equal_shape([policy.mean, actions])
    floored = jnp.maximum(policy.log_prob(actions), boundary_log_prob(policy, FLOOR_SIZE))
    return jnp.mean(floored - boundary_log_prob(policy, n), axis=-1)


def floor_share(policy: TanhGaussian, n: Array) -> Array:
    """Computes the share of action dimensions whose floor C_10 exceeds C_n, see `stochastic_slack`.

    Args:
        policy: action distributions, [B, A].
        n: size of the region in standard deviations, scalar.

    Returns:
        Scalar in [0, 1]; above 0 only for wide policies, for which every action counts as inside and beta can only
        fall.
    """
    return jnp.mean(boundary_log_prob(policy, FLOOR_SIZE) > boundary_log_prob(policy, n))
