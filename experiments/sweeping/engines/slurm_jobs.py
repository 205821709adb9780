"""Runs as jobs of SLURM, submitted by submitit.

Every run is a job with its cores and GPUs. A job that SLURM requeues resumes its run. If the driver is killed, the
jobs stay in the queue.
"""

# pyright: reportMissingImports=false
# The package is an extra, which need not be installed.

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.cli import children
from experiments.sweeping.engines import base, remote
from experiments.sweeping.outcomes import OVER, Outcome
from experiments.sweeping.plan import PlannedRun
from ssar_jax.errors import UserError

_FOLDER = ".slurm"  # in the folder of all run folders: what submitit writes
_EXECUTED_HERE = "local"  # submitit's executor without SLURM, for trials and tests


class SlurmJob(remote.RemoteJob):
    """A run as a job of SLURM.

    Args:
        task: the task.
        executor: submits it.
    """

    def __init__(self, task: remote.Task, executor: Any) -> None:
        super().__init__(task)
        self._job = executor.submit(remote.execute, task)

    def outcome(self) -> Outcome | None:
        """Returns its outcome, or None until it has ended."""
        if not self._job.done():
            return None
        try:
            return self._job.result()
        except Exception as error:  # whatever the job raised, or submitit if the job left no result
            if self.notice.number() is not None or self.run.state() in OVER:
                return OVER.get(self.run.state(), Outcome("stopped" if self.has_begun() else "not started"))
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            return Outcome("failed", message=f"job {self._job.job_id}: {lines[-1] if lines else type(error).__name__}")

    def stop(self, number: int) -> None:
        """Asks it to save and to end; a job that is still in the queue is withdrawn.

        Args:
            number: number of the signal that the run receives.
        """
        self.notice.stop(number)
        if not self.has_begun():
            self._job.cancel()

    def kill(self) -> None:
        """Cancels the job; SLURM sends SIGTERM to the run, which saves if it can within the cluster's KillWait."""
        self.notice.stop(signal.SIGTERM)
        self._job.cancel()


class SlurmEngine:
    """The SLURM cluster that this machine submits to.

    Args:
        root: folder of all run folders, on a file system that all machines share.
        jobs: largest number of runs in the queue at a time.
        cores: number of cores of each run.
        gpus: number of GPUs of each run.
        options: further parameters of submitit, such as `{"slurm_partition": "gpu", "timeout_min": 2880}`, and
            `cluster`, which is `slurm` by default; `local` executes the jobs on this machine.

    Raises:
        UserError: if submitit is not installed, there is no SLURM here, or an option is unknown.
    """

    measures = False

    def __init__(self, root: Path, jobs: int, cores: int, gpus: int, options: dict[str, Any]) -> None:
        try:
            import submitit
        except ImportError as error:
            raise UserError("--engine=slurm needs submitit: pip install -e '.[slurm]'") from error
        cluster = options.pop("cluster", "slurm")
        settings = {
            "cpus_per_task": cores,
            "tasks_per_node": 1,
            "nodes": 1,
            **({"gpus_per_node": gpus} if gpus else {}),
        }
        try:
            self._executor = submitit.AutoExecutor(folder=root / _FOLDER, cluster=cluster)
            self._executor.update_parameters(**settings, **options)
        except (RuntimeError, ValueError, TypeError, NameError) as error:
            raise UserError(f"--engine=slurm: {str(error).strip().splitlines()[0]}") from error
        self.jobs, self.cores, self.gpus = jobs, cores, float(gpus)
        self.place = "this machine through submitit" if cluster == _EXECUTED_HERE else "a SLURM cluster"
        self.memory_bytes: int | None = None
        self._notice: remote.Notice | None = None

    def check(self, root: Path) -> None:
        """Posts the notice; whether the machines share the folder is seen when a job starts.

        Args:
            root: folder of all run folders.
        """
        self._notice = remote.Notice.post(root)

    def ask(self, command: Sequence[str], *, failure: str) -> Any:
        """Runs a short program on this machine: in the queue it might wait for hours."""
        return children.ask(command, failure=failure)

    def start(self, run: PlannedRun, slot: int) -> base.Job:
        """Submits a run.

        Args:
            run: the run.
            slot: not used: SLURM places the run.
        """
        del slot
        assert self._notice is not None, "check comes first"
        return SlurmJob(remote.make_task(run, self._notice, self.cores), self._executor)

    def close(self) -> None:
        """Removes the notice, so that whatever still runs stops."""
        if self._notice is not None:
            self._notice.remove()
