"""Measures training speed beside the machine's matmul rate.

    python -m experiments.benchmark --config=configs/td3_bc.py:halfcheetah-m

Every number of seeds runs in a process of its own, set up as a real run would be. The data are random, of the
task's shape. The last line printed is one JSON object.
"""

import json
import os
import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np
from absl import flags

from experiments import command, devices, flops
from ssar_jax.errors import UserError

_SEEDS = flags.DEFINE_list("seeds", ["1", "2", "4", "8"], "Numbers of seeds to measure.")
_UPDATES = flags.DEFINE_integer("updates", 500, "Updates per measurement, each seed.")
_REPEATS = flags.DEFINE_integer("repeats", 3, "Measurements; the best counts, for other work only slows a machine.")
_ROWS = flags.DEFINE_integer("rows", 1_000_000, "Rows of the random dataset.")
_CHILD = flags.DEFINE_bool("child", False, "Measure --config.num_seeds seeds in this process, print JSON.")

MATMUL_SHAPES = ((256, 256, 256), (7680, 256, 256))


def main(config: Any) -> None:
    """Measures every number of seeds and prints a table and a JSON line."""
    if config.algorithm not in flops.PER_UPDATE:
        raise UserError(f"no operation count for {config.algorithm}: choose one of {', '.join(flops.PER_UPDATE)}")
    if _CHILD.value:
        print(json.dumps(measure(config)))
        return
    rows = []
    for seeds in map(int, _SEEDS.value):
        rows.append(_measure_in_child(seeds))
        _print_row(rows[-1], header=len(rows) == 1)
    best = {shape: max(row["matmul"][shape] for row in rows) for shape in rows[0]["matmul"]}
    print(f"best matmul of this run: {', '.join(f'{shape} {rate:.0f} GFLOP/s' for shape, rate in best.items())}")
    for row in rows:
        row["share_of_matmul"] = row["gflops"] / max(best.values())
        print(f"{row['num_seeds']} seeds: {row['share_of_matmul']:.0%} of it")
    identity = {name: config[name] for name in ("algorithm", "task", "variant", "batch_size")}
    print(json.dumps({**identity, "rows": _ROWS.value, "matmul": best, "runs": rows}))


def measure(config: Any) -> dict[str, Any]:
    """Trains random data in this process and returns what it took."""
    devices.one_per_seed(config.num_seeds)
    import jax

    from ssar_jax.algorithms import registry
    from ssar_jax.data.tasks import get_task
    from ssar_jax.training.trainer import OfflineTrainer

    task = get_task(config.task)
    matmul_before = matmul_rates()
    start = time.perf_counter()
    trainer = OfflineTrainer(
        registry.build(config, task.action_size),
        random_data(task.observation_size, task.action_size, _ROWS.value),
        seeds=range(config.seed, config.seed + config.num_seeds),
        batch_size=config.batch_size,
    )
    init_seconds, start = time.perf_counter() - start, time.perf_counter()
    trainer.advance(1)
    compile_seconds = time.perf_counter() - start
    seconds = []
    for _ in range(_REPEATS.value):
        start = time.perf_counter()
        trainer.advance(_UPDATES.value)
        seconds.append(time.perf_counter() - start)
    rate = _UPDATES.value / min(seconds)
    per_update = flops.PER_UPDATE[config.algorithm](config, task.observation_size, task.action_size)
    matmul_after = matmul_rates()
    return {
        "num_seeds": config.num_seeds,
        "updates_per_second_each": rate,
        "updates_per_second_all": rate * config.num_seeds,
        "gflop_per_update": per_update / 1e9,
        "gflops": rate * config.num_seeds * per_update / 1e9,
        "init_seconds": init_seconds,
        "compile_seconds": compile_seconds,
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "matmul": {shape: max(matmul_before[shape], matmul_after[shape]) for shape in matmul_before},
        "device": f"{len(jax.devices())} x {jax.devices()[0].device_kind}",
    }


def random_data(observation_size: int, action_size: int, rows: int) -> Any:
    """A prepared dataset of standard normal observations and rewards, and uniform actions."""
    from ssar_jax.data.normalisation import ObservationScaling, PreparedData, RewardMap, Transitions

    rng = np.random.default_rng(0)
    observations = rng.standard_normal((rows, observation_size), np.float32)
    transitions = Transitions(
        observations,
        rng.uniform(-1.0, 1.0, (rows, action_size)).astype(np.float32),
        rng.standard_normal(rows, np.float32),
        np.ones(rows, np.float32),
        np.roll(observations, -1, axis=0),
    )
    return PreparedData(transitions, ObservationScaling.identity(observation_size), RewardMap())


def matmul_rates() -> dict[str, float]:
    """This machine's float32 matmul rate in GFLOP/s, best of a few, on all devices at once."""
    import jax
    import jax.numpy as jnp

    rates = {}
    for rows, inner, columns in MATMUL_SHAPES:
        repeats = int(4e9 / (2.0 * rows * inner * columns)) + 1

        def chain(a: jax.Array, b: jax.Array, repeats: int = repeats) -> jax.Array:
            return jax.lax.fori_loop(0, repeats, lambda _, x: x @ b, a)

        run = jax.jit(chain)
        arguments = [
            jax.device_put((jnp.ones((rows, inner)), jnp.ones((inner, columns)) / inner), device)
            for device in jax.devices()
        ]
        best = 0.0
        for attempt in range(4):
            start = time.perf_counter()
            jax.block_until_ready([run(*pair) for pair in arguments])
            seconds = time.perf_counter() - start
            if attempt:  # the first compiles
                best = max(best, len(arguments) * repeats * 2.0 * rows * inner * columns / seconds / 1e9)
        rates[f"{rows}x{inner}x{columns}"] = best
    return rates


def _measure_in_child(num_seeds: int) -> dict[str, Any]:
    arguments = [sys.executable, "-m", "experiments.benchmark", *sys.argv[1:]]
    arguments += ["--child", f"--config.num_seeds={num_seeds}"]
    result = subprocess.run(arguments, capture_output=True, text=True, env=dict(os.environ), check=False)
    if result.returncode != 0:
        raise UserError(f"the measurement of {num_seeds} seeds failed: {result.stderr.strip().splitlines()[-1]}")
    return json.loads(result.stdout.strip().splitlines()[-1])


def _print_row(row: dict[str, Any], header: bool) -> None:
    if header:
        print("seeds  updates/s each  all     GFLOP/s  compile s  memory MiB  matmul GFLOP/s  devices")
    print(
        f"{row['num_seeds']:5d}  {row['updates_per_second_each']:14.1f}  {row['updates_per_second_all']:6.1f}  "
        f"{row['gflops']:7.1f}  {row['compile_seconds']:9.1f}  {row['peak_memory_mib']:10.0f}  "
        f"{max(row['matmul'].values()):14.0f}  {row['device']}",
        flush=True,
    )


if __name__ == "__main__":
    command.run(main, needs_config=True)
