"""The constant coefficient of the base algorithms."""

import jax.numpy as jnp

from ssar_jax.coefficients.base import Coefficient, SlackFn
from ssar_jax.types import Array, Key, Metrics


def constant(value: float, mask_regularizer: bool = False) -> Coefficient:
    """Builds a coefficient that is the same in every state and is not trained.

    Args:
        value: weight of the regularizer.
        mask_regularizer: whether the regularizer acts on trusted transitions only; True gives selection without
            adaptation.
    """

    def init(key: Key, observations: Array) -> tuple[()]:
        del key, observations
        return ()

    def apply(state: tuple[()], observations: Array) -> Array:
        del state
        return jnp.full(observations.shape[:-1], value, observations.dtype)

    def update(
        state: tuple[()], observations: Array, slack_fn: SlackFn, trusted: Array, step: Array
    ) -> tuple[tuple[()], Metrics]:
        del observations, slack_fn, trusted, step
        return state, {}

    return Coefficient(init, apply, update, mask_regularizer)
