"""Batches of environments: a batched simulator where this library knows the dynamics, else one environment each."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np


class Outcome(NamedTuple):
    """Result of one step in n environments.

    Attributes:
        observations: Observations after the step, [n, O].
        rewards: Raw rewards, [n] float64.
        terminated: Whether the environment terminated, [n] bool.
        truncated: Whether the time limit was reached, [n] bool.
        infos: What the environments report in addition, n dictionaries; empty from a simulator.
    """

    observations: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    infos: Sequence[dict[str, Any]]


class EnvBatch(Protocol):
    """N environments of one kind. Episodes begin with `reset` alone, so whoever steps them decides what follows an end.

    Attributes:
        num_envs: Number of environments N.
    """

    num_envs: int

    def reset(self, index: int, seed: int | None = None) -> np.ndarray:
        """Start an episode in one environment.

        Args:
            index: The environment.
            seed: Seed of the episode; None continues the environment's own random numbers.

        Returns:
            The first observation, [O].
        """
        ...

    def step(self, actions: np.ndarray, rows: Sequence[int] | None = None) -> Outcome:
        """Take one step in some environments.

        Args:
            actions: Actions within the environments' bounds, [n, A].
            rows: The n environments; None for all.

        Returns:
            The outcome, in the order of `rows`.
        """
        ...

    def save(self) -> list[Any]:
        """Return the state of every environment, see `envs.snapshot`."""
        ...

    def restore(self, saved: Sequence[Any]) -> None:
        """Restore what `save` returned, bit for bit."""
        ...

    def close(self) -> None:
        """Close the environments."""
        ...
