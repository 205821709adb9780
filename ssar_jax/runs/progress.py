"""Progress of a run: the steps at which its loop stops, and the line that shows how far it is."""

import sys
import time
from collections.abc import Iterator

_SECONDS_BETWEEN_LINES = 10.0


def stops(first: int, total: int, *intervals: int) -> Iterator[int]:
    """Iterates over the steps after which a run logs, evaluates or saves: the multiples of all intervals and the end.

    Args:
        first: number of steps already done.
        total: number of steps at the end.
        *intervals: numbers of steps, such as those between evaluations and between checkpoints.

    Yields:
        The steps in ascending order, each once.
    """
    step = first
    while step < total:
        step = min([total, *((step // interval + 1) * interval for interval in intervals)])
        yield step


class Progress:
    """A progress line with steps per second, the time left and the last score.

    On a terminal the line is overwritten; elsewhere a new line is printed at most every ten seconds.

    Args:
        total: number of steps at the end.
        num_seeds: number of seeds S, which train at the same time.
        unit: name of a step in the plural.

    Attributes:
        score: text shown at the end of the line.
    """

    def __init__(self, total: int, num_seeds: int, unit: str = "updates") -> None:
        self._unit = unit
        self._total, self._num_seeds = total, num_seeds
        self._last_time = time.monotonic()
        self._seconds_per_step: float | None = None
        self._terminal = sys.stdout.isatty()
        self.score = ""

    def show(self, step: int, training_seconds: float, updates: int) -> None:
        """Updates the line after a chunk of steps.

        Args:
            step: number of steps done.
            training_seconds: duration of the chunk in s.
            updates: number of steps in the chunk.
        """
        # Averages times, not rates: warm-up steps take almost no time, and their rates would dominate the estimate.
        seconds = training_seconds / updates
        last = self._seconds_per_step
        self._seconds_per_step = seconds if last is None else 0.8 * last + 0.2 * seconds
        now = time.monotonic()
        if not self._terminal and now - self._last_time < _SECONDS_BETWEEN_LINES and step < self._total:
            return
        self._last_time = now
        seeds = f" x {self._num_seeds} seeds" if self._num_seeds > 1 else ""
        rate = f"{1.0 / self._seconds_per_step:.0f} {self._unit}/s{seeds}"
        left = _duration((self._total - step) * self._seconds_per_step)
        text = f"{step:,} of {self._total:,} {self._unit}, {rate}, {left} left{self.score}"
        print(f"\r\033[K{text}" if self._terminal else text, end="" if self._terminal else "\n", flush=True)

    def line(self, text: str) -> None:
        """Prints a line that is not overwritten.

        Args:
            text: the line, without a newline.
        """
        print(f"\r\033[K{text}" if self._terminal else text, flush=True)

    def close(self) -> None:
        """Ends the overwritten line."""
        if self._terminal:
            print()


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
