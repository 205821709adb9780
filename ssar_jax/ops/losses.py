"""TD targets and loss terms that several algorithms share."""

import chex
import jax
import jax.numpy as jnp

from ssar_jax.types import Array


def td_target(rewards: Array, masks: Array, target_values: Array, discount: float) -> Array:
    """Computes the target of clipped double Q-learning, r + discount * mask * min_e Q'_e(s', a').

    Fujimoto et al., 2018, equation 10, https://arxiv.org/abs/1802.09477.

    Args:
        rewards: [B].
        masks: 1 - terminated, [B].
        target_values: target critics' values of the next actions, [E, B].
        discount: discount factor.

    Returns:
        Targets, [B].
    """
    chex.assert_rank([rewards, masks, target_values], [1, 1, 2])
    return rewards + discount * masks * jnp.min(target_values, axis=0)


def soft_td_target(
    rewards: Array,
    masks: Array,
    target_values: Array,
    log_prob: Array,
    discount: float,
    entropy_weight: Array | float,
) -> Array:
    """Computes the soft target r + discount * mask * (min_e Q'_e(s', a'_k) - entropy_weight * log pi(a'_k | s')).

    Of several next actions a'_k the target takes the one with the largest min_e Q'_e(s', a'_k).

    Haarnoja et al., 2018, equations 2 and 3, https://arxiv.org/abs/1812.05905; the maximum over several next actions
    is from Kumar et al., 2020, appendix F, https://arxiv.org/abs/2006.04779.

    Args:
        rewards: [B].
        masks: 1 - terminated, [B].
        target_values: target critics' values of the next actions, [E, B], or [E, B, K] for the best of K actions.
        log_prob: log-densities of the next actions, [B] or [B, K].
        discount: discount factor.
        entropy_weight: the temperature alpha; 0 for a target without entropy.

    Returns:
        Targets, [B].
    """
    chex.assert_rank([rewards, masks, target_values, log_prob], [1, 1, {2, 3}, {1, 2}])
    values = jnp.min(target_values, axis=0)
    if values.ndim == 2:
        best = jnp.argmax(values, axis=1)[:, None]
        values = jnp.take_along_axis(values, best, axis=1)[:, 0]
        log_prob = jnp.take_along_axis(log_prob, best, axis=1)[:, 0]
    return rewards + discount * masks * (values - entropy_weight * log_prob)


def temperature_loss(log_temperature: Array, log_prob: Array, target_entropy: float) -> tuple[Array, None]:
    """Computes the loss of the temperature, -log alpha * E[log pi(a | s) + target_entropy].

    Haarnoja et al., 2018, equation 18, https://arxiv.org/abs/1812.05905, with log alpha in place of alpha.

    Args:
        log_temperature: log alpha, scalar.
        log_prob: log-densities of actions sampled from the policy, [B].
        target_entropy: the entropy that the temperature maintains.

    Returns:
        The loss, and None as the auxiliary output that `gradient_step` expects.
    """
    chex.assert_rank([log_temperature, log_prob], [0, 1])
    return -log_temperature * jnp.mean(log_prob + target_entropy), None


def conservative_difference(
    sampled_values: Array,
    data_values: Array,
    log_densities: Array | None,
    *,
    temperature: float,
    minimum: float,
    maximum: float,
) -> tuple[Array, Array]:
    """Computes the penalty of CQL(H), clip(T logsumexp(X / T) - Q(s, a)).

    Kumar et al., 2020, equation 4 and appendix F, https://arxiv.org/abs/2006.04779. X holds the values of the sampled
    actions minus their log-densities; without importance sampling X holds the plain values and Q(s, a).

    Args:
        sampled_values: values of the sampled actions, [E, B, K].
        data_values: values Q(s, a) of the dataset's actions, [E, B].
        log_densities: log-densities of the sampled actions, [B, K]; None turns importance sampling off.
        temperature: temperature T of the logsumexp.
        minimum: lower clip, applied per state.
        maximum: upper clip, applied per state.

    Returns:
        The difference and T logsumexp(X / T), both [E, B].
    """
    chex.assert_rank([sampled_values, data_values], [3, 2])
    if log_densities is None:
        terms = jnp.concatenate([sampled_values, data_values[..., None]], axis=-1)
    else:
        terms = sampled_values - log_densities
    soft_maximum = temperature * jax.nn.logsumexp(terms / temperature, axis=-1)
    return jnp.clip(soft_maximum - data_values, minimum, maximum), soft_maximum


def slope_similarity(slopes: Array) -> Array:
    """Computes how much the critics' action gradients point the same way, E_s[sum_{i != j} <u_i, u_j>] / (E - 1).

    u_i = g_i / (|g_i| + 1e-10) with g_i = dQ_i(s, a) / da. An et al., 2021, equation 4,
    https://arxiv.org/abs/2110.01548, up to the constant factor of the published program. The sum over pairs is
    |sum_i u_i|^2 - sum_i |u_i|^2, which takes E and not E^2 products.

    Args:
        slopes: gradients g_i of the members with respect to the actions, [E, B, A], with E at least 2.

    Returns:
        A scalar, between -E / (E - 1) and E.
    """
    chex.assert_rank(slopes, 3)
    squares = jnp.sum(slopes**2, axis=-1, keepdims=True)
    nonzero = squares > 0.0  # the norm of 0 has no gradient; a member without a slope counts as orthogonal to all
    norms = jnp.where(nonzero, jnp.sqrt(jnp.where(nonzero, squares, 1.0)), 0.0)
    units = slopes / (norms + 1e-10)
    pairs = jnp.sum(jnp.sum(units, axis=0) ** 2, axis=-1) - jnp.sum(units**2, axis=(0, 2))
    return jnp.mean(pairs) / (len(slopes) - 1)


def expectile_loss(advantages: Array, expectile: float) -> Array:
    """Computes the asymmetric squared loss |expectile - 1[u < 0]| u^2 of expectile regression.

    Kostrikov et al., 2021, section 4.1, https://arxiv.org/abs/2110.06169.

    Args:
        advantages: differences u, [...].
        expectile: expectile in (0, 1); 0.5 gives half the squared error.

    Returns:
        Losses per element, [...].
    """
    return jnp.abs(expectile - (advantages < 0.0)) * advantages**2
