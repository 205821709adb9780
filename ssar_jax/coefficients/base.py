"""The interface of a coefficient, a record of pure functions."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from ssar_jax.types import Array, Key, Metrics

SlackFn = Callable[[Array], tuple[Array, Metrics]]
"""n -> (slack [B], metrics): the slack is positive if the dataset action is inside the trust region of size n, and
negative if it is outside; the metrics describe the region."""


class Coefficient(NamedTuple):
    """A coefficient as pure functions with the hyperparameters closed over.

    Attributes:
        init: (key, observations [B, O]) -> state; only the shape of the array matters.
        apply: (state, observations [B, O]) -> beta [B].
        update: (state, observations [B, O], slack_fn, trusted [B], step) -> (state, metrics), one gradient step;
            `step` is the number of updates so far including this one.
        mask_regularizer: whether the regularizer acts on trusted transitions only.
    """

    init: Callable[[Key, Array], Any]
    apply: Callable[[Any, Array], Array]
    update: Callable[[Any, Array, SlackFn, Array, Array], tuple[Any, Metrics]]
    mask_regularizer: bool

    def weight(self, state: Any, observations: Array, trusted: Array, annealing: Array | float) -> Array:
        """Computes the weight of the regularizer, beta(s) * mask * annealing, without a gradient.

        Args:
            state: the coefficient's state.
            observations: [B, O].
            trusted: [B], 1 for transitions of the selected sub-dataset, else 0.
            annealing: factor of the online phase, scalar; 1 offline.

        Returns:
            Weights, [B].
        """
        beta = jax.lax.stop_gradient(self.apply(state, observations))
        return beta * (trusted if self.mask_regularizer else 1.0) * annealing
