"""Where the behaviour policies of a task play, how they act there, and what is kept of an episode."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import gymnasium
import numpy as np

from ssar_jax.behaviour.navigation import DIRECTION_SIZE, Errand, GuidedMaze, walk_guided
from ssar_jax.behaviour.policies import GaussianPolicy
from ssar_jax.data.tasks import Task
from ssar_jax.envs.make import make
from ssar_jax.episodes import Episode


class Stage(NamedTuple):
    """A way to play.

    Attributes:
        make_env: builds one environment.
        act: (policy, generator, observations [N, ...]) -> actions [N, A].
        finish: turns a played episode into one of the dataset.
    """

    make_env: Callable[[], gymnasium.Env]
    act: Callable[[GaussianPolicy, np.random.Generator, np.ndarray], np.ndarray]
    finish: Callable[[Episode], Episode]


def stage_of(task: Task) -> Stage:
    """The stage of a task's embedded dataset."""
    assert task.environment is not None
    if task.agent != "antmaze":
        return Stage(partial(make, task.environment), _sample, _unchanged)
    maze, _, variant = task.tier.partition("-")
    errands: dict[str, Errand] = {"": "fixed", "play": "play", "diverse": "diverse"}
    return Stage(partial(GuidedMaze, maze, errands[variant]), walk_guided, _without_guide)


def _sample(policy: GaussianPolicy, rng: np.random.Generator, observations: np.ndarray) -> np.ndarray:
    return policy.sample(observations, rng)


def _unchanged(episode: Episode) -> Episode:
    return episode


def _without_guide(episode: Episode) -> Episode:
    """Drops the guide's direction; as in D4RL every row at the goal is terminal, and none of them ends the episode."""
    return episode._replace(observations=episode.observations[:, :-DIRECTION_SIZE], terminations=episode.rewards > 0.0)
