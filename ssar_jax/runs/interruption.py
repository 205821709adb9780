"""Ctrl-C and SIGTERM, recorded so that a training loop can stop between chunks."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_STDERR = 2


class Interruption:
    """A record of whether the process was asked to stop.

    Attributes:
        signal_number: number of the signal received; None if there was none.
        activity: what is still done after a signal, for the message that it prints.
    """

    signal_number: int | None = None
    activity: str = "stopping after what is in progress"

    def requested(self) -> bool:
        """Whether a signal asks to stop."""
        return self.signal_number is not None

    @property
    def exit_status(self) -> int:
        """Exit status: 128 + the signal's number, as shells report it; 0 without a signal."""
        return 128 + self.signal_number if self.signal_number else 0

    def announce(self, place: str) -> int:
        """Prints where the run stopped and how to resume it.

        Args:
            place: the step, such as `update 1,000`.

        Returns:
            The exit status.
        """
        print(f"stopped at {place}; rerun the command with --resume to continue")
        return self.exit_status


@contextmanager
def watch_signals() -> Iterator[Interruption]:
    """Records the first SIGINT or SIGTERM and says what is still done; the second one has its usual effect.

    An exception raised by a signal handler during a compilation ends the process with a segmentation fault, so
    everything that compiles should run inside this context. Only the main thread receives signals; in other threads
    none is ever recorded.

    Yields:
        The record.
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
        name = signal.Signals(number).name
        message = f"\n{name}: {interruption.activity}; a second signal ends the process at once\n"
        # Not print, which fails if the signal came while the main thread was printing.
        with contextlib.suppress(OSError):  # stderr is closed
            os.write(_STDERR, message.encode())

    for number in previous:
        signal.signal(number, handle)
    try:
        yield interruption
    finally:
        restore()
