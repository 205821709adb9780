"""Estimates the remaining time and the memory of planned runs.

Time is for training alone, without evaluation and without models that are trained first, such as density models and
value functions for the selection. It is the number of useful operations (see
`ssar_jax.algorithms.operations`) divided by a rate: that of
finished runs of the same system, or else the measured rate of matrix products, which is an upper bound.
"""

import statistics
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from experiments.cli import children
from experiments.sweeping.engines.base import Engine
from experiments.sweeping.plan import PlannedRun
from ssar_jax.data.tasks import CUSTOM, get_task
from ssar_jax.reporting.read.folders import read_runs
from ssar_jax.reporting.read.runs import Run

_PROCESS_BYTES = 700 * 2**20  # JAX and compiled programs; docs/benchmarks.md, two seeds, minus three copies of the data

_MATMUL = """
import json, sys
from experiments.cli import devices
from experiments.benchmarking import measurements
devices.one_per_seed(int(sys.argv[1]))
import jax
print(json.dumps([max(measurements.matmul_rates().values()), len(jax.devices())]))
"""


class Rate(NamedTuple):
    """The training speed of a system.

    Attributes:
        value: useful operations per second of one device.
        devices: number of devices over which the seeds of a run are spread.
        is_bound: whether it is the rate of matrix products, which no run reaches, instead of that of finished runs.
    """

    value: float
    devices: int
    is_bound: bool


class Estimate(NamedTuple):
    """The estimate of a run.

    Attributes:
        seconds: remaining seconds of training.
        rate: training speed behind the estimate.
        num_bytes: bytes of memory, of host and accelerator together.
    """

    seconds: float
    rate: Rate
    num_bytes: int


class Estimator:
    """Estimates planned runs.

    Args:
        root: folder of the finished runs that are used; it need not exist.
        engine: executes the runs; it measures the rate of matrix products, with the resources of a run.
    """

    def __init__(self, root: Path, engine: Engine) -> None:
        self._finished = read_runs(root)[0] if root.is_dir() else []
        self._engine = engine
        self._matmul_rates: dict[int, Rate] = {}

    def __call__(self, run: PlannedRun) -> Estimate | None:
        """Estimates a run.

        Args:
            run: the planned run.

        Returns:
            The estimate, or None for custom data, whose sizes are unknown before they are read, and for an algorithm
            whose operations are not counted.
        """
        if run.config.task == CUSTOM or not _is_counted(run.config.algorithm):
            return None
        rate = self._rate_of_alike(run) or self._matmul_rate(run.config.num_seeds)
        left = 1.0 - run.steps_done() / run.total_steps()
        seconds = left * operations(run.config, run.phase, rate.devices) / rate.value
        return Estimate(seconds=seconds, rate=rate, num_bytes=memory(run.config, run.phase, rate.devices))

    def _rate_of_alike(self, run: PlannedRun) -> Rate | None:
        """Returns the median rate of the finished runs of the same system, on the same task if there are any."""
        wanted = run.phase, run.config.algorithm, run.config.variant
        alike = [other for other in self._finished if other.key[:3] == wanted and other.key.task != CUSTOM]
        alike = [other for other in alike if other.key.task == run.config.task] or alike
        rates = [rate for rate in map(_rate_of, alike) if rate is not None]
        if not rates:
            return None
        rate = statistics.median_low(rates)
        return rate if rate.devices else rate._replace(devices=min(run.config.num_seeds, self._engine.cores))

    def _matmul_rate(self, num_seeds: int) -> Rate:
        """Returns the rate of matrix products, measured in a subprocess with the cores and devices of a run."""
        if num_seeds not in self._matmul_rates:
            command = children.script(_MATMUL, str(num_seeds))
            gflops, devices = self._engine.ask(command, failure="JAX cannot compute")
            self._matmul_rates[num_seeds] = Rate(
                value=1e9 * gflops / devices, devices=min(num_seeds, devices), is_bound=True
            )
        return self._matmul_rates[num_seeds]


def _rate_of(run: Run) -> Rate | None:
    """Returns the rate of a finished run; `devices` is 0 on a CPU, where it depends on the cores of the next run."""
    config: Any = ConfigDict(run.config)
    is_online = run.key.phase == "online"
    per_second = run.summary.get("steps_per_second" if is_online else "updates_per_second")
    if per_second is None or run.device is None:
        return None
    number, _, kind = run.device.partition(" x ")
    try:
        steps = config.online.num_steps if is_online else config.num_updates
        value = operations(config, run.key.phase, int(number)) * per_second / steps
    except AttributeError:
        return None  # an older version without one of the fields
    return Rate(value=value, devices=0 if kind == "cpu" else int(number), is_bound=False)


def _is_counted(algorithm: str) -> bool:
    """Whether the algorithm's registry entry counts its operations."""
    from ssar_jax.algorithms import registry

    return registry.get_entry(algorithm).operations is not None


def operations(config: Any, phase: str, devices: int) -> float:
    """Counts the useful operations of a phase on the device with the most seeds, which it trains one after the other.

    Args:
        config: config of the run.
        phase: `offline` or `online`.
        devices: number of devices over which the seeds are spread.
    """
    from ssar_jax.algorithms import registry
    from ssar_jax.runs.online import protocol_from_config

    task = get_task(config.task)
    updates = config.num_updates
    if phase == "online":
        updates = protocol_from_config(config).updates_after(config.online.num_steps)
    per_update = registry.get_entry(config.algorithm).operations
    assert per_update is not None
    return per_update(config, task.observation_size, task.action_size) * updates * -(-config.num_seeds // devices)


def memory(config: Any, phase: str, devices: int) -> int:
    """Estimates the bytes of a training process: the dataset, the states and the buffers.

    There are two copies of the dataset while it is read, one after preparation, and one on every device. A dataset in a
    file is assumed to be as large as the file.

    Args:
        config: config of the run.
        phase: `offline` or `online`.
        devices: number of devices over which the seeds are spread.
    """
    task = get_task(config.task)
    row = 4 * (2 * task.observation_size + task.action_size + 2)  # float32: also rewards and masks
    path = config.dataset.path
    dataset = row * config.dataset.embedded.num_steps if path is None else _size(Path(path))
    rows = dataset // row
    # Two copies of the states on the devices during an update, one on the host while they are saved.
    total = _PROCESS_BYTES + (3 + devices) * dataset + 3 * state_bytes(config)
    total += 4 * rows * config.num_seeds  # trusted flags
    if phase == "online":
        kept = {"part": config.online.part_k * task.horizon, "none": 0}.get(config.online.buffer, rows)
        new = min(config.online.buffer_capacity, config.online.num_steps)
        total += row * (min(kept, rows) + config.num_seeds * new)
    return total


def state_bytes(config: Any) -> int:
    """Counts the bytes of the training states of all seeds, without allocating any.

    Args:
        config: config of the run.
    """
    import jax

    from ssar_jax.algorithms import registry
    from ssar_jax.training.loop import abstract_states

    task = get_task(config.task)
    algorithm = registry.build(config, task.action_size)
    states = abstract_states(algorithm, config.num_seeds, task.observation_size, task.action_size)
    return sum(int(np.prod(leaf.shape)) * leaf.dtype.itemsize for leaf in jax.tree.leaves(states))


def _size(path: Path) -> int:
    """Returns the bytes of a file or of all files in a folder; 0 if the path does not exist."""
    return sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file())
