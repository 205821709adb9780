"""Affine maps between an environment's action bounds and [-1, 1]."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ssar_jax.errors import UserError


@dataclass(frozen=True, eq=False)
class ActionScaling:
    """The map `unit = 2 (a - low) / (high - low) - 1` and its inverse.

    Attributes:
        low: Lower action bounds, [A] float64, or [1] for the same bound in all dimensions.
        high: Upper action bounds, of the same shape.
    """

    low: np.ndarray
    high: np.ndarray

    @classmethod
    def from_bounds(cls, low: ArrayLike, high: ArrayLike, action_size: int | None = None) -> "ActionScaling":
        """Return the scaling from checked bounds.

        Args:
            low: Lower bounds, one number or [A].
            high: Upper bounds, one number or [A].
            action_size: Length A of an action; None if it is not known yet.

        Returns:
            The scaling.

        Raises:
            UserError: A bound has the wrong length or is not finite, or `low` is not below `high`.
        """
        bounds = []
        for key, value in (("action_low", low), ("action_high", high)):
            bound = np.atleast_1d(np.asarray(value, dtype=np.float64))
            if bound.ndim != 1 or (action_size is not None and bound.size not in (1, action_size)):
                count = "one for each action" if action_size is None else f"{action_size} of them"
                raise UserError(f"dataset.{key} has shape {bound.shape}; give one number or {count}")
            if not np.isfinite(bound).all():
                raise UserError(f"dataset.{key} must be finite, not {value}")
            bounds.append(bound)
        sizes = [bound.size for bound in bounds]
        if 1 not in sizes and sizes[0] != sizes[1]:
            raise UserError(f"dataset.action_low and dataset.action_high have {sizes[0]} and {sizes[1]} numbers")
        if not (bounds[0] < bounds[1]).all():
            raise UserError(f"dataset.action_low must be below dataset.action_high, not {low} and {high}")
        low_bounds, high_bounds = np.broadcast_arrays(*bounds)
        return cls(low_bounds, high_bounds)

    def to_unit(self, actions: np.ndarray) -> np.ndarray:
        """Return actions [..., A] mapped from the bounds to [-1, 1]."""
        return 2.0 * (actions - self.low) / (self.high - self.low) - 1.0

    def from_unit(self, actions: np.ndarray) -> np.ndarray:
        """Return actions [..., A] mapped from [-1, 1] to the bounds."""
        return self.low + 0.5 * (actions + 1.0) * (self.high - self.low)
