"""Progress of a run, one line at a time."""

import sys
import time

_SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Shows updates (or other steps) per second, the time left and the last score.

    On a terminal one line is overwritten; elsewhere lines follow each other, at most one in ten seconds.

    Args:
        total: steps at the end.
        num_seeds: S.
        unit: what is counted.
    """

    def __init__(self, total: int, num_seeds: int, unit: str = "updates") -> None:
        self._unit = unit
        self._total, self._num_seeds = total, num_seeds
        self._last_time = time.monotonic()
        self._seconds_per_step: float | None = None
        self._terminal = sys.stdout.isatty()
        self.score = ""

    def show(self, step: int, training_seconds: float, updates: int) -> None:
        """Reports a chunk.

        Args:
            step: steps done.
            training_seconds: time the chunk took.
            updates: steps in the chunk.
        """
        # The mean of times, not of rates: the steps of a warm-up take next to none, and would promise an early end.
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
        """Prints a line of its own."""
        print(f"\r\033[K{text}" if self._terminal else text, flush=True)

    def close(self) -> None:
        """Ends the overwritten line."""
        if self._terminal:
            print()


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
