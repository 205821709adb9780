"""The quality tiers of the embedded suite, and the test of whether a policy reaches one."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import gymnasium
import numpy as np

from ssar_jax.behaviour.navigation import GuidedMaze, walk_guided
from ssar_jax.behaviour.policies import GaussianPolicy
from ssar_jax.data.tasks import get_task
from ssar_jax.envs.make import make_env
from ssar_jax.envs.mazes import MAZES
from ssar_jax.envs.rollout import FirstEpisodes

NUM_SNAPSHOTS = 8
"""Policies that are saved during the training of medium, at even intervals, for the medium-replay datasets."""

EPISODES = 50
"""Episodes per test; for the ant, per maze."""


class Tier(NamedTuple):
    """The range of marks that a policy must reach.

    Attributes:
        environment: Environment of the training.
        low: Smallest mark: the normalized score of the stochastic policy, or the percentage of solved mazes.
        high: Largest mark.
        least_return: Mean training return at which tests start.
    """

    environment: str
    low: float
    high: float
    least_return: float


def _locomotion(agent: str, low: float, high: float = float("inf")) -> Tier:
    task = get_task(f"{agent}-m")
    assert task.reference_min is not None
    assert task.reference_max is not None
    return Tier(agent, low, high, task.reference_min + low / 100.0 * (task.reference_max - task.reference_min))


TIERS: dict[tuple[str, str], Tier] = {
    # D4RL's medium policies are in these ranges: raw returns 4065 to 5927, 1282 to 1770 and 2526 to 3215.
    ("halfcheetah", "medium"): _locomotion("halfcheetah", 35.0, 50.0),
    ("hopper", "medium"): _locomotion("hopper", 40.0, 55.0),
    ("walker2d", "medium"): _locomotion("walker2d", 55.0, 70.0),
    ("halfcheetah", "expert"): _locomotion("halfcheetah", 75.0),
    ("hopper", "expert"): _locomotion("hopper", 85.0),
    ("walker2d", "expert"): _locomotion("walker2d", 85.0),
    ("ant", "direction"): Tier("ant-direction", 90.0, 100.0, 500.0),  # 1 m/s in the given direction for 50 s
}
"""The tiers by agent and name."""


class Mark(NamedTuple):
    """Result of a test.

    Attributes:
        mark: Normalized score or percentage of solved mazes, see `Tier.low`.
        return_mean: Mean undiscounted return.
        return_std: Population standard deviation of the returns.
    """

    mark: float
    return_mean: float
    return_std: float


def examine(agent: str, policy: GaussianPolicy, rng: np.random.Generator) -> Mark:
    """Run a stochastic policy and return its mark.

    The ant walks through every maze from the evaluation's start to its goal, guided by waypoints. A maze is solved if
    the goal is reached within the time limit.

    Args:
        agent: `halfcheetah`, `hopper`, `walker2d` or `ant`.
        policy: The policy.
        rng: Generator of the actions and the reset seeds.
    """
    if agent != "ant":
        returns = _play(partial(make_env, agent), partial(policy.sample, rng=rng), rng)
        mark = get_task(f"{agent}-m").require_score(float(returns.mean()))
        return Mark(mark, float(returns.mean()), float(returns.std()))
    walk = partial(walk_guided, policy, rng)
    returns = np.concatenate([_play(partial(GuidedMaze, maze, "fixed"), walk, rng) for maze in MAZES])
    return Mark(100.0 * float(np.mean(returns > 0.0)), float(returns.mean()), float(returns.std()))


def _play(
    make_env: Callable[[], gymnasium.Env], act: Callable[[np.ndarray], np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    envs = FirstEpisodes(make_env, EPISODES)
    returns = envs.play(act, rng.integers(2**31, size=EPISODES).tolist()).returns
    envs.close()
    return returns
