"""Shared types, and the legend of shapes used in every docstring.

Shapes: [S] seeds, [B] batch, [O] observation size, [A] action size, [E] ensemble members,
[K] sampled actions per state, [N] dataset rows.
"""

from typing import Any, NamedTuple

import jax
import numpy as np

Array = jax.Array
AnyArray = jax.Array | np.ndarray
"""An array on a device or on the host."""
Key = jax.Array
"""A typed key made by `jax.random.key`; used once, split by name."""
Params = Any
"""A pytree of arrays."""


class Batch(NamedTuple):
    """A minibatch of transitions.

    Attributes:
        observations: [B, O], normalised where the algorithm normalises.
        actions: [B, A], within [-1, 1].
        rewards: [B], after the task's reward map.
        masks: [B], 1 - terminated; a time-out never zeroes a mask.
        next_observations: [B, O].
        trusted: [B], 1 for rows of the selected sub-dataset, else 0.
    """

    observations: Array
    actions: Array
    rewards: Array
    masks: Array
    next_observations: Array
    trusted: Array


class Average(NamedTuple):
    """A metric as (total, weight), so that values of skipped steps do not dilute a mean.

    Attributes:
        total: scalar, the weighted sum.
        weight: scalar, 0 where the metric does not occur in an update.
    """

    total: Array
    weight: Array


Metrics = dict[str, Average]
"""Metrics of one or several updates by name, `group/name`; added up leaf by leaf."""
