"""The record of transitions that datasets, the training loop and replay buffers share."""

from typing import Generic, NamedTuple, TypeVar

Column = TypeVar("Column")
"""What a column is: `np.ndarray` on the host, `jax.Array` on a device."""


class Transitions(NamedTuple, Generic[Column]):
    """Columns of transitions with the same leading axes [...].

    A dataset has the leading axis [N], one step in several environments [S], and the replay buffers of several
    seeds [S, R]. Move columns by name (`_asdict`, `_replace`, `jax.tree.map`), never by position.

    Attributes:
        observations: [..., O].
        actions: [..., A], in [-1, 1].
        rewards: [...].
        masks: [...], 1 - terminated; a time limit never zeroes a mask.
        next_observations: [..., O].
    """

    observations: Column
    actions: Column
    rewards: Column
    masks: Column
    next_observations: Column
