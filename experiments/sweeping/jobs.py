"""A planned run in a process of its own, and what became of it."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from experiments.cli import children
from experiments.sweeping import cores
from experiments.sweeping.plan import PlannedRun
from ssar_jax.runs.folder import IN_USE

Status = Literal["finished", "finished before", "stopped", "diverged", "failed", "in use elsewhere", "not started"]


class Outcome(NamedTuple):
    """What became of a run.

    Attributes:
        status: in a few words.
        seconds: that its process took.
        message: why, where it is not finished.
    """

    status: Status
    seconds: float = 0.0
    message: str = ""


class Job:
    """The process of a run, which prints into the run's log.

    Args:
        run: what to start, or to continue.
        share: the cores that it may use.
        environment: its variables besides those of this process.
    """

    def __init__(self, run: PlannedRun, share: Sequence[int], environment: Mapping[str, str]) -> None:
        self.run = run
        self._begin = time.monotonic()
        run.log.parent.mkdir(parents=True, exist_ok=True)
        with run.log.open("ab") as log, cores.bind(share):
            log.write(f"$ {run.command_text()}\n".encode())
            log.flush()
            self._printed_from = log.tell()
            self._process = subprocess.Popen(
                run.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
                # With this process's group, Ctrl-C at a terminal would reach it twice, and the second one kills.
                process_group=0,
            )

    def last_line(self) -> str:
        """The last line that it printed."""
        with self.run.log.open("rb") as log:
            log.seek(self._printed_from)
            lines = log.read().decode(errors="replace").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def is_preparing(self) -> bool:
        """Whether it may be making or selecting its data."""
        return not (self.run.folder / "data.json").exists()

    def send(self, number: int) -> None:
        """Sends it a signal."""
        self._process.send_signal(number)

    def outcome(self) -> Outcome | None:
        """What became of it; None while it runs."""
        status = self._process.poll()
        if status is None:
            return None
        seconds = time.monotonic() - self._begin
        if status == 0:
            return Outcome("finished", seconds)
        line = self.last_line().removeprefix("error: ")
        if line.startswith(f"{IN_USE} {self.run.folder}:"):
            return Outcome("in use elsewhere", seconds)
        ending = 128 - status if status < 0 else status  # as a shell reports a signal
        if ending in (128 + signal.SIGINT, 128 + signal.SIGTERM):
            return Outcome("stopped", seconds)
        failed = "diverged" if self.run.state() == "diverged" else "failed"
        return Outcome(failed, seconds, children.reason(status, line))

    def kill(self) -> None:
        """Ends it at once."""
        self._process.kill()
        self._process.wait()
