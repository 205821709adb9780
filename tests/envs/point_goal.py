"""A small registered environment with dictionary observations, for datasets and evaluations."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec

GOAL_KEYS = ("achieved_goal", "desired_goal", "observation")
HORIZON = 6


def goal_space(**sizes: int) -> gymnasium.spaces.Dict:
    """Return a dictionary space of unbounded vectors."""
    box = gymnasium.spaces.Box
    return gymnasium.spaces.Dict({key: box(-np.inf, np.inf, (size,)) for key, size in sizes.items()})


class PointGoal(gymnasium.Env):
    """A point on a line whose goal is drawn at every reset; only `desired_goal` tells where it is.

    Args:
        reach: Bound of the actions.
    """

    def __init__(self, reach: float = 2.0) -> None:
        self.observation_space = goal_space(achieved_goal=1, desired_goal=1, observation=2)
        self.action_space = gymnasium.spaces.Box(-reach, reach, (1,))
        self._position = self._goal = 0.0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._position, self._goal = 0.0, float(self.np_random.uniform(-2.0, 2.0))
        return self._observe(), {}

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._position += float(action[0])
        reward = -abs(self._position - self._goal)
        return self._observe(), reward, False, False, {}

    def _observe(self) -> dict[str, np.ndarray]:
        return {
            "observation": np.array([self._position, 7.0], np.float32),
            "desired_goal": np.array([self._goal], np.float32),
            "achieved_goal": np.array([self._position], np.float32),
        }


def spec(**changes: Any) -> EnvSpec:
    """Return what a dataset says about the environment; it is not registered."""
    fields = {"id": "PointGoal-v0", "entry_point": "tests.envs.point_goal:PointGoal", "max_episode_steps": HORIZON}
    return EnvSpec(**{**fields, **changes})
