"""The baseline: one strength for every state, behind the same interface."""

import jax.numpy as jnp

from ssar_jax.coefficients.base import Coefficient, SlackFn
from ssar_jax.types import Array, Key, Metrics


def make(value: float, mask_regulariser: bool = False) -> Coefficient:
    """Builds a coefficient that is `value` everywhere and never learns.

    Args:
        value: the strength of the regulariser.
        mask_regulariser: whether it acts on trusted rows alone; with True, selection without adaptivity.
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

    return Coefficient(init, apply, update, mask_regulariser)
