"""Building a coefficient from a config."""

from typing import Any

from ssar_jax.coefficients.base import Coefficient
from ssar_jax.coefficients.constant import constant
from ssar_jax.coefficients.state_adaptive import state_adaptive
from ssar_jax.errors import UserError


def from_config(config: Any) -> Coefficient:
    """Builds the coefficient that the group `coefficient` of a config describes.

    Args:
        config: the group, read by attribute.

    Raises:
        UserError: if `config.kind` is unknown, or a hyperparameter is out of its range.
    """
    match config.kind:
        case "constant":
            return constant(config.base, config.mask_regularizer)
        case "state_adaptive":
            return state_adaptive(
                config.base,
                max_ratio=config.max_ratio,
                hidden_sizes=tuple(config.hidden_sizes),
                last_kernel_init=config.last_kernel_init,
                learning_rate=config.learning_rate,
                max_grad_norm=config.max_grad_norm,
                n_start=config.n_start,
                n_end=config.n_end,
                n_period=config.n_period,
                n_increments=config.n_increments,
                mask_coefficient=config.mask_coefficient,
                mask_regularizer=config.mask_regularizer,
            )
    raise UserError(f"coefficient.kind {config.kind!r} is unknown: choose constant or state_adaptive")
