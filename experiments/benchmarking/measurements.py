"""What a benchmark measures within one process, set up as a real run would be."""

import resource
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from experiments.benchmarking import flops
from experiments.cli import devices

MATMUL_SHAPES = ((256, 256, 256), (7680, 256, 256))


def offline_updates(config: Any, updates: int, repeats: int, rows: int) -> dict[str, Any]:
    """Trains random data and returns what it took; the best of the repeats counts."""
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
        random_data(task.observation_size, task.action_size, rows),
        seeds=range(config.seed, config.seed + config.num_seeds),
        batch_size=config.batch_size,
    )
    trainer.load(_with_density(trainer.states()), 0)
    init_seconds, start = time.perf_counter() - start, time.perf_counter()
    trainer.advance(1)
    compile_seconds = time.perf_counter() - start
    rate = updates / _best_seconds(lambda: trainer.advance(updates), repeats)
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


def online_steps(config: Any, steps: int, repeats: int, rows: int) -> dict[str, Any]:
    """Fine-tunes on random data and compares a step with its parts.

    The parts are the environments' own steps, with random actions, and the bare update of the same phase, of all seeds
    in one program; each is measured while nothing else runs, for the loop may do both at a time.
    """
    devices.one_per_seed(config.num_seeds)
    import jax

    from ssar_jax.algorithms import registry
    from ssar_jax.data.tasks import get_task
    from ssar_jax.envs.lockstep import LockstepEnvs
    from ssar_jax.envs.make import make
    from ssar_jax.runs.online import protocol_from_config
    from ssar_jax.training import initial_buffer, loop
    from ssar_jax.training.fine_tuner import FineTuner

    task, seeds = get_task(config.task), range(config.seed, config.seed + config.num_seeds)
    assert task.environment is not None
    algorithm = registry.build(config, task.action_size)
    data = random_data(task.observation_size, task.action_size, rows)
    layout = loop.choose_layout(len(seeds))
    states = loop.initial_states(algorithm, seeds, layout, task.observation_size, task.action_size)
    on_host = _with_density(jax.tree.map(lambda leaf: leaf[: len(seeds)], jax.device_get(states)))
    states = loop.place_states(on_host, layout)
    trusted = np.ones(rows, np.float32)

    placed = loop.place_data(data.transitions, trusted, seeds, layout)
    chunk = loop.make_chunk(algorithm, seeds, layout, batch_size=config.batch_size, phase="online")
    done = 0

    def bare_updates(number: int) -> None:
        nonlocal states, done
        states, metrics = chunk(states, placed, done, done + number)
        jax.block_until_ready(metrics)
        done += number

    stopwatch = Stopwatch()
    envs = LockstepEnvs(lambda: stopwatch.watch(make(task.environment or "")), seeds)
    envs.reset()
    actions = np.random.default_rng(0).uniform(-1.0, 1.0, (steps, len(seeds), task.action_size)).astype(np.float32)

    def bare_environment_steps() -> float:
        stopwatch.seconds = 0.0
        for action in actions:
            envs.step(action)
        return stopwatch.seconds

    bare_updates(1)
    total = max(config.online.num_steps, 10 + steps * repeats)  # buffers as large as a run's
    buffer = initial_buffer.make_buffer("all", np.arange(rows), data, trusted, capacity=rows + total, num_steps=total)
    # Without blocks of updates, as FamCQL takes them: they would fall into some repeats alone.
    protocol = protocol_from_config(config)._replace(warmup_steps=0, steps_between_updates=1)
    tuner = FineTuner(
        algorithm, on_host, data, buffer, partial(make, task.environment),
        seeds=seeds, num_steps=total, protocol=protocol, first_update=0, layout=layout,
    )  # fmt: skip
    tuner.advance(10)
    update_seconds = environment_seconds = step_seconds = float("inf")
    for _ in range(repeats):  # in turns: a machine that is slow for a while is slow for all three
        update_seconds = min(update_seconds, _best_seconds(partial(bare_updates, steps), 1) / steps)
        environment_seconds = min(environment_seconds, bare_environment_steps() / steps)
        step_seconds = min(step_seconds, _best_seconds(partial(tuner.advance, steps), 1) / steps)
    return {
        "num_seeds": len(seeds),
        "updates": tuner.updates,
        "steps_per_second_each": 1.0 / step_seconds,
        "step_milliseconds": 1e3 * step_seconds,
        "environment_milliseconds": 1e3 * environment_seconds,
        "update_milliseconds": 1e3 * update_seconds,
        "ratio": step_seconds / (environment_seconds + update_seconds),
        "device": f"{len(jax.devices())} x {jax.devices()[0].device_kind}",
    }


def evaluation(config: Any, repeats: int) -> dict[str, Any]:
    """Evaluates untrained policies and compares the time with that spent within the environments' own steps."""
    devices.one_per_seed(config.num_seeds)
    import jax

    from ssar_jax.algorithms import registry
    from ssar_jax.data.scaling import ObservationScaling
    from ssar_jax.data.tasks import get_task
    from ssar_jax.envs.make import make
    from ssar_jax.training import loop
    from ssar_jax.training.evaluation import Evaluator

    task, seeds = get_task(config.task), range(config.seed, config.seed + config.num_seeds)
    algorithm = registry.build(config, task.action_size)
    layout = loop.choose_layout(len(seeds))
    states = loop.initial_states(algorithm, seeds, layout, task.observation_size, task.action_size)
    policies = jax.tree.map(lambda leaf: leaf[: len(seeds)], algorithm.policy(states))
    stopwatch = Stopwatch()
    evaluator = Evaluator(
        algorithm, lambda: stopwatch.watch(make(task.environment or "")), seeds, config.evaluation.episodes,
        ObservationScaling.identity(task.observation_size),
    )  # fmt: skip
    evaluator(policies)
    results = []
    for _ in range(repeats):
        stopwatch.seconds, start = 0.0, time.perf_counter()
        steps = int(evaluator(policies).lengths.sum())
        results.append((time.perf_counter() - start, stopwatch.seconds, steps))
    seconds, within, steps = min(results)
    return {
        "num_seeds": len(seeds),
        "episodes": config.evaluation.episodes,
        "environment_steps": steps,
        "seconds": seconds,
        "environment_seconds": within,
        "ratio": seconds / within,
    }


def _with_density(states: Any) -> Any:
    """Host states that can train: SPOT's density model, NaN until it is trained, becomes zeros, which cost the same."""
    import jax

    return jax.tree.map(np.nan_to_num, states)


class Stopwatch:
    """Adds up the time that environments spend in their own steps."""

    seconds = 0.0

    def watch(self, env: Any) -> Any:
        """Times every step of an environment from now on."""
        step = env.step

        def timed(action: Any) -> Any:
            start = time.perf_counter()
            result = step(action)
            self.seconds += time.perf_counter() - start
            return result

        env.step = timed
        return env


def _best_seconds(work: Callable[[], Any], repeats: int) -> float:
    """The shortest time of several: other work only slows a machine."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def random_data(observation_size: int, action_size: int, rows: int) -> Any:
    """A prepared dataset of standard normal observations and rewards, and uniform actions."""
    from ssar_jax.data.scaling import ObservationScaling, PreparedData, RewardMap, Transitions

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
