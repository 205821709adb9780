"""Gradient steps on the `TrainState` of one network."""

from collections.abc import Callable
from typing import Any

import jax
import optax

from ssar_jax.types import Array, Params, TrainState


def create_train_state(params: Params, optimizer: optax.GradientTransformation) -> TrainState:
    """Creates the train state of a network from its initial parameters.

    Args:
        params: initial parameters.
        optimizer: the gradient transformation that will train them.
    """
    return TrainState(params, optimizer.init(params))


def gradient_step(
    loss: Callable[..., tuple[Array, Any]],
    optimizer: optax.GradientTransformation,
    state: TrainState,
    *arguments: Any,
) -> tuple[TrainState, Array, Any, Params]:
    """Takes one optimizer step on `loss(params, *arguments) -> (scalar, auxiliary)`.

    Args:
        loss: a function that returns a scalar and an auxiliary output; its first argument is differentiated.
        optimizer: the gradient transformation whose state is in `state`.
        state: parameters and optimizer state before the step.
        *arguments: further arguments of the loss.

    Returns:
        The new train state, and the loss, its auxiliary output and its gradients at the old parameters.
    """
    (value, auxiliary), gradients = jax.value_and_grad(loss, has_aux=True)(state.params, *arguments)
    return apply_gradients(optimizer, state, gradients), value, auxiliary, gradients


def apply_gradients(optimizer: optax.GradientTransformation, state: TrainState, gradients: Params) -> TrainState:
    """Takes one optimizer step with given gradients.

    Args:
        optimizer: the gradient transformation whose state is in `state`.
        state: parameters and optimizer state before the step.
        gradients: gradients with respect to the parameters.
    """
    updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
    return TrainState(optax.apply_updates(state.params, updates), opt_state)
