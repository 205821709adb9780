"""What is left of a planned run: time from finished runs or a measured matmul rate, memory by arithmetic.

Time is that of training alone, without what is trained first: SPOT's density model and the value functions that
select. It is counted in useful operations (see `flops`): finished runs of the same system tell how many a second a
device does, else the machine's matrix products how many it could do at best.
"""

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from experiments.benchmarking import flops
from experiments.cli import children
from experiments.sweeping import cores
from experiments.sweeping.plan import PlannedRun
from ssar_jax.data.tasks import CUSTOM, get_task
from ssar_jax.reporting.read.runs import Run, read_runs

_PROCESS_BYTES = 700 * 2**20  # JAX and what it compiles; docs/benchmarks.md, two seeds, less three copies of the data

_MATMUL = """
import json, sys
from experiments.cli import devices
from experiments.benchmarking import measurements
devices.one_per_seed(int(sys.argv[1]))
import jax
print(json.dumps([max(measurements.matmul_rates().values()), len(jax.devices())]))
"""


class Rate(NamedTuple):
    """How fast a system trains.

    Attributes:
        value: useful operations per second of one device.
        devices: over which the seeds of a run are spread.
        is_bound: whether it is that of matrix products alone, which no run reaches, and not of finished runs.
    """

    value: float
    devices: int
    is_bound: bool


class Estimate(NamedTuple):
    """What is left of a run.

    Attributes:
        seconds: of training.
        rate: what they were computed with.
        num_bytes: of memory, of host and accelerator together.
    """

    seconds: float
    rate: Rate
    num_bytes: int


class Estimator:
    """Estimates planned runs.

    Args:
        root: the folder whose finished runs are looked at; it need not exist.
        share: the cores that a run will have.
    """

    def __init__(self, root: Path, share: Sequence[int]) -> None:
        self._finished = read_runs(root)[0] if root.is_dir() else []
        self._share = share
        self._matmul_rates: dict[int, Rate] = {}

    def __call__(self, run: PlannedRun) -> Estimate | None:
        """Estimates what is left of a run.

        None for custom data, whose sizes are unknown before they are read, and for an algorithm whose operations
        are not counted.
        """
        if run.config.task == CUSTOM or run.config.algorithm not in flops.PER_UPDATE:
            return None
        rate = self._rate_of_alike(run) or self._matmul_rate(run.config.num_seeds)
        left = 1.0 - run.steps_done() / run.total_steps()
        seconds = left * operations(run.config, run.phase, rate.devices) / rate.value
        return Estimate(seconds, rate, memory(run.config, run.phase, rate.devices))

    def _rate_of_alike(self, run: PlannedRun) -> Rate | None:
        """The median of the finished runs of the same system, on the same task if there are any."""
        wanted = run.phase, run.config.algorithm, run.config.variant
        alike = [other for other in self._finished if other.key[:3] == wanted and other.key.task != CUSTOM]
        alike = [other for other in alike if other.key.task == run.config.task] or alike
        rates = [rate for rate in map(_rate_of, alike) if rate is not None]
        if not rates:
            return None
        rate = statistics.median_low(rates)
        return rate if rate.devices else rate._replace(devices=min(run.config.num_seeds, len(self._share)))

    def _matmul_rate(self, num_seeds: int) -> Rate:
        """That of matrix products, measured in a process with the cores and devices of a run."""
        if num_seeds not in self._matmul_rates:
            with cores.bind(self._share):
                command = [sys.executable, "-c", _MATMUL, str(num_seeds)]
                gflops, devices = children.ask(command, failure="JAX cannot compute here")
            self._matmul_rates[num_seeds] = Rate(1e9 * gflops / devices, min(num_seeds, devices), is_bound=True)
        return self._matmul_rates[num_seeds]


def _rate_of(run: Run) -> Rate | None:
    """What a finished run reached; `devices` is 0 on a CPU, where the cores of the next run decide."""
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
        return None  # of a version that lacked a field
    return Rate(value, 0 if kind == "cpu" else int(number), is_bound=False)


def operations(config: Any, phase: str, devices: int) -> float:
    """Useful operations of a whole phase on the device with the most seeds, which it trains in turns."""
    from ssar_jax.runs.online import protocol_from_config

    task = get_task(config.task)
    updates = config.num_updates
    if phase == "online":
        updates = protocol_from_config(config).updates_after(config.online.num_steps)
    per_update = flops.PER_UPDATE[config.algorithm](config, task.observation_size, task.action_size)
    return per_update * updates * -(-config.num_seeds // devices)


def memory(config: Any, phase: str, devices: int) -> int:
    """Bytes of a process that trains: the dataset, the states and the buffers.

    The dataset is there twice while it is read, once as prepared, and once on every device; one at a path is taken to
    be as large as on the disk.
    """
    task = get_task(config.task)
    row = 4 * (2 * task.observation_size + task.action_size + 2)  # float32: also rewards and masks
    path = config.dataset.path
    dataset = row * config.dataset.embedded.num_steps if path is None else _size(Path(path))
    rows = dataset // row
    # Twice on the devices while they are updated, once on the host when they are saved.
    total = _PROCESS_BYTES + (3 + devices) * dataset + 3 * state_bytes(config)
    total += 4 * rows * config.num_seeds  # trusted flags
    if phase == "online":
        kept = {"part": config.online.part_k * task.horizon, "none": 0}.get(config.online.buffer, rows)
        new = min(config.online.buffer_capacity, config.online.num_steps)
        total += row * (min(kept, rows) + config.num_seeds * new)
    return total


def state_bytes(config: Any) -> int:
    """Bytes of the states of all seeds, parameters and optimisers, without computing any."""
    import jax

    from ssar_jax.algorithms import registry
    from ssar_jax.training.loop import abstract_states

    task = get_task(config.task)
    algorithm = registry.build(config, task.action_size)
    states = abstract_states(algorithm, config.num_seeds, task.observation_size, task.action_size)
    return sum(int(np.prod(leaf.shape)) * leaf.dtype.itemsize for leaf in jax.tree.leaves(states))


def _size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; 0 where the data have yet to be found by their name."""
    return sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file())
