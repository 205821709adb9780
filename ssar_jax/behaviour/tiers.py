"""The quality tiers of the embedded suite, and the examination of whether a policy belongs to one."""

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple

import gymnasium
import numpy as np

from ssar_jax.behaviour.navigation import GuidedMaze, walk_guided
from ssar_jax.behaviour.policies import GaussianPolicy
from ssar_jax.data.tasks import get_task
from ssar_jax.envs.make import make_env
from ssar_jax.envs.mazes import MAZES
from ssar_jax.envs.rollout import FirstEpisodes

EPISODES = 50
"""Episodes per examination; for the ant, per maze."""


class Range(NamedTuple):
    """The range of a mark, ends included."""

    low: float
    high: float = float("inf")

    def contains(self, mark: float) -> bool:
        """Return whether a mark is in the range."""
        return self.low <= mark <= self.high


class Tier(NamedTuple):
    """What a policy must be able to do, and for a medium policy what it must not.

    Attributes:
        environment: Environment of the training.
        sampled: Range of the mark of sampled actions: the normalized score, or the percentage of solved mazes.
        deterministic: Range of the normalized score of the most likely actions.
        wanted: The snapshot to take of those that fit: `first` on the way up, or `last` of the training.
        near: Value of sampled actions in the learning curve from which on snapshots are examined: a score; for the ant
            a return in its training, which is at most 500.
        best: Least return of the best of the sampled episodes. D4RL's medium data of the hopper contain a few that are
            nearly an expert's, up to 3,222, from which algorithms learn more than the policy usually does.
    """

    environment: str
    sampled: Range
    deterministic: Range
    wanted: Literal["first", "last"]
    near: float
    best: float = float("-inf")


TIERS: dict[tuple[str, str], Tier] = {
    # Around what D4RL's medium data score (43, 44 and 62) and what behavior cloning makes of them (42, 53 and 63 in
    # CORL's reports): a policy whose most likely actions score far above its sampled ones is a noisy expert.
    ("halfcheetah", "medium"): Tier("halfcheetah", Range(40.0, 45.0), Range(41.0, 47.0), "first", 38.0),
    ("hopper", "medium"): Tier("hopper", Range(42.0, 50.0), Range(45.0, 60.0), "first", 30.0, best=2500.0),
    ("walker2d", "medium"): Tier("walker2d", Range(55.0, 68.0), Range(60.0, 80.0), "first", 45.0),
    ("halfcheetah", "expert"): Tier("halfcheetah", Range(85.0), Range(85.0), "last", 80.0),
    ("hopper", "expert"): Tier("hopper", Range(100.0), Range(100.0), "last", 95.0),
    # D4RL's plays at 107; the training of the policy that ships ended at 89.
    ("walker2d", "expert"): Tier("walker2d", Range(85.0), Range(85.0), "last", 80.0),
    # 1 m/s in the given direction for 50 s
    ("ant", "direction"): Tier("ant-direction", Range(90.0), Range(float("-inf")), "first", 300.0),
}
"""The tiers by agent and name."""


class Mark(NamedTuple):
    """Result of an examination.

    Attributes:
        sampled: Mark of sampled actions, see `Tier.sampled`.
        deterministic: Normalized score of the most likely actions; None for the ant.
        return_mean: Mean undiscounted return of sampled actions.
        return_std: Population standard deviation of these returns.
        return_max: The largest of them.
    """

    sampled: float
    deterministic: float | None
    return_mean: float
    return_std: float
    return_max: float

    def is_in(self, tier: Tier) -> bool:
        """Return whether a policy with these marks belongs to a tier."""
        fits = self.deterministic is None or tier.deterministic.contains(self.deterministic)
        return fits and tier.sampled.contains(self.sampled) and self.return_max >= tier.best


def examine(agent: str, policy: GaussianPolicy, rng: np.random.Generator) -> Mark:
    """Run a policy, with sampled and with its most likely actions, and return its marks.

    The ant walks through every maze from the evaluation's start to its goal, guided by waypoints. A maze is solved if
    the goal is reached within the time limit.

    Args:
        agent: `halfcheetah`, `hopper`, `walker2d` or `ant`.
        policy: The policy.
        rng: Generator of the actions and the reset seeds.
    """
    if agent == "ant":
        walk = partial(walk_guided, policy, rng)
        returns = np.concatenate([_play(partial(GuidedMaze, maze, "fixed"), walk, rng) for maze in MAZES])
        return _mark(100.0 * float(np.mean(returns > 0.0)), None, returns)
    score, build = get_task(f"{agent}-m").require_score, partial(make_env, agent)
    returns = _play(build, partial(policy.sample, rng=rng), rng)
    deterministic = _play(build, policy.most_likely, rng)
    return _mark(score(float(returns.mean())), score(float(deterministic.mean())), returns)


def _mark(sampled: float, deterministic: float | None, returns: np.ndarray) -> Mark:
    return Mark(sampled, deterministic, float(returns.mean()), float(returns.std()), float(returns.max()))


def _play(
    make_env: Callable[[], gymnasium.Env], act: Callable[[np.ndarray], np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    envs = FirstEpisodes(make_env, EPISODES)
    returns = envs.play(act, rng.integers(2**31, size=EPISODES).tolist()).returns
    envs.close()
    return returns
