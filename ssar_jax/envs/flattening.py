"""Environments with dictionary observations as environments with vectors, in the order of the datasets."""

from collections.abc import Iterator, Mapping
from typing import Any

import gymnasium
import numpy as np

from ssar_jax.errors import UserError
from ssar_jax.observations import Entry, Layout, arrange


class VectorObservations(gymnasium.ObservationWrapper):
    """Concatenates the arrays of dictionary observations.

    Args:
        env: An environment with dictionary observations.
        layout: The arrays and their order.
    """

    def __init__(self, env: gymnasium.Env, layout: Layout) -> None:
        super().__init__(env)
        self._layout = layout
        low, high = (layout.concatenate(_bounds(env.observation_space, side)) for side in ("low", "high"))
        self.observation_space = gymnasium.spaces.Box(low, high, dtype=low.dtype.type)

    def observation(self, observation: Mapping[str, Any]) -> np.ndarray:
        """Return the vector [O] of an observation."""
        return self._layout.concatenate(observation)


def with_vectors(env: gymnasium.Env, name: str) -> gymnasium.Env:
    """Return an environment whose observations are vectors, if it has dictionaries; else the environment itself.

    Args:
        env: The environment.
        name: Its id, which messages name and which tells AntMaze.

    Raises:
        UserError: An entry of the dictionaries is not an array of numbers.
    """
    layout = layout_of(env, name)
    return env if layout is None else VectorObservations(env, layout)


def layout_of(env: gymnasium.Env, name: str) -> Layout | None:
    """Return the layout of an environment's dictionary observations, or None if they are no dictionaries.

    Args:
        env: The environment.
        name: Its id, which messages name and which tells AntMaze.

    Raises:
        UserError: An entry of the dictionaries is not an array of numbers.
    """
    if isinstance(env, VectorObservations):
        return layout_of(env.env, name)
    space = env.observation_space
    return arrange(_entries(space, name), name) if isinstance(space, gymnasium.spaces.Dict) else None


def _entries(space: gymnasium.spaces.Dict, name: str, path: tuple[str, ...] = ()) -> Iterator[Entry]:
    for key, inner in space.spaces.items():
        if isinstance(inner, gymnasium.spaces.Dict):
            yield from _entries(inner, name, (*path, key))
        elif isinstance(inner, gymnasium.spaces.Box):
            yield Entry((*path, key), inner.shape)
        else:
            raise UserError(
                f"environment {name}: its observation {'.'.join((*path, key))} is {inner}, and only arrays of numbers "
                "(Box) and dictionaries of them can be used; wrap the environment, such as with FlattenObservation, "
                "and register it"
            )


def _bounds(space: gymnasium.Space, side: str) -> Any:
    """Return the bounds of a space of arrays, `low` or `high`, in the same dictionaries."""
    if isinstance(space, gymnasium.spaces.Dict):
        return {key: _bounds(inner, side) for key, inner in space.spaces.items()}
    return getattr(space, side)
