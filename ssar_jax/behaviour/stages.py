"""The environment and the policy function that generate a task's embedded dataset."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import gymnasium
import numpy as np

from ssar_jax.behaviour.navigation import DIRECTION_SIZE, Errand, GuidedMaze, walk_guided
from ssar_jax.behaviour.policies import GaussianPolicy
from ssar_jax.data.tasks import Task
from ssar_jax.envs.make import make_env
from ssar_jax.episodes import Episode


class Stage(NamedTuple):
    """How to generate the episodes of a task.

    Attributes:
        make_env: Builds one environment.
        act: (policy, random generator, observations [N, ...]) -> actions [N, A].
        finish: Converts an episode of the environment to one of the dataset.
    """

    make_env: Callable[[], gymnasium.Env]
    act: Callable[[GaussianPolicy, np.random.Generator, np.ndarray], np.ndarray]
    finish: Callable[[Episode], Episode]


def stage_of(task: Task) -> Stage:
    """Return the stage of a task's embedded dataset.

    Args:
        task: One of the 18 tasks.
    """
    assert task.environment is not None
    if task.agent != "antmaze":
        return Stage(partial(make_env, task.environment), _sample, _unchanged)
    maze, _, variant = task.tier.partition("-")
    errands: dict[str, Errand] = {"": "fixed", "play": "play", "diverse": "diverse"}
    return Stage(partial(GuidedMaze, maze, errands[variant]), walk_guided, _without_guide)


def _sample(policy: GaussianPolicy, rng: np.random.Generator, observations: np.ndarray) -> np.ndarray:
    return policy.sample(observations, rng)


def _unchanged(episode: Episode) -> Episode:
    return episode


def _without_guide(episode: Episode) -> Episode:
    """Drop the guide's direction and mark every row at the goal as terminal; as in D4RL the episode continues."""
    return episode._replace(observations=episode.observations[:, :-DIRECTION_SIZE], terminations=episode.rewards > 0.0)
