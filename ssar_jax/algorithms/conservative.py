"""The critic loss of conservative Q-learning, which CQL, Cal-QL and FamCQL share.

Kumar et al., "Conservative Q-Learning for Offline Reinforcement Learning", 2020, https://arxiv.org/abs/2006.04779, in
the form CQL(H). It lowers the values Q(s, a) of K uniform actions, K actions of the policy at s and K actions of the
policy at s', and raises those of the dataset's actions.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import optax

from ssar_jax.networks.backend import states_per_block
from ssar_jax.networks.critics import CriticEnsemble
from ssar_jax.ops.blocks import blocked_value_and_grad
from ssar_jax.ops.distributions import TanhGaussian
from ssar_jax.types import Array, Params

DifferenceFn = Callable[[Array, Array, Array], tuple[Array, Array]]
"""(sampled values [E, B, 3K], data values [E, B], log-densities [B, 3K]) -> (D, logsumexp), both [E, B], as in
`conservative_difference`."""


class CriticRows(NamedTuple):
    """The inputs of the critic loss per transition, which are constants in it.

    Attributes:
        observations: [B, O].
        actions: actions of the dataset, [B, A].
        target: TD targets y, [B].
        weight: weights of the penalty, [B].
        sampled: actions whose values are lowered, [B, 3K, A]: uniform, from the policy at s', from the policy at s.
        log_densities: log-densities of `sampled`, [B, 3K].
        bounds: lower bounds of the values of the policy's actions in the penalty, [B], for Cal-QL; None for none.
    """

    observations: Array
    actions: Array
    target: Array
    weight: Array
    sampled: Array
    log_densities: Array
    bounds: Array | None = None


def repeated(policy: TanhGaussian) -> TanhGaussian:
    """Adds an axis for samples to a policy, [B, A] to [B, 1, A]: K samples per state need one pass of the network."""
    return TanhGaussian(policy.mean[:, None], policy.log_std[:, None])


def values_of(critics: CriticEnsemble, params: Params, observations: Array, actions: Array) -> Array:
    """Computes Q_e(s, a) for one or several actions per state.

    Args:
        critics: the ensemble of E critics.
        params: parameters of the ensemble.
        observations: [B, O].
        actions: [B, A] or [B, K, A].

    Returns:
        Values, [E, B] or [E, B, K].
    """
    if actions.ndim == 2:
        return critics.apply(params, observations, actions)
    count, samples, size = actions.shape
    flat = critics.apply(params, jnp.repeat(observations, samples, axis=0), actions.reshape(-1, size))
    return flat.reshape(-1, count, samples)


def penalized_actions(
    uniform: Array, following: TanhGaussian, following_noise: Array, current: TanhGaussian, current_noise: Array
) -> tuple[Array, Array]:
    """Samples the actions whose values the penalty lowers (Kumar et al., 2020, appendix F).

    Args:
        uniform: actions uniform on (-1, 1), [B, K, A].
        following: policy at the next states, [B, A].
        following_noise: standard normal, [B, K, A].
        current: policy at the states, [B, A].
        current_noise: standard normal, [B, K, A].

    Returns:
        Actions [B, 3K, A] and log-densities [B, 3K]: first the uniform ones, then `following`, then `current`.
    """
    following_actions, following_log_prob = repeated(following).sample(following_noise)
    current_actions, current_log_prob = repeated(current).sample(current_noise)
    uniform_log_prob = jnp.full_like(current_log_prob, -uniform.shape[-1] * math.log(2.0))
    return (
        jnp.concatenate([uniform, following_actions, current_actions], axis=1),
        jnp.concatenate([uniform_log_prob, following_log_prob, current_log_prob], axis=1),
    )


def bounded_below(sampled_values: Array, bounds: Array) -> Array:
    """Bounds the values of the policy's actions from below, max(Q(s, a), bound); those of the uniform actions stay.

    Nakamoto et al., 2023, equation 5.1, https://arxiv.org/abs/2303.05479. A value below its bound has no gradient, so
    the penalty lowers no value of the policy below what the behavior reached.

    Args:
        sampled_values: values of the 3K sampled actions, [E, B, 3K], the K uniform ones first.
        bounds: returns of the behavior, [B].

    Returns:
        Values, [E, B, 3K].
    """
    uniform, policy = jnp.split(sampled_values, [sampled_values.shape[-1] // 3], axis=-1)
    return jnp.concatenate([uniform, jnp.maximum(policy, bounds[:, None])], axis=-1)


def conservative_critic_loss(
    critics: CriticEnsemble,
    params: Params,
    rows: CriticRows,
    multiplier: Array,
    batch_size: int,
    difference_fn: DifferenceFn,
    gap: float,
) -> tuple[Array, Any]:
    """Computes the critic loss sum_e sum_b [(Q_e - y)^2 + multiplier * weight * (D_e - gap)] / B.

    Kumar et al., 2020, equation 4 and, for the multiplier, appendix F. The regression term has no factor 1/2, as in the
    published programs.

    Args:
        critics: the ensemble of E critics.
        params: parameters of the ensemble.
        rows: b of the B rows of the minibatch.
        multiplier: Lagrange multiplier, scalar; 1 without one.
        batch_size: size B of the whole minibatch.
        difference_fn: computes the conservative difference D.
        gap: target of the difference under the Lagrange multiplier; 0 without one.

    Returns:
        The loss of these rows, and the values `q` and the loss terms by name, each [b, E].
    """
    values = critics.apply(params, rows.observations, rows.actions)
    sampled_values = values_of(critics, params, rows.observations, rows.sampled)
    parts = {"q": values.T}
    if rows.bounds is not None:
        plain, sampled_values = sampled_values, bounded_below(sampled_values, rows.bounds)
        below = (plain < sampled_values).astype(plain.dtype)
        parts["bounded"] = 1.5 * jnp.mean(below, axis=-1).T  # of the policy's actions, two thirds of all
    difference, _ = difference_fn(sampled_values, values, rows.log_densities)
    td = (values - rows.target) ** 2
    penalty = rows.weight * (difference - gap)
    parts |= {"td": td.T, "penalty": penalty.T, "difference": difference.T}
    return jnp.sum(td + multiplier * penalty) / batch_size, parts


def conservative_gradients(
    critics: CriticEnsemble,
    params: Params,
    rows: CriticRows,
    multiplier: Array,
    difference_fn: DifferenceFn,
    gap: float,
) -> tuple[tuple[Array, Any], Params]:
    """Computes the loss of a whole minibatch and its gradients.

    Args:
        critics: the ensemble of E critics.
        params: parameters of the ensemble.
        rows: all B rows of the minibatch.
        multiplier: see `conservative_critic_loss`.
        difference_fn: see `conservative_critic_loss`.
        gap: see `conservative_critic_loss`.

    Returns:
        ((loss, its terms by name, each [B, E]), gradients).
    """
    batch_size = rows.target.shape[0]
    return blocked_value_and_grad(
        lambda params, block: conservative_critic_loss(
            critics, params, block, multiplier, batch_size, difference_fn, gap
        ),
        params, rows, states_per_block(batch_size),
    )  # fmt: skip


def critic_metrics(loss: Array, parts: Any, gradients: Params, rows: CriticRows, multiplier: Array) -> dict[str, Array]:
    """Collects the metrics of a critic step.

    Args:
        loss: loss of `conservative_gradients`.
        parts: its terms by name.
        gradients: its gradients.
        rows: the rows of the minibatch.
        multiplier: the Lagrange multiplier, or 1.

    Returns:
        Scalars by name.
    """
    metrics = {
        "critic/loss": loss,
        "critic/q_mean": jnp.mean(parts["q"]),
        "critic/target_mean": jnp.mean(rows.target),
        "critic/difference": jnp.mean(parts["difference"]),
    }
    if "bounded" in parts:
        metrics["critic/bounded_share"] = jnp.mean(parts["bounded"])
    for i in range(parts["td"].shape[1]):
        metrics[f"critic/td_loss_{i + 1}"] = jnp.mean(parts["td"][:, i])
        metrics[f"critic/penalty_{i + 1}"] = multiplier * jnp.mean(parts["penalty"][:, i])
        metrics[f"critic/grad_norm_{i + 1}"] = optax.tree.norm(gradients[i])
    return metrics
