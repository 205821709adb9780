"""The quality tiers of the embedded suite: what a policy of each must reach, and how that is examined."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import gymnasium
import numpy as np

from ssar_jax.behaviour.navigation import GuidedMaze, walk_guided
from ssar_jax.behaviour.policies import GaussianPolicy
from ssar_jax.data.tasks import get_task
from ssar_jax.envs.make import make
from ssar_jax.envs.mazes import MAZES
from ssar_jax.envs.rollout import FirstEpisodes

NUM_SNAPSHOTS = 8
"""Policies kept from the way to medium, at even intervals, for the medium-replay sets."""

EPISODES = 50
"""Episodes of an examination; of the ant's, in each maze."""


class Tier(NamedTuple):
    """What a policy must reach.

    Attributes:
        environment: where it is trained.
        low: least mark: the normalised score of the stochastic policy, or the percentage of mazes solved.
        high: largest mark.
        least_return: mean return in training from which on an examination is worth its time.
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
    # D4RL's own medium policies lie in these ranges: raw returns 4065 to 5927, 1282 to 1770 and 2526 to 3215.
    ("halfcheetah", "medium"): _locomotion("halfcheetah", 35.0, 50.0),
    ("hopper", "medium"): _locomotion("hopper", 40.0, 55.0),
    ("walker2d", "medium"): _locomotion("walker2d", 55.0, 70.0),
    ("halfcheetah", "expert"): _locomotion("halfcheetah", 75.0),
    ("hopper", "expert"): _locomotion("hopper", 85.0),
    ("walker2d", "expert"): _locomotion("walker2d", 85.0),
    ("ant", "direction"): Tier("ant-direction", 90.0, 100.0, 500.0),  # 1 m/s on the way
}


class Mark(NamedTuple):
    """The outcome of an examination.

    Attributes:
        mark: see `Tier.low`.
        return_mean: mean undiscounted return.
        return_std: population standard deviation of the returns.
    """

    mark: float
    return_mean: float
    return_std: float


def examine(agent: str, policy: GaussianPolicy, rng: np.random.Generator) -> Mark:
    """Plays a stochastic policy and marks it.

    The ant walks every maze from the evaluation's start to its goal, guided by waypoints; a maze is solved when the
    goal is reached within the time limit.
    """
    if agent != "ant":
        returns = _play(partial(make, agent), partial(policy.sample, rng=rng), rng)
        mark = get_task(f"{agent}-m").require_score(float(returns.mean()))
        return Mark(mark, float(returns.mean()), float(returns.std()))
    walk = partial(walk_guided, policy, rng)
    returns = np.concatenate([_play(partial(GuidedMaze, maze, "fixed"), walk, rng) for maze in MAZES])
    return Mark(100.0 * float(np.mean(returns > 0.0)), float(returns.mean()), float(returns.std()))


def _play(
    make_env: Callable[[], gymnasium.Env], act: Callable[[np.ndarray], np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    envs = FirstEpisodes(make_env, EPISODES)
    returns, _ = envs.play(act, rng.integers(2**31, size=EPISODES).tolist())
    envs.close()
    return returns
