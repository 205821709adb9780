"""Targets and penalties of the value losses."""

import jax
import jax.numpy as jnp

from ssar_jax.types import Array


def td_target(rewards: Array, masks: Array, target_values: Array, discount: float) -> Array:
    """r + discount * mask * min_e Q'_e(s', a'), clipped double Q-learning.

    Fujimoto et al., 2018, equation 10, https://arxiv.org/abs/1802.09477.

    Args:
        rewards: [B].
        masks: [B].
        target_values: [E, B].
        discount: discount factor.

    Returns:
        [B].
    """
    return rewards + discount * masks * jnp.min(target_values, axis=0)


def soft_td_target(
    rewards: Array,
    masks: Array,
    target_values: Array,
    log_prob: Array,
    discount: float,
    entropy_weight: Array | float,
) -> Array:
    """r + discount * mask * (max_k [min_e Q'_e(s', a'_k)] - entropy_weight * log pi(a'_k)).

    Haarnoja et al., 2018, equation 3, https://arxiv.org/abs/1812.05905; the maximum over several next actions is
    Kumar et al., 2020, appendix F, https://arxiv.org/abs/2006.04779.

    Args:
        rewards: [B].
        masks: [B].
        target_values: [E, B], or [E, B, K] for the best of K actions.
        log_prob: [B] or [B, K], of the next actions.
        discount: discount factor.
        entropy_weight: the temperature where the target holds the entropy, else 0.

    Returns:
        [B].
    """
    values = jnp.min(target_values, axis=0)
    if values.ndim == 2:
        best = jnp.argmax(values, axis=1)[:, None]
        values = jnp.take_along_axis(values, best, axis=1)[:, 0]
        log_prob = jnp.take_along_axis(log_prob, best, axis=1)[:, 0]
    return rewards + discount * masks * (values - entropy_weight * log_prob)


def temperature_loss(log_temperature: Array, log_prob: Array, target_entropy: float) -> tuple[Array, None]:
    """-log alpha * E[log pi + target entropy], for `gradient_step`.

    Haarnoja et al., 2018, equation 18, https://arxiv.org/abs/1812.05905, with the log of the temperature as the
    variable.

    Args:
        log_temperature: scalar.
        log_prob: [B], of the policy's own actions.
        target_entropy: the entropy that the temperature holds.
    """
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
    """T logsumexp(X / T) - Q(s, a), clipped per sample: the penalty of CQL(H).

    Kumar et al., 2020, equation 4 and appendix F, https://arxiv.org/abs/2006.04779. X holds the sampled values
    minus their log-densities; without importance sampling the plain values and the data's.

    Args:
        sampled_values: [E, B, K].
        data_values: [E, B].
        log_densities: [B, K]; None turns importance sampling off.
        temperature: T.
        minimum: lower clip.
        maximum: upper clip.

    Returns:
        The difference and the logsumexp, both [E, B].
    """
    if log_densities is None:
        terms = jnp.concatenate([sampled_values, data_values[..., None]], axis=-1)
    else:
        terms = sampled_values - log_densities
    soft_maximum = temperature * jax.nn.logsumexp(terms / temperature, axis=-1)
    return jnp.clip(soft_maximum - data_values, minimum, maximum), soft_maximum


def expectile_loss(advantages: Array, expectile: float) -> Array:
    """|expectile - 1[u < 0]| u^2 per element, the asymmetric squared loss.

    Kostrikov et al., 2021, equation 4, https://arxiv.org/abs/2110.06169.

    Args:
        advantages: u, any shape.
        expectile: in (0, 1); one half gives half the squared error.
    """
    return jnp.abs(expectile - (advantages < 0.0)) * advantages**2
