"""Ctrl-C and SIGTERM as a question that a training loop asks between chunks."""

import signal
import threading
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

    def announce(self, place: str) -> int:
        """Says where a run stopped and how it goes on; returns the exit status."""
        print(f"stopped at {place}; to go on, repeat the command with --resume")
        return self.exit_status


@contextmanager
def watch_signals() -> Iterator[Interruption]:
    """Catches the first SIGINT or SIGTERM; the second acts as it would have without us.

    An exception out of a signal handler in the midst of a compilation ends the process with a segmentation fault, so
    whatever compiles does so in here. Only the main thread hears signals; elsewhere there is never one.
    """
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
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
