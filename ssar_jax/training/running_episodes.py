"""The training episodes in progress, kept for the columns that are computed from whole episodes."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ssar_jax.data.columns import with_columns
from ssar_jax.transitions import COLUMNS, EpisodeColumn, Transitions


class Filling(NamedTuple):
    """Values for the rows of transitions in the replay buffers, of at most L transitions per seed.

    Attributes:
        first: number of the first transition, [S].
        stop: number after the last one, [S]; `first` if there is none.
        values: the columns by name, [S, L] or [S, L, D]; zeros after the last one.
    """

    first: np.ndarray
    stop: np.ndarray
    values: Mapping[str, np.ndarray]


class RunningEpisodes:
    """The transitions of S episodes in progress.

    Args:
        columns: the columns to compute when an episode has ended.
        num_seeds: number of episodes S.
    """

    BLOCK = 1_024
    """Number L of transitions in a filling: one length, so that one program fills in every episode."""

    def __init__(self, columns: Sequence[EpisodeColumn], num_seeds: int) -> None:
        self._columns = columns
        self._rows: list[list[Transitions[np.ndarray]]] = [[] for _ in range(num_seeds)]

    def add(self, transitions: Transitions[np.ndarray]) -> None:
        """Adds one transition to every episode.

        Args:
            transitions: one transition per seed, [S, ...], as it is stored in the replay buffer.
        """
        for s, rows in enumerate(self._rows):
            rows.append(Transitions(**{name: column[s] for name, column in transitions.columns().items()}))

    def end(self, ended: Sequence[int], steps: int) -> list[Filling]:
        """Ends episodes and computes their columns.

        Args:
            ended: the seeds, by index, whose episodes have ended.
            steps: number of transitions per seed so far, including the last ones of these episodes.

        Returns:
            The values for the replay buffers, one filling per `BLOCK` rows of the longest episode.
        """
        computed = {s: self._compute(s) for s in ended}
        lengths = {s: len(self._rows[s]) for s in ended}
        for s in ended:
            self._rows[s] = []
        blocks = range(0, max(lengths.values(), default=0), self.BLOCK)
        return [self._block(computed, lengths, steps, start) for start in blocks]

    def restore(self, transitions: Transitions[np.ndarray], lengths: Sequence[int], steps: int) -> None:
        """Replaces the episodes by those in progress in the replay buffers.

        Args:
            transitions: the rows of the buffers, [S, R, ...], in which transition t is in row t modulo R.
            lengths: number of transitions of each episode in progress, [S].
            steps: number of transitions per seed so far.
        """
        size = transitions.rewards.shape[1]
        for s, length in enumerate(lengths):
            columns = transitions.columns().items()
            self._rows[s] = [
                Transitions(**{name: column[s, number % size] for name, column in columns})
                for number in range(steps - length, steps)
            ]

    def _compute(self, s: int) -> Mapping[str, np.ndarray]:
        rows = self._rows[s]
        columns: Any = {name: np.stack([getattr(row, name) for row in rows]) for name in COLUMNS}
        episode = Transitions(**columns)
        return with_columns(episode, np.arange(len(rows)) == len(rows) - 1, self._columns).extras

    def _block(
        self, computed: Mapping[int, Mapping[str, np.ndarray]], lengths: Mapping[int, int], steps: int, start: int
    ) -> Filling:
        """Returns the rows `start` to `start + BLOCK` of the episodes."""
        first, stop = np.zeros((2, len(self._rows)), np.int32)
        example = next(iter(computed.values()))
        values = {name: np.zeros((len(first), self.BLOCK, *v.shape[1:]), np.float32) for name, v in example.items()}
        for s, columns in computed.items():
            count = min(max(lengths[s] - start, 0), self.BLOCK)
            first[s] = steps - lengths[s] + start
            stop[s] = first[s] + count
            for name, column in columns.items():
                values[name][s, :count] = column[start : start + count]
        return Filling(first, stop, values)
