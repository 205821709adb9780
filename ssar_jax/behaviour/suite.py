"""The embedded suite as a whole: which datasets are missing, and the time and space to generate them."""

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ssar_jax.behaviour import generate, recipes
from ssar_jax.behaviour.stages import stage_of
from ssar_jax.data.sources.embedded import embedded_id
from ssar_jax.data.sources.minari import has_minari, read_minari_metadata
from ssar_jax.data.tasks import Task
from ssar_jax.envs.rollout import collect
from ssar_jax.errors import UserError

_PROBE_STEPS = 400  # transitions to measure the speed of an environment
_BYTES_PER_EPISODE = 4096  # HDF5's overhead for an episode's group and the padding of its columns


class Work(NamedTuple):
    """Estimate of the work to generate the missing datasets.

    Attributes:
        tasks: Tasks whose dataset is missing or from another recipe.
        num_steps: Total number of transitions.
        seconds: Time on all cores, s.
        gigabytes: Disk space, GB.
    """

    tasks: tuple[Task, ...]
    num_steps: int
    seconds: float
    gigabytes: float


def missing_work(sizes: Sequence[tuple[Task, int]], cores: int, seed: int = generate.SEED) -> Work:
    """Return the missing datasets and an estimate of the work, from a short measurement of every environment.

    Args:
        sizes: Tasks, each with its number of transitions.
        cores: Number of processes that will generate data.
        seed: Seed of the generation.

    Returns:
        The work; without tasks if nothing is missing.
    """
    missing = [(task, num_steps) for task, num_steps in sizes if not _exists(task, num_steps, seed)]
    rates: dict[str | None, float] = {}
    seconds = gigabytes = 0.0
    for task, num_steps in missing:
        if task.environment not in rates:
            rates[task.environment] = _transitions_per_second(task)
        seconds += num_steps / rates[task.environment] / cores
        row = 4 * (task.observation_size + task.action_size + 1) + 2
        gigabytes += (num_steps * row + num_steps / task.horizon * _BYTES_PER_EPISODE) / 1e9
    tasks = tuple(task for task, _ in missing)
    return Work(tasks, sum(num_steps for _, num_steps in missing), seconds, gigabytes)


def _exists(task: Task, num_steps: int, seed: int) -> bool:
    dataset_id = embedded_id(task, num_steps)
    if not has_minari(dataset_id):
        return False
    try:
        return read_minari_metadata(dataset_id).get("recipe") == recipes.recipe_hash(task, num_steps, seed)
    except UserError:
        return False  # it is damaged and will be generated again


def _transitions_per_second(task: Task) -> float:
    """Return the measured speed of one process."""
    stage, rng = stage_of(task), np.random.default_rng(0)
    policy = recipes.segments(task, 1_000)[-1].policy
    assert policy is not None
    start = time.perf_counter()
    played = collect(
        stage.make_env, lambda seen: stage.act(policy, rng, seen), num_steps=_PROBE_STEPS, num_envs=8, rng=rng
    )
    total = sum(len(episode.rewards) for episode in played)
    return total / (time.perf_counter() - start)
