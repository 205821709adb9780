"""A planned run as a subprocess, and its outcome."""

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
"""How a run ended; `in use elsewhere` if another process writes to its folder."""


class Outcome(NamedTuple):
    """The outcome of a run.

    Attributes:
        status: how it ended.
        seconds: wall time of its process in s.
        message: the reason, if it did not finish.
    """

    status: Status
    seconds: float = 0.0
    message: str = ""


class Job:
    """The subprocess of a run, which prints into the run's log.

    Args:
        run: the run that it starts or continues.
        share: the cores that it may use.
        environment: environment variables in addition to those of this process.
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
                # In this process's group, Ctrl-C at a terminal would reach it twice, and the second one kills it.
                process_group=0,
            )

    def last_line(self) -> str:
        """Returns the last line that it printed."""
        with self.run.log.open("rb") as log:
            log.seek(self._printed_from)
            lines = log.read().decode(errors="replace").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def is_preparing(self) -> bool:
        """Returns whether it may still be generating or selecting its data."""
        return not (self.run.folder / "data.json").exists()

    def send(self, number: int) -> None:
        """Sends a signal to the process.

        Args:
            number: number of the signal.
        """
        self._process.send_signal(number)

    def outcome(self) -> Outcome | None:
        """Returns its outcome, or None while it runs."""
        status = self._process.poll()
        if status is None:
            return None
        seconds = time.monotonic() - self._begin
        if status == 0:
            return Outcome(status="finished", seconds=seconds)
        line = self.last_line().removeprefix("error: ")
        if line.startswith(f"{IN_USE} {self.run.folder}:"):
            return Outcome(status="in use elsewhere", seconds=seconds)
        ending = 128 - status if status < 0 else status  # as a shell reports a signal
        if ending in (128 + signal.SIGINT, 128 + signal.SIGTERM):
            return Outcome(status="stopped", seconds=seconds)
        failed = "diverged" if self.run.state() == "diverged" else "failed"
        return Outcome(status=failed, seconds=seconds, message=children.reason(status, line))

    def kill(self) -> None:
        """Kills the process."""
        self._process.kill()
        self._process.wait()
