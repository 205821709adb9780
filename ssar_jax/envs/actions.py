"""The range of an environment's actions, into which the actions of a policy are brought."""

from typing import NamedTuple

import gymnasium
import numpy as np

from ssar_jax.errors import UserError


class ActionBounds(NamedTuple):
    """The smallest and the largest action of an environment.

    Attributes:
        low: Lower bounds, [A], of the type that the environment expects; [1] for the same bound in all dimensions.
        high: Upper bounds, of the same shape and type.
    """

    low: np.ndarray
    high: np.ndarray

    @classmethod
    def from_space(cls, space: gymnasium.Space) -> "ActionBounds":
        """Return the bounds of an action space.

        Args:
            space: A box of vectors of floating-point numbers.

        Raises:
            UserError: The space is another one.
        """
        if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != 1 or space.dtype.kind != "f":
            raise UserError(f"the environment has actions {space}: vectors of floating-point numbers are needed")
        return cls(space.low, space.high)

    @classmethod
    def from_range(cls, low: np.ndarray, high: np.ndarray) -> "ActionBounds":
        """Return float32 bounds that are not outside of a range, for actions without an environment.

        Args:
            low: Lower bounds, [A], or [1] for the same bound in all dimensions.
            high: Upper bounds, of the same shape.
        """
        inner_low, inner_high = np.asarray(low, np.float32), np.asarray(high, np.float32)
        # Rounding to float32 may leave the range, and an environment in float64 would refuse such an action.
        inner_low = np.where(inner_low < low, np.nextafter(inner_low, np.float32(np.inf)), inner_low)
        inner_high = np.where(inner_high > high, np.nextafter(inner_high, np.float32(-np.inf)), inner_high)
        return cls(inner_low, inner_high)

    def fit(self, actions: np.ndarray) -> np.ndarray:
        """Return actions in the environment's type and inside its bounds.

        Scaling to the bounds leaves them by rounding, and environments that check their actions would refuse these.

        Args:
            actions: Actions, [..., A]. NaN stays NaN.
        """
        actions = np.asarray(actions)
        return np.clip(actions.astype(self.low.dtype), self.low, self.high)
