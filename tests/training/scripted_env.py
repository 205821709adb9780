"""An environment whose episodes can be computed by hand."""

from typing import Any

import gymnasium
import numpy as np


class Scripted(gymnasium.Env):
    """Observes (t, the reset seed's last three digits), rewards the action, and ends after 2 + seed % 4 steps.

    Args:
        low: lower bound of the one action.
        high: upper bound.
    """

    def __init__(self, low: float = -1.0, high: float = 1.0) -> None:
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,))
        self.action_space = gymnasium.spaces.Box(low, high, (1,))
        self.reset_seeds: list[int] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """Starts an episode and remembers its seed."""
        assert seed is not None
        self.reset_seeds.append(seed)
        self._t, self._seed = 0, seed
        return self._observe(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        """Pays the action."""
        self._t += 1
        return self._observe(), float(action[0]), False, self._t == length(self._seed), {}

    def _observe(self) -> np.ndarray:
        return np.float32([self._t, self._seed % 1000])


def length(reset_seed: int) -> int:
    """Steps of the episode that starts from a seed."""
    return 2 + reset_seed % 4
