"""Gradient transformations that Optax lacks or defines differently."""

import jax
import jax.numpy as jnp
import optax

from ssar_jax.types import Array, Params


def clip_by_global_norm(max_norm: float) -> optax.GradientTransformation:
    """Rescales all gradients by min(1, max_norm / (norm + 1e-6)), PyTorch's `clip_grad_norm_`.

    `optax.clip_by_global_norm` has no 1e-6; behind Adam the difference is of the order 1e-10 in the parameters,
    which the double-precision vectors see.
    """

    def update(updates: Params, state: optax.OptState, params: Params | None = None) -> tuple[Params, optax.OptState]:
        del params
        scale = clip_factor(optax.tree.norm(updates), max_norm)
        return jax.tree.map(lambda u: scale * u, updates), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def clip_factor(norm: Array, max_norm: float) -> Array:
    """The factor that brings gradients of global norm `norm` to at most `max_norm`."""
    return jnp.minimum(1.0, max_norm / (norm + 1e-6))
