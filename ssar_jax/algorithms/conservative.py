"""The critics' side of conservative Q-learning: which actions are pushed down, and the loss that does it.

Kumar et al., 2020, https://arxiv.org/abs/2006.04779, CQL(H): uniform actions, the policy's at s, and the policy's at
s', all judged at s.
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
"""(sampled values [E, B, 3K], data values [E, B], log-densities [B, 3K]) -> (D, logsumexp), both [E, B]."""


class CriticRows(NamedTuple):
    """What the critics' loss needs of each state.

    Attributes:
        observations: [B, O].
        actions: [B, A], the data's.
        target: [B], the TD target.
        weight: [B], the coefficient.
        sampled: [B, 3K, A], uniform, next and current actions.
        log_densities: [B, 3K], theirs.
    """

    observations: Array
    actions: Array
    target: Array
    weight: Array
    sampled: Array
    log_densities: Array


def repeated(policy: TanhGaussian) -> TanhGaussian:
    """The policy [B, A] as [B, 1, A]: several samples per state cost one pass through the network."""
    return TanhGaussian(policy.mean[:, None], policy.log_std[:, None])


def values_of(critics: CriticEnsemble, params: Params, observations: Array, actions: Array) -> Array:
    """Values [E, B] of actions [B, A], or [E, B, K] of actions [B, K, A]."""
    if actions.ndim == 2:
        return critics.apply(params, observations, actions)
    count, samples, size = actions.shape
    flat = critics.apply(params, jnp.repeat(observations, samples, axis=0), actions.reshape(-1, size))
    return flat.reshape(-1, count, samples)


def penalised_actions(
    uniform: Array, following: TanhGaussian, following_noise: Array, current: TanhGaussian, current_noise: Array
) -> tuple[Array, Array]:
    """The actions that the penalty pushes down, and their log-densities.

    Args:
        uniform: [B, K, A], on (-1, 1).
        following: the policy at s', [B, A].
        following_noise: [B, K, A], standard normal.
        current: the policy at s, [B, A].
        current_noise: [B, K, A], standard normal.

    Returns:
        Actions [B, 3K, A] and log-densities [B, 3K], uniform, following, current.
    """
    following_actions, following_log_prob = repeated(following).sample(following_noise)
    current_actions, current_log_prob = repeated(current).sample(current_noise)
    uniform_log_prob = jnp.full_like(current_log_prob, -uniform.shape[-1] * math.log(2.0))
    return (
        jnp.concatenate([uniform, following_actions, current_actions], axis=1),
        jnp.concatenate([uniform_log_prob, following_log_prob, current_log_prob], axis=1),
    )


def conservative_critic_loss(
    critics: CriticEnsemble,
    params: Params,
    rows: CriticRows,
    multiplier: Array,
    batch_size: int,
    difference_fn: DifferenceFn,
    gap: float,
) -> tuple[Array, Any]:
    """sum_e sum_b [(Q_e - y)^2 + multiplier * weight * (D_e - gap)] / B, a sum over rows.

    Args:
        critics: the ensemble.
        params: its parameters.
        rows: some or all rows of the minibatch.
        multiplier: scalar, the Lagrange multiplier or 1.
        batch_size: B of the whole minibatch.
        difference_fn: the penalty of each state.
        gap: subtracted from D; 0 without a Lagrange multiplier.

    Returns:
        The loss and its parts by name, each [B, E].
    """
    values = critics.apply(params, rows.observations, rows.actions)
    sampled_values = values_of(critics, params, rows.observations, rows.sampled)
    difference, _ = difference_fn(sampled_values, values, rows.log_densities)
    td = (values - rows.target) ** 2
    penalty = rows.weight * (difference - gap)
    parts = {"q": values.T, "td": td.T, "penalty": penalty.T, "difference": difference.T}
    return jnp.sum(td + multiplier * penalty) / batch_size, parts


def conservative_gradients(
    critics: CriticEnsemble,
    params: Params,
    rows: CriticRows,
    multiplier: Array,
    difference_fn: DifferenceFn,
    gap: float,
) -> tuple[tuple[Array, Any], Params]:
    """The loss of a whole minibatch with its parts, and its gradients; arguments as of `conservative_critic_loss`."""
    batch_size = rows.target.shape[0]
    return blocked_value_and_grad(
        lambda params, block: conservative_critic_loss(
            critics, params, block, multiplier, batch_size, difference_fn, gap
        ),
        params, rows, states_per_block(batch_size),
    )  # fmt: skip


def critic_metrics(
    critics: CriticEnsemble, loss: Array, parts: Any, gradients: Params, rows: CriticRows, multiplier: Array
) -> dict[str, Array]:
    """What a step of the critics tells, by name; arguments as `conservative_gradients` takes and gives them."""
    metrics = {
        "critic/loss": loss,
        "critic/q_mean": jnp.mean(parts["q"]),
        "critic/target_mean": jnp.mean(rows.target),
        "critic/difference": jnp.mean(parts["difference"]),
    }
    for i in range(parts["td"].shape[1]):
        metrics[f"critic/td_loss_{i + 1}"] = jnp.mean(parts["td"][:, i])
        metrics[f"critic/penalty_{i + 1}"] = multiplier * jnp.mean(parts["penalty"][:, i])
        metrics[f"critic/grad_norm_{i + 1}"] = optax.tree.norm(critics.member(gradients, i))
    return metrics
