"""Runs as subprocesses of this machine, each with its share of the cores and accelerators."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.cli import children
from experiments.sweeping import cores, devices, leash
from experiments.sweeping.engines import base
from experiments.sweeping.engines.process import Process
from experiments.sweeping.outcomes import Outcome, read_outcome
from experiments.sweeping.plan import PlannedRun

_LOCK_WAITS = (1.0, 2.0, 4.0, 8.0)
"""Seconds between tries to get a folder in which the run of a sweep that was killed may be saving."""


class LocalJob:
    """The subprocess of a run, which is tried again for a while if another process writes to its folder.

    Args:
        run: the run that it starts or continues.
        share: the cores that it may use.
        environment: environment variables in addition to those of this process.
    """

    def __init__(self, run: PlannedRun, share: Sequence[int], environment: dict[str, str]) -> None:
        self.run = run
        self._share, self._environment = share, environment
        self._begin, self._is_stopped = time.monotonic(), False
        self._waits = iter(_LOCK_WAITS)
        self._retry_at: float | None = None
        self._process = self._launch()

    def _launch(self) -> Process:
        with cores.bind(self._share):
            return Process(leash.leashed(self.run.command()), self.run.command_text(), self.run.log, self._environment)

    def last_line(self) -> str:
        """Returns the last line that it printed."""
        return self._process.last_line()

    def outcome(self) -> Outcome | None:
        """Returns its outcome, or None while it runs."""
        if self._retry_at is not None and not self._is_stopped:
            if time.monotonic() >= self._retry_at:
                self._retry_at, self._process = None, self._launch()
            return None
        status = self._process.poll()
        if status is None:
            return None
        outcome = read_outcome(self.run, status, time.monotonic() - self._begin, self._process.reason())
        wait = next(self._waits, None) if outcome.status == "in use elsewhere" and not self._is_stopped else None
        if wait is None:
            return outcome
        self._retry_at = time.monotonic() + wait
        return None

    def stop(self, number: int) -> None:
        """Sends a signal to the process, which is not started again.

        Args:
            number: number of the signal.
        """
        self._is_stopped = True
        self._process.send(number)

    def kill(self) -> None:
        """Kills the process."""
        self._process.kill()


class LocalEngine:
    """This machine; its cores and accelerators are divided among the jobs.

    Args:
        jobs: number of runs at a time.

    Raises:
        UserError: if there is no job, or there are more jobs than cores.
    """

    place = "this machine"
    measures = True

    def __init__(self, jobs: int) -> None:
        self._shares = cores.divide(jobs)
        self._environments = devices.divide(jobs)
        self.jobs, self.cores, self.gpus = jobs, len(self._shares[0]), len(devices.visible()) / jobs
        self.memory_bytes: int | None = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")

    def check(self, root: Path) -> None:
        """Requires nothing: the folder has been tried before.

        Args:
            root: folder of all run folders.
        """

    def ask(self, command: Sequence[str], *, failure: str) -> Any:
        """Runs a program with the cores and accelerators of the first job; see `children.ask`."""
        with cores.bind(self._shares[0]):
            return children.ask(command, failure=failure, environment=self._environments[0])

    def start(self, run: PlannedRun, slot: int) -> base.Job:
        """Starts or continues a run with a share of the machine.

        Args:
            run: the run.
            slot: number of the share.
        """
        return LocalJob(run, self._shares[slot], self._environments[slot])

    def close(self) -> None:
        """Does nothing: jobs that have ended hold nothing."""
