"""Runs as subprocesses of this machine, each with its share of the cores and accelerators."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.cli import children
from experiments.sweeping import cores, devices
from experiments.sweeping.engines import base
from experiments.sweeping.engines.process import Process
from experiments.sweeping.outcomes import Outcome, read_outcome
from experiments.sweeping.plan import PlannedRun


class LocalJob:
    """The subprocess of a run.

    Args:
        run: the run that it starts or continues.
        share: the cores that it may use.
        environment: environment variables in addition to those of this process.
    """

    def __init__(self, run: PlannedRun, share: Sequence[int], environment: dict[str, str]) -> None:
        self.run = run
        self._begin = time.monotonic()
        with cores.bind(share):
            self._process = Process(run.command(), run.command_text(), run.log, environment)

    def last_line(self) -> str:
        """Returns the last line that it printed."""
        return self._process.last_line()

    def outcome(self) -> Outcome | None:
        """Returns its outcome, or None while it runs."""
        status = self._process.poll()
        if status is None:
            return None
        return read_outcome(self.run, status, time.monotonic() - self._begin, self.last_line())

    def stop(self, number: int) -> None:
        """Sends a signal to the process.

        Args:
            number: number of the signal.
        """
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
