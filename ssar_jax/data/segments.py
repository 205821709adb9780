"""Segments of consecutive rows, the trajectories of a dataset, and sums over them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ssar_jax.errors import UserError

Tail = Literal["keep", "drop_open", "drop"]

_BLOCK = 65_536  # rows that are compared together, so that no array of all differences is made


@dataclass(frozen=True, eq=False)
class Segments:
    """Consecutive segments of rows, the first of which starts at row 0.

    Attributes:
        stops: Row after the last one of each segment, [M] int64, increasing.
        num_rows: Number N of rows; those from `stops[-1]` on belong to no segment.
    """

    stops: np.ndarray
    num_rows: int

    @classmethod
    def from_ends(cls, ends: np.ndarray) -> "Segments":
        """Cut after every row in which `ends` [N] is true, and after the last row."""
        closed = ends.astype(bool)
        if closed.size:
            closed[-1] = True
        return cls(np.flatnonzero(closed) + 1, closed.size)

    def __len__(self) -> int:
        """Return the number M of segments."""
        return self.stops.size

    @property
    def starts(self) -> np.ndarray:
        """First row of each segment, [M] int64."""
        return np.concatenate([[0], self.stops])[:-1].astype(np.int64)

    @property
    def ends(self) -> np.ndarray:
        """Whether a row is the last one of a segment, [N] bool."""
        ends = np.zeros(self.num_rows, bool)
        ends[self.stops - 1] = True
        return ends

    @property
    def lengths(self) -> np.ndarray:
        """Number of rows of each segment, [M] int64."""
        return self.stops - self.starts

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Return the sum of `values` [N] over each segment in float64, [M]."""
        if not len(self):
            return np.zeros(0)
        return np.add.reduceat(values[: self.stops[-1]].astype(np.float64), self.starts)

    def spread(self, flags: np.ndarray) -> np.ndarray:
        """Return each row's value of `flags` [M] for its segment, [N]; 0 for rows outside all segments."""
        rows = np.zeros(self.num_rows, flags.dtype)
        covered = int(self.stops[-1]) if len(self) else 0
        rows[:covered] = np.repeat(flags, self.lengths)
        return rows

    def rows_of(self, order: np.ndarray) -> np.ndarray:
        """Return the row numbers [n] int64 of the segments `order` [K], segment by segment."""
        lengths = self.lengths[order]
        first_in_result = np.cumsum(lengths) - lengths
        return np.repeat(self.starts[order] - first_in_result, lengths) + np.arange(lengths.sum())


def find_segments(
    observations: np.ndarray,
    next_observations: np.ndarray,
    masks: np.ndarray,
    *,
    tolerance: float = 1e-6,
    max_steps: int | None = None,
    tail: Tail = "keep",
) -> Segments:
    """Cut transitions into trajectories where masks or jumps between rows show an end.

    A segment ends at row t if `masks[t]` is 0, if `||observations[t+1] - next_observations[t]|| > tolerance`,
    if it has `max_steps` rows, or if t is the last row.

    Args:
        observations: [N, O].
        next_observations: [N, O].
        masks: 0 at terminal rows, 1 elsewhere, [N].
        tolerance: Largest jump between two rows of one trajectory; infinity ignores jumps.
        max_steps: Largest number of rows of a segment; None is unlimited.
        tail: Whether the segment with the last row counts: `keep` keeps it, `drop_open` drops it unless a terminal
            or `max_steps` ends it, `drop` always drops it.

    Returns:
        The segments.

    Raises:
        UserError: `max_steps` is not positive.
    """
    closed = masks == 0
    closed[:-1] |= find_jumps(observations, next_observations, tolerance=tolerance)
    return cut(closed, max_steps=max_steps, tail=tail)


def find_jumps(observations: np.ndarray, next_observations: np.ndarray, *, tolerance: float = 1e-6) -> np.ndarray:
    """Return whether the row after row t is another state than the next observation of row t, [N - 1] bool.

    Args:
        observations: [N, O].
        next_observations: [N, O].
        tolerance: Largest distance, in the Euclidean norm, of two observations that count as the same.
    """
    jumps = np.empty(len(observations) - 1, bool)
    for start in range(0, jumps.size, _BLOCK):
        rows = slice(start, min(start + _BLOCK, jumps.size))
        distance = observations[1:][rows] - next_observations[:-1][rows]
        jumps[rows] = np.einsum("no,no->n", distance, distance) > tolerance**2
    return jumps


def cut(closed: np.ndarray, *, max_steps: int | None = None, tail: Tail = "keep") -> Segments:
    """Cut after every row in which `closed` is true and after `max_steps` rows.

    Args:
        closed: Whether a trajectory ends in this row, [N] bool.
        max_steps: See `find_segments`.
        tail: See `find_segments`.

    Returns:
        The segments.

    Raises:
        UserError: `max_steps` is not positive.
    """
    if max_steps is not None and max_steps < 1:
        raise UserError(f"max_steps must be at least 1, not {max_steps}")
    num_rows = closed.size
    ends = Segments.from_ends(closed)
    if max_steps is not None:
        # The position counts from the last end, so every multiple of max_steps is a cut.
        position = np.arange(num_rows) - np.repeat(ends.starts, ends.lengths)
        closed = closed | (position % max_steps == max_steps - 1)
        ends = Segments.from_ends(closed)
    if tail == "drop" or (tail == "drop_open" and not closed[-1]):
        return Segments(ends.stops[:-1], num_rows)
    return ends
