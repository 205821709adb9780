"""Measures the speed of training relative to matrix products, and of fine-tuning and evaluation relative to parts.

    python -m experiments.benchmark --config=configs/td3_bc.py:halfcheetah-m
    python -m experiments.benchmark --config=configs/td3_bc.py:halfcheetah-m --phase=online
    python -m experiments.benchmark --config=configs/td3_bc.py:halfcheetah-m --phase=evaluation
    python -m experiments.benchmark --config=configs/td3_bc.py:hopper-m --phase=generation

Simulation is compared with the rate of the physics engine alone, an evaluation for 1 to all cores. Every number of
seeds is measured in a separate process with the setup of a real run. The data are random, with the sizes of the task.
The last line printed is one JSON object.
"""

import json
import os
import sys
from typing import Any

from absl import flags

from experiments.benchmarking import measurements, simulation
from experiments.cli import children, command
from experiments.cli.integers import define_integer
from ssar_jax.errors import UserError

_PHASE = flags.DEFINE_enum("phase", "offline", ["offline", "online", "evaluation", "generation"], "What to measure.")
_SEEDS = flags.DEFINE_list("seeds", ["1", "2", "4", "8"], "Numbers of seeds to measure.")
flags.register_validator(
    "seeds",
    lambda numbers: len(numbers) > 0 and all(number.isdecimal() and int(number) > 0 for number in numbers),
    "must be positive integers with commas between them, such as 1,2,4",
)
_UPDATES = define_integer("updates", 500, "Updates, or environment steps, per seed and measurement.", lower_bound=1)
_REPEATS = define_integer("repeats", 3, "Number of measurements; the best one is reported.", lower_bound=1)
_ROWS = define_integer("rows", 1_000_000, "Number of rows of the random dataset.", lower_bound=1)
_CORES = flags.DEFINE_integer("cores", None, "Cores of a measurement of --child; by default all.")
_CHILD = flags.DEFINE_bool("child", False, "Measure --config.num_seeds seeds in this process and print JSON.")

# The columns of the printed tables: heading, name in the row, format.
_COLUMNS = {
    "offline": (
        ("updates/s each", "updates_per_second_each", ".1f"), ("all", "updates_per_second_all", ".1f"),
        ("GFLOP/s", "gflops", ".1f"), ("compile s", "compile_seconds", ".1f"),
        ("memory MiB", "peak_memory_mib", ".0f"), ("devices", "device", ""),
    ),
    "online": (
        ("steps/s each", "steps_per_second_each", ".1f"), ("step ms", "step_milliseconds", ".2f"),
        ("environments ms", "environment_milliseconds", ".2f"), ("updates ms", "update_milliseconds", ".2f"),
        ("ratio", "ratio", ".2f"), ("devices", "device", ""),
    ),
    "evaluation": (
        ("episodes", "episodes", ""), ("cores", "threads", ""), ("steps/s", "steps_per_second", ".0f"),
        ("engine, one core", "engine_steps_per_second", ".0f"), ("share", "share_of_engine", ".0%"),
    ),
    "generation": (
        ("cores", "threads", ""), ("seconds", "seconds", ".0f"), ("steps/s", "steps_per_second", ".0f"),
        ("engine, one core", "engine_steps_per_second", ".0f"), ("share", "share_of_engine", ".0%"),
    ),
}  # fmt: skip


def main(config: Any) -> None:
    """Measures every number of seeds and prints a table and a JSON line.

    Args:
        config: the checked config.

    Raises:
        UserError: if the algorithm has no operation count.
    """
    from ssar_jax.algorithms import registry

    if registry.get_entry(config.algorithm).operations is None:
        raise UserError(f"{config.algorithm} has no operation count: add `operations` to its registry entry")
    if _CHILD.value:
        print(json.dumps(_measure(config)))
        return
    rows = []
    for seeds, cores in _cases():
        rows.append(_measure_in_child(seeds, cores))
        _print_row(rows[-1], header=len(rows) == 1)
    result = {name: config[name] for name in ("algorithm", "task", "variant", "batch_size")}
    result |= {"phase": _PHASE.value, "rows": _ROWS.value}
    if _PHASE.value == "offline":
        result["matmul"] = _share_of_matmul(rows)
    print(json.dumps({**result, "runs": rows}))


def _cases() -> list[tuple[int, int]]:
    """Returns the numbers of seeds and cores to measure."""
    cores = len(os.sched_getaffinity(0))
    match _PHASE.value:
        case "generation":
            return [(1, cores)]
        case "evaluation":
            return [(int(seeds), used) for seeds in _SEEDS.value for used in range(1, cores + 1)]
    return [(int(seeds), cores) for seeds in _SEEDS.value]


def _measure(config: Any) -> dict[str, Any]:
    if _CORES.value is not None:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: _CORES.value])
    # Neither this import nor the `with` block starts JAX, whose settings depend on the number of seeds.
    from ssar_jax.networks.backend import use_layout

    with use_layout(config.layout):
        return _measure_phase(config)


def _measure_phase(config: Any) -> dict[str, Any]:
    """Measures the phase of the command line."""
    match _PHASE.value:
        case "online":
            return measurements.online_steps(config, _UPDATES.value, _REPEATS.value, _ROWS.value)
        case "evaluation":
            return simulation.evaluation(config, _REPEATS.value)
        case "generation":
            return simulation.generation(config, _ROWS.value)
    return measurements.offline_updates(config, _UPDATES.value, _REPEATS.value, _ROWS.value)


def _share_of_matmul(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Adds to every row its share of the best matmul rate measured, and returns the best rate of every shape."""
    best = {shape: max(row["matmul"][shape] for row in rows) for shape in rows[0]["matmul"]}
    print(f"best matmul of this run: {', '.join(f'{shape} {rate:.0f} GFLOP/s' for shape, rate in best.items())}")
    for row in rows:
        row["share_of_matmul"] = row["gflops"] / max(best.values())
        print(f"{row['num_seeds']} seeds: {row['share_of_matmul']:.0%} of it")
    return best


def _measure_in_child(num_seeds: int, cores: int) -> dict[str, Any]:
    arguments = [*children.program("benchmark"), *sys.argv[1:]]
    arguments += ["--child", f"--cores={cores}", f"--config.num_seeds={num_seeds}"]
    return children.ask(arguments, failure=f"the measurement of {num_seeds} seeds failed")


def _print_row(row: dict[str, Any], header: bool) -> None:
    columns = _COLUMNS[_PHASE.value]
    if header:
        print("  ".join(["seeds", *(f"{heading:>10}" for heading, _, _ in columns)]))
    cells = [f"{row[name]:>{max(10, len(heading))}{form}}" for heading, name, form in columns]
    print("  ".join([f"{row['num_seeds']:5d}", *cells]), flush=True)


if __name__ == "__main__":
    command.run(main, needs_config=True)
