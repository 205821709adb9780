"""From a config to a coefficient."""

from typing import Any

from ssar_jax.coefficients import constant, state_adaptive
from ssar_jax.coefficients.base import Coefficient
from ssar_jax.errors import UserError
from ssar_jax.networks.coefficient import CoefficientNet


def from_config(config: Any) -> Coefficient:
    """Builds the coefficient that a config's group `coefficient` describes.

    Raises:
        UserError: for an unknown kind.
    """
    match config.kind:
        case "constant":
            return constant.make(config.base, config.mask_regulariser)
        case "state_adaptive":
            network = CoefficientNet(config.base, config.max_ratio, tuple(config.hidden_sizes), config.last_kernel_init)
            return state_adaptive.make(
                network,
                learning_rate=config.learning_rate,
                max_grad_norm=config.max_grad_norm,
                n_start=config.n_start,
                n_end=config.n_end,
                n_period=config.n_period,
                n_increments=config.n_increments,
                mask_coefficient=config.mask_coefficient,
                mask_regulariser=config.mask_regulariser,
            )
    raise UserError(f"coefficient.kind {config.kind!r} is unknown: choose constant or state_adaptive")
