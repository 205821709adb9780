"""Runs a plan on an engine, with several runs at a time."""

import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from experiments.sweeping.engines.base import Engine, Job
from experiments.sweeping.outcomes import OVER, Outcome
from experiments.sweeping.plan import PlannedRun
from ssar_jax.runs.interruption import Interruption

_POLL_SECONDS = 0.2
_PROGRESS_SECONDS = 60.0


class Pool:
    """Starts the runs of a plan in their order, as many at a time as the engine takes.

    An online run waits for its offline run. The data of a task are prepared by one run at a time, so that data shared
    by several runs are generated only once.

    Args:
        runs: the plan.
        engine: executes the runs.
        report: called with a run and a line about its progress.
    """

    def __init__(self, runs: Sequence[PlannedRun], engine: Engine, report: Callable[[PlannedRun, str], None]) -> None:
        self._waiting = list(runs)
        self._engine, self._report = engine, report
        self._jobs: dict[int, Job] = {}  # slot of the engine -> job
        self._outcomes: dict[Path, Outcome] = {}
        self._reported: dict[Path, str] = {}  # run folder -> last line reported
        self._next_report = time.monotonic() + _PROGRESS_SECONDS

    def run(self, interruption: Interruption) -> dict[Path, Outcome]:
        """Runs everything that is not finished or diverged; a failing run does not stop the others.

        A signal is passed on to the runs, which save and stop. No further runs are started then. At the end the engine
        is closed.

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
            self._engine.close()
        return self._outcomes

    def _collect(self) -> None:
        for slot, job in list(self._jobs.items()):
            outcome = job.outcome()
            if outcome is not None:
                del self._jobs[slot]
                self._settle(job.run, outcome)

    def _settle(self, run: PlannedRun, outcome: Outcome) -> None:
        self._outcomes[run.folder] = outcome
        self._report(run, ": ".join(filter(None, (outcome.status, outcome.message or run.score()))))

    def _start(self) -> None:
        for slot in range(self._engine.jobs):
            run = self._next_run() if slot not in self._jobs else None
            if run is not None:
                how = f"resuming at {run.steps_done():,}" if run.state() == "begun" else "started"
                self._jobs[slot] = self._engine.start(run, slot)
                self._report(run, f"{how}, prints to {run.log}")

    def _next_run(self) -> PlannedRun | None:
        """Removes and returns the first waiting run that can start; settles those that need not or cannot run."""
        prepared = {job.run.config.task for job in self._jobs.values() if _is_preparing(job.run)}
        for run in list(self._waiting):
            before = self._outcomes.get(run.offline) if run.offline is not None else None
            if run.state() in OVER:
                outcome = OVER[run.state()]
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
            job.stop(number)
            self._report(job.run, f"{signal.Signals(number).name} passed on: saving")
        for run in self._waiting:
            self._outcomes[run.folder] = OVER.get(run.state(), Outcome("not started"))
        self._waiting.clear()

    def _report_progress(self) -> None:
        """Reports, once a minute, the last line of every running process if it is new."""
        if time.monotonic() < self._next_report:
            return
        self._next_report += _PROGRESS_SECONDS
        for job in self._jobs.values():
            line = job.last_line()
            if line and line != self._reported.get(job.run.folder):
                self._reported[job.run.folder] = line
                self._report(job.run, line)


def _is_preparing(run: PlannedRun) -> bool:
    """Whether a run that was started may still be generating or selecting its data."""
    return not (run.folder / "data.json").exists()
