"""Operations on whole parameter trees."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ssar_jax.types import Array, Average, Metrics, Params


def polyak(target: Params, online: Params, rate: float) -> Params:
    """Moves a target network towards the online one: (1 - rate) * target + rate * online."""
    return jax.tree.map(lambda t, o: (1.0 - rate) * t + rate * o, target, online)


def gradient_step(
    loss: Callable[..., tuple[Array, Any]],
    optimiser: optax.GradientTransformation,
    params: Params,
    opt_state: optax.OptState,
    *arguments: Any,
) -> tuple[Params, optax.OptState, Array, Any, Params]:
    """Takes one optimiser step on `loss(params, *arguments) -> (scalar, auxiliary)`.

    Returns:
        The new parameters, the new optimiser state, the loss, its auxiliary output and the gradients,
        the last three at the old parameters.
    """
    (value, auxiliary), gradients = jax.value_and_grad(loss, has_aux=True)(params, *arguments)
    params, opt_state = apply_gradients(optimiser, params, opt_state, gradients)
    return params, opt_state, value, auxiliary, gradients


def apply_gradients(
    optimiser: optax.GradientTransformation, params: Params, opt_state: optax.OptState, gradients: Params
) -> tuple[Params, optax.OptState]:
    """Takes one optimiser step with given gradients; returns the new parameters and optimiser state."""
    updates, opt_state = optimiser.update(gradients, opt_state, params)
    return optax.apply_updates(params, updates), opt_state


def averages(metrics: dict[str, Array]) -> Metrics:
    """Wraps the scalar metrics of one update, each with weight 1."""
    return {name: Average(value, jnp.ones_like(value)) for name, value in metrics.items()}
