"""Runs as tasks of a Ray cluster.

Every run is a task with its cores and GPUs. If its machine dies, Ray starts the task again on another one, which
resumes the run. If the driver dies, Ray ends its workers, and their runs save and stop.
"""

# pyright: reportMissingImports=false
# The package is an extra, which need not be installed.

import logging
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.cli import children
from experiments.sweeping.engines import base, remote
from experiments.sweeping.outcomes import OVER, Outcome
from experiments.sweeping.plan import PlannedRun
from ssar_jax.errors import UserError

_RETRIES = 20  # of a run whose machine dies
_CONNECT_SECONDS = 5.0
_CHECK_SECONDS = 120.0  # a worker process starts within seconds, if its machine is not overloaded
_ASK_SECONDS = 180.0


def _ask(command: Sequence[str], failure: str, cores: int) -> Any:
    """Runs a short program on a worker, with as many cores as a run has."""
    from experiments.sweeping import cores as machine_cores

    with machine_cores.claim(cores) as (share, _), machine_cores.bind(share):
        return children.ask([sys.executable, *command[1:]], failure=failure)


class RayJob(remote.RemoteJob):
    """A run as a task of Ray.

    Args:
        task: the task.
        options: Ray's options of the task.
    """

    def __init__(self, task: remote.Task, options: dict[str, Any]) -> None:
        import ray

        super().__init__(task)
        self._reference = ray.remote(remote.execute).options(**options).remote(task)

    def outcome(self) -> Outcome | None:
        """Returns its outcome, or None until it has ended."""
        import ray
        from ray.exceptions import RayError, TaskCancelledError

        ready, _ = ray.wait([self._reference], timeout=0)
        if not ready:
            return None
        try:
            return ray.get(self._reference)
        except TaskCancelledError:
            return OVER.get(self.run.state(), Outcome("stopped" if self.run.state() == "begun" else "not started"))
        except RayError as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            return Outcome("failed", message=f"Ray gave up: {type(error).__name__}: {lines[0] if lines else ''}")

    def stop(self, number: int) -> None:
        """Asks it to save and to end; a task that still waits for a machine is withdrawn.

        Args:
            number: number of the signal that the run receives.
        """
        import ray

        self.notice.stop(number)
        if not self.has_begun():
            ray.cancel(self._reference)

    def kill(self) -> None:
        """Kills its worker; the run receives SIGTERM, saves and ends."""
        import ray

        ray.cancel(self._reference, force=True)


class RayEngine:
    """A Ray cluster.

    Args:
        address: address of the cluster, such as `10.0.0.1:6379`; `auto` for the one that this machine belongs to,
            `local` for a new one on this machine.
        jobs: largest number of runs at a time; None for as many as the cluster has room for.
        cores: number of cores of each run.
        gpus: number of GPUs of each run, which may be a fraction.

    Raises:
        UserError: if Ray is not installed, the cluster cannot be reached, or no machine has the resources.
    """

    def __init__(self, address: str, jobs: int | None, cores: int, gpus: float) -> None:
        try:
            import ray
        except ImportError as error:
            raise UserError("--engine=ray needs Ray: pip install -e '.[ray]'") from error
        _require_reachable(address)
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            line = str(error).strip().splitlines()[0]
            raise UserError(
                f"no Ray cluster at --address={address} ({line}): start one with `ray start --head`, or name its "
                "address"
            ) from error
        self._options = {"num_cpus": cores, "num_gpus": gpus}
        nodes = [node for node in ray.nodes() if node["Alive"]]
        room = sum(_room(node["Resources"], cores, gpus) for node in nodes)
        if room == 0:
            ray.shutdown()
            raise UserError(
                f"no machine of the Ray cluster has {cores} CPUs and {gpus:g} GPUs: choose fewer --cores or --gpus"
            )
        self.jobs, self.cores, self.gpus = jobs or room, cores, gpus
        self.place = f"a Ray cluster of {len(nodes)} machine{'s' * (len(nodes) > 1)}"
        self.measures = True
        self.memory_bytes: int | None = int(sum(node["Resources"].get("memory", 0) for node in nodes))
        self._nodes = [node["NodeID"] for node in nodes]
        self._notice: remote.Notice | None = None

    def check(self, root: Path) -> None:
        """Requires every machine to see the repository and the folder of all run folders.

        Args:
            root: folder of all run folders.

        Raises:
            UserError: if a machine does not, or does not answer.
        """
        import ray

        self._notice = remote.Notice.post(root)
        problem = ray.remote(remote.problem_here)
        asked = {
            node: problem.options(num_cpus=0, **_on(node)).remote(os.getcwd(), self._notice) for node in self._nodes
        }
        for node, reference in asked.items():
            self._require_none(node, reference)

    def _require_none(self, node: str, reference: Any) -> None:
        import ray
        from ray.exceptions import RayError

        name = next(each["NodeManagerHostname"] for each in ray.nodes() if each["NodeID"] == node)
        try:
            problem = ray.get(reference, timeout=_CHECK_SECONDS)
        except RayError as error:
            line = str(error).strip().splitlines()[-1]
            raise UserError(f"machine {name} of the Ray cluster cannot execute runs: {line}") from error
        if problem is not None:
            raise UserError(f"machine {name} of the Ray cluster cannot execute runs: {problem}")

    def ask(self, command: Sequence[str], *, failure: str) -> Any:
        """Runs a short program on a worker; on this machine if the cluster has no room, see `measures`."""
        import ray
        from ray.exceptions import GetTimeoutError

        reference = ray.remote(_ask).options(**self._options).remote(list(command), failure, self.cores)
        try:
            return ray.get(reference, timeout=_ASK_SECONDS)
        except GetTimeoutError:
            ray.cancel(reference, force=True)
            self.measures = False
            return children.ask(command, failure=failure)

    def start(self, run: PlannedRun, slot: int) -> base.Job:
        """Submits a run; Ray places it on a machine with free resources.

        Args:
            run: the run.
            slot: not used: Ray places the run.
        """
        del slot
        assert self._notice is not None, "check comes first"
        options = {**self._options, "max_retries": _RETRIES, "name": run.name}
        return RayJob(remote.make_task(run, self._notice, self.cores), options)

    def close(self) -> None:
        """Leaves the cluster."""
        import ray

        if self._notice is not None:
            self._notice.remove()
        ray.shutdown()


def _on(node: str) -> dict[str, Any]:
    """Options that bind a task to a machine."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return {"scheduling_strategy": NodeAffinitySchedulingStrategy(node, soft=False)}


def _room(resources: dict[str, float], cores: int, gpus: float) -> int:
    """Returns how many runs fit on a machine."""
    fits = [resources.get("CPU", 0) // cores] + ([resources.get("GPU", 0) // gpus] if gpus else [])
    return int(min(fits))


def _require_reachable(address: str) -> None:
    """Requires something to listen at an address, since Ray itself waits for minutes."""
    host, colon, port = address.rpartition(":")
    if not colon:
        if address not in ("auto", "local"):
            raise UserError(f"--address={address} is not <host>:<port>, such as 10.0.0.1:6379, auto or local")
        return
    if "//" in host:
        raise UserError(f"--address={address}: Ray Client is not supported: run the sweep on a machine of the cluster")
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
    except (OSError, ValueError, OverflowError) as error:
        raise UserError(f"no Ray cluster at --address={address}: {error}") from error
