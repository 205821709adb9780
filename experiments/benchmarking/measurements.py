"""Measurements of a benchmark within one process, with the setup of a real run."""

import resource
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from experiments.cli import devices

MATMUL_SHAPES = ((256, 256, 256), (7680, 256, 256))


def offline_updates(config: Any, updates: int, repeats: int, rows: int) -> dict[str, Any]:
    """Measures offline training on random data.

    Args:
        config: the checked config.
        updates: number of updates per measurement.
        repeats: number of measurements; the fastest one is reported.
        rows: number of rows of the dataset.

    Returns:
        The row of the table by name: rates in 1/s and GFLOP/s, times in s, memory in MiB, devices.
    """
    devices.one_per_seed(config.num_seeds)
    import jax

    jax.config.update("jax_default_matmul_precision", config.precision)
    from ssar_jax.algorithms import registry
    from ssar_jax.data.tasks import get_task
    from ssar_jax.training.trainer import OfflineTrainer

    task = get_task(config.task)
    matmul_before = matmul_rates()
    start = time.perf_counter()
    algorithm = registry.build(config, task.action_size)
    trainer = OfflineTrainer(
        algorithm,
        random_data(task.observation_size, task.action_size, rows, algorithm.columns),
        seeds=range(config.seed, config.seed + config.num_seeds),
        batch_size=config.batch_size,
    )
    trainer.load(_pretrained(trainer.states()), 0)
    init_seconds, start = time.perf_counter() - start, time.perf_counter()
    trainer.advance(1)
    compile_seconds = time.perf_counter() - start
    rate = updates / _best_seconds(lambda: trainer.advance(updates), repeats)
    operations = registry.get_entry(config.algorithm).operations
    assert operations is not None
    per_update = operations(config, task.observation_size, task.action_size)
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


def online_steps(config: Any, steps: int, repeats: int, rows: int) -> dict[str, Any]:
    """Measures fine-tuning on random data, and compares an environment step with its parts.

    The parts are the steps of the environments, with random actions, and the update of all seeds in one program. Each
    is measured separately, because the training loop does both at the same time. `ratio` is the whole step's time
    divided by that of the update alone.

    Args:
        config: the checked config.
        steps: number of environment steps per measurement.
        repeats: number of measurements; the fastest one is reported.
        rows: number of rows of the dataset.

    Returns:
        The row of the table by name: rates in 1/s, times in ms, devices.
    """
    devices.one_per_seed(config.num_seeds)
    import jax

    jax.config.update("jax_default_matmul_precision", config.precision)
    from ssar_jax.algorithms import registry
    from ssar_jax.data.tasks import get_task
    from ssar_jax.envs.lockstep import LockstepEnvs
    from ssar_jax.envs.make import make_env
    from ssar_jax.runs.online import protocol_from_config
    from ssar_jax.training import initial_buffer, loop
    from ssar_jax.training import layout as layouts
    from ssar_jax.training.fine_tuner import FineTuner

    task, seeds = get_task(config.task), range(config.seed, config.seed + config.num_seeds)
    assert task.environment is not None
    algorithm = registry.build(config, task.action_size)
    data = random_data(task.observation_size, task.action_size, rows, algorithm.columns)
    layout = layouts.choose_layout(len(seeds))
    states = loop.initial_states(algorithm, seeds, layout, task.observation_size, task.action_size)
    on_host = _pretrained(jax.tree.map(lambda leaf: leaf[: len(seeds)], jax.device_get(states)))
    states = layouts.place_states(on_host, layout)
    trusted = np.ones(rows, np.float32)

    placed = loop.place_data(data.transitions, trusted, seeds, layout)
    chunk = loop.make_chunk(algorithm, seeds, layout, batch_size=config.batch_size, phase="online")
    done = 0

    def bare_updates(number: int) -> None:
        nonlocal states, done
        states, metrics = chunk(states, placed, done, done + number)
        jax.block_until_ready(metrics)
        done += number

    envs = LockstepEnvs(partial(make_env, task.environment), seeds)
    envs.reset()
    actions = np.random.default_rng(0).uniform(-1.0, 1.0, (steps, len(seeds), task.action_size)).astype(np.float32)

    def bare_environment_steps() -> None:
        for action in actions:
            envs.step(action)

    bare_updates(1)
    total = max(config.online.num_steps, 10 + steps * repeats)  # buffers of the size of a run
    buffer = initial_buffer.make_buffer("all", np.arange(rows), data, trusted, capacity=rows + total, num_steps=total)
    # One update per step: blocks of updates, as in FamCQL, would be in only some of the measurements.
    protocol = protocol_from_config(config)._replace(warmup_steps=0, steps_between_updates=1)
    tuner = FineTuner(
        algorithm, on_host, data, buffer, partial(make_env, task.environment),
        seeds=seeds, num_steps=total, protocol=protocol, first_update=0, layout=layout,
    )  # fmt: skip
    tuner.advance(10)
    update_seconds = environment_seconds = step_seconds = float("inf")
    for _ in range(repeats):  # alternating, so that a temporary slowdown affects all three
        update_seconds = min(update_seconds, _best_seconds(partial(bare_updates, steps), 1) / steps)
        environment_seconds = min(environment_seconds, _best_seconds(bare_environment_steps, 1) / steps)
        step_seconds = min(step_seconds, _best_seconds(partial(tuner.advance, steps), 1) / steps)
    return {
        "num_seeds": len(seeds),
        "updates": tuner.updates,
        "steps_per_second_each": 1.0 / step_seconds,
        "step_milliseconds": 1e3 * step_seconds,
        "environment_milliseconds": 1e3 * environment_seconds,
        "update_milliseconds": 1e3 * update_seconds,
        "ratio": step_seconds / update_seconds,
        "device": f"{len(jax.devices())} x {jax.devices()[0].device_kind}",
    }


def _pretrained(states: Any) -> Any:
    """Replaces the NaN of a missing pretrained model by zeros, so that the states can train at the same cost."""
    import jax

    return jax.tree.map(np.nan_to_num, states)


def _best_seconds(work: Callable[[], Any], repeats: int) -> float:
    """Returns the shortest of several times in s, because other processes only slow down a measurement."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def random_data(observation_size: int, action_size: int, rows: int, columns: Sequence[Any] = ()) -> Any:
    """Generates a prepared dataset of standard normal observations and rewards, and uniform actions.

    Args:
        observation_size: observation size O.
        action_size: action size A.
        rows: number of rows N, in episodes of 1,000.
        columns: the columns that the algorithm declares.

    Returns:
        The prepared dataset.
    """
    from ssar_jax.data.columns import with_columns
    from ssar_jax.data.scaling import ObservationScaling, PreparedData, RewardMap
    from ssar_jax.transitions import Transitions

    rng = np.random.default_rng(0)
    observations = rng.standard_normal((rows, observation_size), np.float32)
    transitions = Transitions(
        observations=observations,
        actions=rng.uniform(-1.0, 1.0, (rows, action_size)).astype(np.float32),
        rewards=rng.standard_normal(rows, np.float32),
        masks=np.ones(rows, np.float32),
        next_observations=np.roll(observations, -1, axis=0),
    )
    ends = np.arange(1, rows + 1) % 1_000 == 0
    ends[-1] = True
    transitions = with_columns(transitions, ends, columns)
    return PreparedData(transitions, ObservationScaling.identity(observation_size), RewardMap())


def matmul_rates() -> dict[str, float]:
    """Returns the float32 matmul rate of all devices together in GFLOP/s, by shape; the best of a few measurements."""
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
