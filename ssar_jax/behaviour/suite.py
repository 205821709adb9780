"""The embedded suite as a whole: what is missing, what making it takes, and what the sets are like."""

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ssar_jax.behaviour import generate, recipes
from ssar_jax.behaviour.stages import stage_of
from ssar_jax.data.dataset import OfflineDataset
from ssar_jax.data.embedded import embedded_id
from ssar_jax.data.minari import has_minari, read_minari_metadata
from ssar_jax.data.tasks import Task
from ssar_jax.envs.rollout import collect
from ssar_jax.errors import UserError

_PROBE_STEPS = 400
_BYTES_PER_EPISODE = 4096  # what HDF5 takes for an episode's group and the ends of its columns


class Work(NamedTuple):
    """What making missing datasets takes.

    Attributes:
        tasks: those whose set is missing or made by another recipe.
        num_steps: transitions of all of them.
        seconds: time on all cores.
        gigabytes: on the disk.
    """

    tasks: tuple[Task, ...]
    num_steps: int
    seconds: float
    gigabytes: float


def missing_work(sizes: Sequence[tuple[Task, int]], cores: int, seed: int = generate.SEED) -> Work:
    """Looks what is there, and plays every agent for a moment to see how fast this machine is.

    Args:
        sizes: tasks, and the number of transitions wanted of each.
        cores: number of processes that will play.
        seed: seed of the generation.
    """
    missing = [(task, num_steps) for task, num_steps in sizes if not _is_there(task, num_steps, seed)]
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


def _is_there(task: Task, num_steps: int, seed: int) -> bool:
    dataset_id = embedded_id(task, num_steps)
    if not has_minari(dataset_id):
        return False
    try:
        return read_minari_metadata(dataset_id).get("recipe") == recipes.recipe_hash(task, num_steps, seed)
    except UserError:
        return False  # damaged: it will be made again


def _transitions_per_second(task: Task) -> float:
    """How fast one process plays a task here."""
    stage, rng = stage_of(task), np.random.default_rng(0)
    policy = recipes.segments(task, 1_000)[-1].policy
    assert policy is not None
    start = time.perf_counter()
    played = collect(
        stage.make_env, lambda seen: stage.act(policy, rng, seen), num_steps=_PROBE_STEPS, num_envs=8, rng=rng
    )
    total = sum(len(episode.rewards) for episode in played)
    return total / (time.perf_counter() - start)


class Statistics(NamedTuple):
    """What a dataset is like.

    Attributes:
        task: its name.
        transitions: rows.
        episodes: recorded trajectories.
        mean_length: rows per episode.
        returns: the 10 %, 50 % and 90 % quantiles of the undiscounted returns.
        score: normalised mean return; for AntMaze, whose trajectories go on at the goal, not a success rate.
        successes: share of the episodes that reach the goal; None where there is none.
        terminals: share of the rows that are terminal.
        action_std: standard deviation of an action around its mean over the dataset, mean over dimensions.
        saturated: share of the action entries beyond 0.99.
    """

    task: str
    transitions: int
    episodes: int
    mean_length: float
    returns: tuple[float, float, float]
    score: float
    successes: float | None
    terminals: float
    action_std: float
    saturated: float


def describe(task: Task, dataset: OfflineDataset) -> Statistics:
    """Takes the statistics of a dataset."""
    returns = dataset.episode_returns()
    low, median, high = np.quantile(returns, [0.1, 0.5, 0.9]).tolist()
    return Statistics(
        task.name,
        len(dataset),
        len(returns),
        float(dataset.episode_lengths().mean()),
        (low, median, high),
        task.require_score(float(returns.mean())),
        float(np.mean(returns > 0.0)) if task.agent == "antmaze" else None,
        float(np.mean(dataset.masks == 0.0)),
        float(dataset.actions.std(axis=0).mean()),
        float(np.mean(np.abs(dataset.actions) > 0.99)),
    )


def markdown_table(rows: Sequence[Statistics]) -> str:
    """The statistics of several sets as a Markdown table."""
    lines = [
        "| task | transitions | episodes | mean length | return 10 % / 50 % / 90 % | normalised mean | successes "
        "| terminals | action std | saturated |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        quantiles = " / ".join(f"{value:.0f}" for value in row.returns)
        successes = "" if row.successes is None else f"{row.successes:.1%}"
        score = f"{row.score:.1f}" if row.successes is None else ""
        lines.append(
            f"| {row.task} | {row.transitions:,} | {row.episodes:,} | {row.mean_length:.0f} | {quantiles} | {score} "
            f"| {successes} | {row.terminals:.2%} | {row.action_std:.2f} | {row.saturated:.1%} |"
        )
    return "\n".join(lines) + "\n"
