"""The layout of dictionary observations: which entries become the vector of a network, and in which order.

Datasets, environments and policies use this one order, that of Gymnasium's `FlattenObservation` for dictionaries with
sorted keys: alphabetical in every dictionary, and row by row within an array.
"""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ssar_jax.errors import UserError


class Entry(NamedTuple):
    """An array of a dictionary observation.

    Attributes:
        path: its keys, from the outermost dictionary inwards.
        shape: its shape in one observation.
    """

    path: tuple[str, ...]
    shape: tuple[int, ...]

    @property
    def name(self) -> str:
        """Its keys joined by dots."""
        return ".".join(self.path)

    @property
    def size(self) -> int:
        """Number of its values."""
        return math.prod(self.shape)


class Layout(NamedTuple):
    """The entries of a dictionary observation that are concatenated, in their order.

    Attributes:
        entries: the entries; the others are left out.
    """

    entries: tuple[Entry, ...]

    def __str__(self) -> str:
        """Names and sizes, such as `achieved_goal (2), observation (27)`."""
        return ", ".join(f"{entry.name} ({entry.size})" for entry in self.entries)

    def concatenate(self, observations: Mapping[str, Any]) -> np.ndarray:
        """Concatenates the entries.

        Args:
            observations: nested dictionaries of arrays; all have the same leading axes.

        Returns:
            The vectors, [..., O].

        Raises:
            UserError: if an entry is missing or has another shape.
        """
        parts = []
        for entry in self.entries:
            array: Any = observations
            for key in entry.path:
                if not isinstance(array, Mapping) or key not in array:
                    raise UserError(f"the observation has no {entry.name}: it needs {self}")
                array = array[key]
            array = np.asarray(array)
            leading = array.shape[: array.ndim - len(entry.shape)]
            if array.shape != (*leading, *entry.shape):
                raise UserError(
                    f"the observation's {entry.name} has shape {array.shape}: it needs [..., {entry.shape}]"
                )
            parts.append(array.reshape(*leading, entry.size))
        return np.concatenate(parts, axis=-1)

    def to_json(self) -> str:
        """Returns the layout as text, which `from_json` reads."""
        return json.dumps(self.entries)

    @classmethod
    def from_json(cls, text: str) -> "Layout":
        """Reads a text written by `to_json`."""
        return cls(tuple(Entry(tuple(path), tuple(shape)) for path, shape in json.loads(text)))


def arrange(entries: Iterable[Entry], environment: str | None) -> Layout:
    """Chooses and orders the entries of an observation.

    All entries are used, in alphabetical order. Only AntMaze differs: as in D4RL's files, its observation is the
    position and then the rest, without the goal.

    Args:
        entries: all entries, in any order.
        environment: id of the environment that they are from; None if it is unknown.
    """
    by_path = {entry.path: entry for entry in entries}
    if environment is not None and is_antmaze(environment) and by_path.keys() == _GOAL_KEYS:
        return Layout((by_path["achieved_goal",], by_path["observation",]))
    return Layout(tuple(by_path[path] for path in sorted(by_path)))


_GOAL_KEYS = {("achieved_goal",), ("desired_goal",), ("observation",)}


def is_antmaze(environment: str) -> bool:
    """Whether an id, with or without a module and a namespace, is that of Gymnasium-Robotics' AntMaze.

    Args:
        environment: id of an environment, such as `AntMaze_UMaze-v5`.
    """
    return environment.rpartition(":")[2].rpartition("/")[2].startswith("AntMaze")
