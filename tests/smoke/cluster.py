"""A Ray cluster whose machines are processes of this one: a head without cores, and machines of one core.

    python -m tests.smoke.cluster

prints its address. Then every line of standard input is an order, answered by a line: `add` adds a machine, `kill`
kills the oldest one as a power failure would. It ends with its standard input. A process of its own keeps Ray out of
the tests' process, where a warning of any package is an error.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
_STORE_BYTES = 80 * 2**20  # the smallest that Ray accepts is 75 MiB
_SETTINGS = {
    # Ray starts its workers with niceness 15, so on a busy machine nothing would ever run.
    "RAY_worker_niceness": "0",
    # A machine that does not answer is dead after 5 s; by default Ray waits for half a minute.
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_failure_threshold": "5",
}


class RayCluster:
    """The process of a cluster.

    Attributes:
        address: address of the cluster.
    """

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.address = self._answer()

    def add(self) -> None:
        """Adds a machine."""
        self._order("add")

    def kill(self) -> None:
        """Kills the oldest machine."""
        self._order("kill")

    def _order(self, order: str) -> None:
        assert self._process.stdin is not None
        print(order, file=self._process.stdin, flush=True)
        assert self._answer() == order

    def _answer(self) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("> "):
                return line.removeprefix("> ").strip()
        raise AssertionError("the cluster has ended")


@contextmanager
def start() -> Iterator[RayCluster]:
    """Starts a cluster without machines."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.smoke.cluster"],
        cwd=ROOT / "tests",  # workers start where Ray was started, which need not be where the sweep is
        env=os.environ | _SETTINGS | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield RayCluster(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(timeout=60)


def main() -> None:
    """Starts the cluster and carries out orders."""
    from ray.cluster_utils import Cluster

    size = {"object_store_memory": _STORE_BYTES, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **size})
    machines = []
    print(">", cluster.address, flush=True)
    for line in sys.stdin:
        if line.strip() == "add":
            machines.append(cluster.add_node(num_cpus=1, **size))
        else:
            cluster.remove_node(machines.pop(0), allow_graceful=False)
        print(">", line.strip(), flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main()
