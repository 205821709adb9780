"""Measurements of simulation, each beside the rate of the physics engine alone in the same run."""

import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import gymnasium
import numpy as np


class _Recorder:
    """Stands for `FirstEpisodes` and keeps the actions of every step.

    Args:
        episodes: the environments that play.
        actions: the list to which the actions of every step are added, [N, A] each.
    """

    def __init__(self, episodes: Any, actions: list[np.ndarray]) -> None:
        self._episodes, self._actions = episodes, actions

    def play(self, policy: Callable[[np.ndarray], np.ndarray], *arguments: Any) -> Any:
        def recorded(observations: np.ndarray) -> np.ndarray:
            self._actions.append(np.array(policy(observations)))
            return self._actions[-1]

        return self._episodes.play(recorded, *arguments)


def evaluation(config: Any, repeats: int) -> dict[str, Any]:
    """Measures the evaluation of untrained policies, in environments that never terminate.

    Args:
        config: the checked config.
        repeats: number of measurements; the fastest one is reported.

    Returns:
        The row of the table by name: episodes, threads, environment steps, rates in 1/s.
    """
    import jax

    from ssar_jax.algorithms import registry
    from ssar_jax.data.scaling import ObservationScaling
    from ssar_jax.data.tasks import get_task
    from ssar_jax.training import layout as layouts
    from ssar_jax.training import loop
    from ssar_jax.training.evaluation import Evaluator

    task, seeds = get_task(config.task), range(config.seed, config.seed + config.num_seeds)
    algorithm = registry.build(config, task.action_size)
    states = loop.initial_states(
        algorithm, seeds, layouts.choose_layout(len(seeds)), task.observation_size, task.action_size
    )
    policies = jax.tree.map(lambda leaf: leaf[: len(seeds)], algorithm.policy_params(states))
    build = partial(_endless, task.environment)
    evaluator = Evaluator(
        algorithm, build, seeds, config.evaluation.episodes, ObservationScaling.identity(task.observation_size)
    )
    episodes, actions = evaluator.episodes, []
    evaluator.episodes = _Recorder(episodes, actions)  # pyright: ignore[reportAttributeAccessIssue]
    evaluator(policies)
    evaluator.episodes = episodes
    steps, rate, engine = 0, 0.0, 0.0
    for _ in range(repeats):  # in turns, so that a temporary slowdown affects both
        start = time.perf_counter()
        steps = int(evaluator(policies).lengths.sum())
        rate = max(rate, steps / (time.perf_counter() - start))
        engine = max(engine, engine_rate(build, evaluator.reset_seeds, actions))
    threads = len(os.sched_getaffinity(0))
    return {
        "num_seeds": len(seeds),
        "episodes": config.evaluation.episodes,
        "threads": threads,
        "environment_steps": steps,
        "steps_per_second": rate,
        "engine_steps_per_second": engine,
        "share_of_engine": rate / (engine * threads),
    }


def generation(config: Any, num_steps: int) -> dict[str, Any]:
    """Measures the generation of an embedded dataset, without writing it.

    Args:
        config: the checked config.
        num_steps: number of transitions.

    Returns:
        The row of the table by name: threads, environment steps, rates in 1/s.
    """
    from ssar_jax.behaviour import generate
    from ssar_jax.data.tasks import get_task

    task, rng = get_task(config.task), np.random.default_rng(0)
    start = time.perf_counter()
    steps = sum(len(episode.rewards) for episode in generate.play(task, num_steps))
    rate = steps / (time.perf_counter() - start)
    actions = rng.uniform(-1.0, 1.0, (1000, 8, task.action_size)).astype(np.float32)
    engine = engine_rate(partial(_endless, task.environment), range(8), list(actions))
    threads = len(os.sched_getaffinity(0))
    return {
        "num_seeds": 1,
        "threads": threads,
        "environment_steps": steps,
        "seconds": steps / rate,
        "steps_per_second": rate,
        "engine_steps_per_second": engine,
        "share_of_engine": rate / (engine * threads),
    }


def engine_rate(build: Callable[[], gymnasium.Env], seeds: Sequence[int], actions: Sequence[np.ndarray]) -> float:
    """Measures the physics engine alone: MuJoCo's step on one thread, for the same episodes.

    Args:
        build: function that builds one environment.
        seeds: reset seeds of the N environments.
        actions: the actions of every step, [N, A] each.

    Returns:
        Environment steps per second.
    """
    import mujoco

    env: Any = build()
    base = env.unwrapped
    simulations = []
    for seed in seeds:
        env.reset(seed=int(seed))
        data = mujoco.MjData(base.model)  # pyright: ignore[reportAttributeAccessIssue]
        mujoco.mj_copyData(data, base.model, base.data)  # pyright: ignore[reportAttributeAccessIssue]
        simulations.append((data, data.ctrl))
    model, frame_skip, step = base.model, base.frame_skip, mujoco.mj_step  # pyright: ignore[reportAttributeAccessIssue]
    start = time.perf_counter()
    for batch in actions:
        for (data, ctrl), action in zip(simulations, batch, strict=True):
            ctrl[:] = action
            step(model, data, frame_skip)
    seconds = time.perf_counter() - start
    env.close()
    return len(actions) * len(simulations) / seconds


def _endless(environment: str | None) -> gymnasium.Env:
    """Builds an environment that only its time limit ends, so that untrained policies play whole episodes."""
    from ssar_jax.envs.make import make_env

    env = make_env(environment or "")
    base: Any = env.unwrapped
    if hasattr(base, "_terminate_when_unhealthy"):
        base._terminate_when_unhealthy = False
    return env
