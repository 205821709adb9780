"""Runs of consecutive rows: where trajectories begin and end, and sums over them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Tail = Literal["keep", "drop_open", "drop"]


@dataclass(frozen=True, eq=False)
class Segments:
    """Consecutive runs of rows, the first of which begins at row 0.

    Attributes:
        stops: Row after the last one of each segment, [M] int64, rising.
        num_rows: Number N of rows; those from `stops[-1]` on belong to no segment.
    """

    stops: np.ndarray
    num_rows: int

    @classmethod
    def from_ends(cls, ends: np.ndarray) -> "Segments":
        """Cut after every row with `ends` [N] true; the last row always ends a segment."""
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
        """Sum `values` [N] over each segment in float64, [M]."""
        if not len(self):
            return np.zeros(0)
        return np.add.reduceat(values[: self.stops[-1]].astype(np.float64), self.starts)

    def sums_float32(self, values: np.ndarray) -> np.ndarray:
        """Sum `values` [N] over each segment, one row after the other in float32, [M].

        Published return thresholds were applied to sums that were accumulated like this, so a trajectory at
        the edge of a threshold falls on the same side only if every rounding is repeated.
        """
        values = values.astype(np.float32)
        starts, lengths = self.starts, self.lengths
        totals = np.zeros(len(self), np.float32)
        longest = int(lengths.max(initial=0))
        if len(self) <= longest:  # few long segments: go through the segments
            for i, (start, stop) in enumerate(zip(starts, self.stops, strict=True)):
                totals[i] = np.cumsum(values[start:stop], dtype=np.float32)[-1]
            return totals
        # Many short segments: add the t-th row of all that have one. Longest first, so they form a prefix.
        order = np.argsort(-lengths, kind="stable")
        starts, running = starts[order], np.zeros(len(self), np.float32)
        num_longer = len(self) - np.searchsorted(np.sort(lengths), np.arange(longest), side="right")
        for t, n in enumerate(num_longer):
            running[:n] += values[starts[:n] + t]
        totals[order] = running
        return totals

    def spread(self, flags: np.ndarray) -> np.ndarray:
        """Give every row the flag of its segment: [M] -> [N]; rows outside all segments get 0."""
        rows = np.zeros(self.num_rows, flags.dtype)
        covered = int(self.stops[-1]) if len(self) else 0
        rows[:covered] = np.repeat(flags, self.lengths)
        return rows

    def rows_of(self, order: np.ndarray) -> np.ndarray:
        """Return the row numbers of the segments `order` [K], one segment after the other, int64."""
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
    """Cut transitions into trajectories by what the rows themselves say.

    A segment ends at row t if `masks[t]` is 0, if `||observations[t+1] - next_observations[t]|| > tolerance`,
    if it has `max_steps` rows, or if t is the last row.

    Args:
        observations: [N, O].
        next_observations: [N, O].
        masks: 0 at terminal rows, 1 elsewhere, [N].
        tolerance: Largest jump between two rows of one trajectory; infinity ignores jumps.
        max_steps: Largest number of rows of a segment; None is unlimited.
        tail: What becomes of the segment that holds the last row. `keep` keeps it; `drop_open` leaves it out
            unless a terminal or `max_steps` closes it; `drop` leaves it out in any case.

    Returns:
        The segments.
    """
    closed = masks == 0
    jumps = observations[1:] - next_observations[:-1]
    closed[:-1] |= np.einsum("no,no->n", jumps, jumps) > tolerance**2
    return cut(closed, max_steps=max_steps, tail=tail)


def cut(closed: np.ndarray, *, max_steps: int | None = None, tail: Tail = "keep") -> Segments:
    """Cut after every row with `closed` [N] true and after `max_steps` rows; arguments as of `find_segments`."""
    num_rows = closed.size
    ends = Segments.from_ends(closed)
    if max_steps is not None:
        # Count from the start of each run: the counter restarts at every cut, so a multiple of max_steps is a
        # cut.
        position = np.arange(num_rows) - np.repeat(ends.starts, ends.lengths)
        closed = closed | (position % max_steps == max_steps - 1)
        ends = Segments.from_ends(closed)
    if tail == "drop" or (tail == "drop_open" and not closed[-1]):
        return Segments(ends.stops[:-1], num_rows)
    return ends
