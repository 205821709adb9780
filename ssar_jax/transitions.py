"""The record of transitions that datasets, the training loop and replay buffers share."""

from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

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
        extras: the columns that the algorithm declares in addition, by name, each [...] or [..., D]; see
            `EpisodeColumn`.
    """

    observations: Column
    actions: Column
    rewards: Column
    masks: Column
    next_observations: Column
    extras: Mapping[str, Column] = {}

    def columns(self) -> dict[str, Column]:
        """Returns the five columns that all transitions have, by name."""
        return {name: getattr(self, name) for name in COLUMNS}


COLUMNS = tuple(name for name in Transitions._fields if name != "extras")
"""The names of the five columns that all transitions have."""


class EpisodeColumn(NamedTuple):
    """A column of transitions that an algorithm declares and that is computed from whole episodes, on the host.

    In a dataset it is computed once. Online it is known when an episode has ended.

    Attributes:
        name: its name in `Transitions.extras` and `Batch.extras`.
        compute: (transitions of whole episodes, [T, ...]; whether a row is the last one of its episode, [T] bool) ->
            the column, [T] or [T, D]. Observations, actions and rewards are scaled as the networks get them.
        unknown: the value in the rows of an episode that has not ended.
    """

    name: str
    compute: Callable[["Transitions[Any]", Any], Any]
    unknown: float
