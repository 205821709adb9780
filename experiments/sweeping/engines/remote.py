"""What a worker of a cluster does with a run; engines that have workers share it.

The run folder on a shared file system is the only state. So a worker decides by itself whether it starts or resumes the
run, and the same task can be executed again on another machine.
"""

import os
import signal
import socket
import time
import uuid
from pathlib import Path
from typing import NamedTuple

from experiments.sweeping import cores, leash
from experiments.sweeping.engines import base
from experiments.sweeping.engines.process import Process
from experiments.sweeping.outcomes import OVER, Outcome, read_outcome
from experiments.sweeping.plan import PlannedRun

_LOCK_WAITS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0)
"""Seconds between tries to get a folder whose last writer may be ending; NFS keeps a dead machine's locks for 90 s."""

_POLL_SECONDS = 0.5
_FORWARDED = ("SSAR_", "D4RL_", "MINARI_", "JAX_", "XLA_", "WANDB_", "PYTHONPATH", "MUJOCO_")
"""First characters of the environment variables that a run needs wherever it is."""


class Notice(NamedTuple):
    """A file in the folder of all run folders by which a sweep tells its workers to stop.

    It is empty until then. Workers open it again and again: a network file system may hide a new file for a minute, but
    shows the content of an old one to whoever opens it.

    Attributes:
        path: the file.
    """

    path: Path

    @classmethod
    def post(cls, root: Path) -> "Notice":
        """Writes an empty notice.

        Args:
            root: folder of all run folders; made if missing.
        """
        root.mkdir(parents=True, exist_ok=True)
        path = root / f".sweep-{uuid.uuid4().hex}"
        path.touch()
        return cls(path)

    def stop(self, number: int) -> None:
        """Tells the workers to stop.

        Args:
            number: number of the signal that the runs must receive.
        """
        self.path.write_text(str(int(number)))

    def number(self) -> int | None:
        """Returns the number of the signal that runs must receive, SIGTERM after the end of the sweep, or else None."""
        try:
            text = self.path.read_text()
        except FileNotFoundError:
            return signal.SIGTERM
        return int(text) if text else None

    def remove(self) -> None:
        """Ends the sweep: whatever still runs stops."""
        self.path.unlink(missing_ok=True)


class Task(NamedTuple):
    """A run for a worker.

    Attributes:
        run: the run.
        notice: says when to stop.
        folder: the repository root, where the command is executed.
        environment: environment variables of the run in addition to those of the worker.
        cores: number of cores of the run.
    """

    run: PlannedRun
    notice: Notice
    folder: str
    environment: dict[str, str]
    cores: int


def make_task(run: PlannedRun, notice: Notice, num_cores: int) -> Task:
    """Returns the task of a run, with this process's working folder and settings.

    Args:
        run: the run.
        notice: says when to stop.
        num_cores: number of cores of the run.
    """
    environment = {name: value for name, value in os.environ.items() if name.startswith(_FORWARDED)}
    return Task(run=run, notice=notice, folder=os.getcwd(), environment=environment, cores=num_cores)


class RemoteJob:
    """A run that waits for a machine or is executed there, as far as its log and the notice tell.

    Args:
        task: the task.
    """

    def __init__(self, task: Task) -> None:
        self.run = task.run
        self.notice = task.notice
        self._logged = base.log_size(task.run)

    def has_begun(self) -> bool:
        """Whether a machine has started or continued the run."""
        return base.log_size(self.run) > self._logged

    def last_line(self) -> str:
        """Returns the machine and the last line that the run printed; empty while it waits for a machine."""
        return base.last_line(self.run) if self.has_begun() else ""


def execute(task: Task) -> Outcome:
    """Starts or resumes a run and waits for its end; waits first while another process writes to the folder.

    Args:
        task: the task.

    Returns:
        The outcome.
    """
    run = task.run
    problem = problem_here(task.folder, task.notice)
    if problem is not None:
        return Outcome("failed", message=problem)
    with cores.claim(task.cores) as (share, locks), cores.bind(share):
        for seconds in (*_LOCK_WAITS, None):
            if run.state() in OVER:
                return OVER[run.state()]
            if task.notice.number() is not None:
                return Outcome("stopped" if run.state() == "begun" else "not started")
            outcome = _attempt(task, locks)
            if outcome.status != "in use elsewhere" or seconds is None:
                return outcome
            _wait(seconds, task.notice)
    raise AssertionError("the last try returns")


def _attempt(task: Task, locks: list[int]) -> Outcome:
    run, begin = task.run, time.monotonic()
    # A worker that is killed takes the run with it; what outlives it keeps the locks of its cores.
    command = leash.leashed(run.command())
    text = f"{run.command_text()}\n{base.ON}{socket.gethostname()}"
    process = Process(command, text, run.log, task.environment, folder=task.folder, keep=locks)
    sent = None
    try:
        while (status := process.poll()) is None:
            try:
                time.sleep(_POLL_SECONDS)
                number = task.notice.number()
            except KeyboardInterrupt:  # an engine's way to withdraw a task that has just begun
                number = signal.SIGINT
            if sent is None and number is not None:
                process.send(number)
                sent = number
    finally:
        if process.poll() is None:  # an exception: nothing may outlive the task
            process.kill()
    return read_outcome(run, status, time.monotonic() - begin, process.reason())


def _wait(seconds: float, notice: Notice) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and notice.number() is None:
        time.sleep(min(_POLL_SECONDS, seconds))


def problem_here(folder: str, notice: Notice) -> str | None:
    """Returns why runs cannot be executed on this machine; None if they can, as far as can be seen.

    Args:
        folder: the working folder of the runs.
        notice: that of the sweep.
    """
    root = notice.path.parent
    if not Path(folder).is_dir():
        return f"there is no {folder}: the folder of the sweep must be at the same path on every machine"
    if not notice.path.exists():
        return f"its {root} is another folder: choose --runs on a file system that all machines share"
    if not os.access(root, os.W_OK):
        return f"{root} cannot be written"
    return None
