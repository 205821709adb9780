"""What a coefficient is: a record of pure functions."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from ssar_jax.types import Array, Key, Metrics

SlackFn = Callable[[Array], tuple[Array, Metrics]]
"""Size n of the trust region to slack [B]: positive where the dataset action lies inside, negative outside; and what
to log about the region."""


class Coefficient(NamedTuple):
    """A coefficient as pure functions, hyperparameters closed over.

    Attributes:
        init: (key, observations [B, O]) -> state; the array serves for its shape alone.
        apply: (state, observations [B, O]) -> beta [B].
        update: (state, observations [B, O], slack_fn, trusted [B], step) -> (state, metrics), one training step.
        mask_regulariser: whether the regulariser acts on trusted rows alone.
    """

    init: Callable[[Key, Array], Any]
    apply: Callable[[Any, Array], Array]
    update: Callable[[Any, Array, SlackFn, Array, Array], tuple[Any, Metrics]]
    mask_regulariser: bool

    def weight(self, state: Any, observations: Array, trusted: Array, annealing: Array | float) -> Array:
        """The factor on the regulariser, beta(s) * mask * annealing, without a gradient.

        Args:
            state: the coefficient's state.
            observations: [B, O].
            trusted: [B], 1 for selected rows.
            annealing: scalar factor of the online phase; 1 offline.

        Returns:
            [B].
        """
        beta = jax.lax.stop_gradient(self.apply(state, observations))
        return beta * (trusted if self.mask_regulariser else 1.0) * annealing
