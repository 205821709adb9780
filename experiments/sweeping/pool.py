"""Runs a plan with several processes at a time."""

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from experiments.sweeping.jobs import Job, Outcome
from experiments.sweeping.plan import PlannedRun
from ssar_jax.runs.interruption import Interruption

_POLL_SECONDS = 0.2
_PROGRESS_SECONDS = 60.0
_OVER = {"finished": Outcome("finished before"), "diverged": Outcome("diverged")}  # state of a run that is not repeated


class Pool:
    """Starts the runs of a plan in their order, one at a time for each share of the cores.

    An online run waits for its offline run. The data of a task are prepared by one run at a time, so that data shared
    by several runs are generated only once.

    Args:
        runs: the plan.
        shares: the cores of each job.
        environment: environment variables of the processes in addition to those of this one.
        report: called with a run and a line about its progress.
    """

    def __init__(
        self,
        runs: Sequence[PlannedRun],
        shares: Sequence[Sequence[int]],
        environment: Mapping[str, str],
        report: Callable[[PlannedRun, str], None],
    ) -> None:
        self._waiting = list(runs)
        self._shares, self._environment, self._report = shares, environment, report
        self._jobs: dict[int, Job] = {}  # index of their share -> job
        self._outcomes: dict[Path, Outcome] = {}
        self._reported: dict[Path, str] = {}  # run folder -> last line reported
        self._next_report = time.monotonic() + _PROGRESS_SECONDS

    def run(self, interruption: Interruption) -> dict[Path, Outcome]:
        """Runs everything that is not finished or diverged; a failing run does not stop the others.

        A signal is passed on to the processes, which save and stop. No further runs are started then.

        Args:
            interruption: the signal that was received, if any.

        Returns:
            Run folder -> outcome, for every run.
        """
        stopping = False
        try:
            while self._waiting or self._jobs:
                self._collect()
                if interruption.signal_number is None:
                    self._start()
                elif not stopping:
                    stopping = True
                    self._stop(interruption.signal_number)
                self._report_progress()
                if self._jobs:
                    time.sleep(_POLL_SECONDS)
        finally:
            for job in self._jobs.values():
                job.kill()
        return self._outcomes

    def _collect(self) -> None:
        for share, job in list(self._jobs.items()):
            outcome = job.outcome()
            if outcome is not None:
                del self._jobs[share]
                self._settle(job.run, outcome)

    def _settle(self, run: PlannedRun, outcome: Outcome) -> None:
        self._outcomes[run.folder] = outcome
        self._report(run, ": ".join(filter(None, (outcome.status, outcome.message or run.score()))))

    def _start(self) -> None:
        for share, cores in enumerate(self._shares):
            run = self._next_run() if share not in self._jobs else None
            if run is not None:
                how = f"resuming at {run.steps_done():,}" if run.state() == "begun" else "started"
                self._jobs[share] = Job(run, cores, self._environment)
                self._report(run, f"{how}, prints to {run.log}")

    def _next_run(self) -> PlannedRun | None:
        """Removes and returns the first waiting run that can start; settles those that need not or cannot run."""
        prepared = {job.run.config.task for job in self._jobs.values() if job.is_preparing()}
        for run in list(self._waiting):
            before = self._outcomes.get(run.offline) if run.offline is not None else None
            if run.state() in _OVER:
                outcome = _OVER[run.state()]
            elif before is not None and not before.status.startswith("finished"):
                outcome = Outcome(status="not started", message=f"its offline run is not finished, but {before.status}")
            elif run.config.task in prepared or (run.offline is not None and before is None):
                continue
            else:
                outcome = None
            self._waiting.remove(run)
            if outcome is None:
                return run
            self._settle(run, outcome)
        return None

    def _stop(self, number: int) -> None:
        for job in self._jobs.values():
            job.send(number)
            self._report(job.run, f"{signal.Signals(number).name} passed on: saving")
        for run in self._waiting:
            self._outcomes[run.folder] = _OVER.get(run.state(), Outcome("not started"))
        self._waiting.clear()

    def _report_progress(self) -> None:
        """Reports, once a minute, the last line of every running process if it is new."""
        if time.monotonic() < self._next_report:
            return
        self._next_report += _PROGRESS_SECONDS
        for job in self._jobs.values():
            line = job.last_line()
            if line != self._reported.get(job.run.folder):
                self._reported[job.run.folder] = line
                self._report(job.run, line)
