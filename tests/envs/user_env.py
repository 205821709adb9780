"""An environment as users write them, which checks its actions; tests change its parts."""

from typing import Any

import gymnasium
import numpy as np


class UserEnv(gymnasium.Env):
    """Observes (steps, 0, 0), pays 1 minus the action squared, and refuses actions that its space does not contain.

    Args:
        dtype: type of its actions, which are in [-0.3, 0.3].
        length: number of steps after which it truncates; None never does.
    """

    def __init__(self, dtype: Any = np.float32, length: int | None = 5) -> None:
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (3,), np.float64)
        self.action_space = gymnasium.spaces.Box(-0.3, 0.3, (1,), dtype)
        self._length = length

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        """Starts an episode."""
        super().reset(seed=seed)
        self.steps = 0
        return self.observe(), {}

    def step(self, action: np.ndarray) -> Any:
        """Takes one step."""
        assert self.action_space.contains(action), action
        self.steps += 1
        return self.observe(), self.reward(action), False, self.steps == self._length, self.report()

    def observe(self) -> Any:
        """The observation."""
        return np.array([self.steps, 0.0, 0.0])

    def reward(self, action: np.ndarray) -> Any:
        """The reward of an action."""
        return 1.0 - float(action[0]) ** 2

    def report(self) -> dict[str, Any]:
        """The info of a step."""
        return {}
