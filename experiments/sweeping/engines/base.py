"""What a sweep asks of an engine, and what all engines share.

A new engine is one file here with these two classes and a line in `choose.py`.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from experiments.sweeping.outcomes import Outcome
from experiments.sweeping.plan import PlannedRun

ON = "# on "
"""First characters of the line in a log that names the machine, after the line of the command."""

_TAIL_BYTES = 2**16


class Job(Protocol):
    """A run that an engine has accepted; it may still wait for a machine."""

    @property
    def run(self) -> PlannedRun:
        """The run."""
        ...

    def last_line(self) -> str:
        """Returns the last line that the run printed; empty if it has not started."""
        ...

    def outcome(self) -> Outcome | None:
        """Returns its outcome, or None until it has ended."""
        ...

    def stop(self, number: int) -> None:
        """Asks it to save and to end.

        Args:
            number: number of the signal that this process received; engines that cannot send it send their own.
        """
        ...

    def kill(self) -> None:
        """Ends it at once, or as fast as the engine can."""
        ...


class Engine(Protocol):
    """A place that executes runs.

    Attributes:
        jobs: largest number of runs at a time.
        cores: number of cores of each run.
        gpus: number of GPUs of each run; a fraction if runs share a GPU.
        place: where the runs are executed, for messages, such as `this machine`.
        measures: whether `ask` measures where the runs are executed, instead of here.
        memory_bytes: memory of all machines together in bytes; None if it is unknown.
    """

    jobs: int
    cores: int
    gpus: float
    place: str
    measures: bool
    memory_bytes: int | None

    def check(self, root: Path) -> None:
        """Requires what only real runs need, such as a file system that all machines share.

        Args:
            root: folder of all run folders.

        Raises:
            UserError: if runs cannot be executed.
        """
        ...

    def ask(self, command: Sequence[str], *, failure: str) -> Any:
        """Runs a short program with the resources of a run, as `experiments.cli.children.ask` does."""
        ...

    def start(self, run: PlannedRun, slot: int) -> Job:
        """Starts or continues a run.

        Args:
            run: the run.
            slot: number of a free place, from 0 to `jobs` - 1.
        """
        ...

    def close(self) -> None:
        """Gives back what the engine holds; called once, after all of its jobs have ended or were killed."""
        ...


def last_line(run: PlannedRun) -> str:
    """Returns the last line in the log of a run, with the machine if the log names it; empty if there is none.

    Args:
        run: the run.
    """
    try:
        with run.log.open("rb") as log:
            log.seek(max(log.seek(0, os.SEEK_END) - _TAIL_BYTES, 0))
            lines = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    except FileNotFoundError:
        return ""
    places = [line.removeprefix(ON) for line in lines if line.startswith(ON)]
    line = lines[-1] if lines and not lines[-1].startswith(("$ ", ON)) else ""
    return ": ".join(filter(None, [*places[-1:], line]))


def log_size(run: PlannedRun) -> int:
    """Returns the bytes in the log of a run, which grow when it is started or continued; 0 if there is no log.

    Args:
        run: the run.
    """
    return run.log.stat().st_size if run.log.exists() else 0
