"""Shared types, and the legend of shapes used in every docstring.

Shapes: [S] seeds, [B] minibatch size, [O] observation size, [A] action size, [E] ensemble members, [K] sampled
actions per state, [H] width of a hidden layer, [N] dataset rows.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

Array = jax.Array
AnyArray = jax.Array | np.ndarray
"""An array on a device or on the host."""
Key = jax.Array
"""A typed random key from `jax.random.key`; each key is used once."""
Params = Any
"""The parameters of a network, a pytree of arrays."""


class Batch(NamedTuple):
    """A minibatch of transitions.

    Attributes:
        observations: [B, O], normalized if the config normalizes states.
        actions: [B, A], within [-1, 1].
        rewards: [B], after the task's scale and bias.
        masks: [B], 1 - terminated; a time-out keeps its mask of 1.
        next_observations: [B, O], normalized like `observations`.
        trusted: [B], 1 for transitions of the selected sub-dataset, else 0.
        extras: the columns of `Algorithm.columns` by name, each [B] or [B, D].
    """

    observations: Array
    actions: Array
    rewards: Array
    masks: Array
    next_observations: Array
    trusted: Array
    extras: Mapping[str, Array] = {}


class TrainState(NamedTuple):
    """The parameters and the optimizer state of one network.

    It holds data only, so that it can be saved, stacked, vmapped and sharded.

    Attributes:
        params: the network's parameters.
        opt_state: the state of its Optax optimizer.
    """

    params: Params
    opt_state: optax.OptState


class Average(NamedTuple):
    """A metric as a weighted sum and its weight, so that skipped updates do not enter the mean.

    Attributes:
        total: scalar, the sum of the values times their weights.
        weight: scalar, the sum of the weights; 0 if the metric did not occur.
    """

    total: Array
    weight: Array


Metrics = dict[str, Average]
"""Metrics of one or more updates, by name (`group/name`); metrics of several updates are added leaf by leaf."""
