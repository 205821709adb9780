"""Ctrl-C and SIGTERM as a question that a training loop asks between chunks."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interruption:
    """Whether the process was asked to stop.

    Attributes:
        signal_number: the signal, None as long as there was none.
    """

    signal_number: int | None = None

    @property
    def exit_status(self) -> int:
        """128 + the signal's number, as shells report it; 0 without a signal."""
        return 128 + self.signal_number if self.signal_number else 0


@contextmanager
def watch_signals() -> Iterator[Interruption]:
    """Catches the first SIGINT or SIGTERM; the second acts as it would have without us."""
    interruption = Interruption()
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    def handle(number: int, frame: FrameType | None) -> None:
        del frame
        interruption.signal_number = number
        restore()

    for number in previous:
        signal.signal(number, handle)
    try:
        yield interruption
    finally:
        restore()
