"""Mazes with a guide: an ant policy that only walks in a given direction is led along waypoints."""

from typing import Any, Literal

import gymnasium
import numpy as np

from ssar_jax.behaviour.policies import GaussianPolicy
from ssar_jax.envs.antmaze import AntMazeEnv
from ssar_jax.envs.mazes import MAZES, Cell

Errand = Literal["fixed", "play", "diverse"]
"""Start and goal cells of the episodes. `fixed`: from the evaluation's start cell to its goal cell. `play`: from any
free cell to one of a few cells, including the evaluation's goal cell. `diverse`: from any free cell to any other."""

_PLAY_GOALS: dict[str, tuple[Cell, ...]] = {
    "medium": ((6, 6), (1, 5), (6, 1), (3, 4)),
    "large": ((7, 9), (1, 8), (7, 1), (5, 7), (1, 3)),
}
"""Goal cells of `play` by maze: our choice, spread over the maze, the evaluation's goal cell first."""

_NOISE = 1.0  # range of the noise on waypoints and goals, m, as in D4RL; we center it around a waypoint
_ARRIVAL = 1.0  # distance to a waypoint at which the next one becomes the target, m, our choice
_ACTION_NOISE = 0.2  # standard deviation, as in D4RL
DIRECTION_SIZE = 2
"""Length of the direction vector at the end of a guided observation."""


def walk_guided(policy: GaussianPolicy, rng: np.random.Generator, observations: np.ndarray) -> np.ndarray:
    """Return actions of a policy trained on `ant-direction` in guided mazes.

    Args:
        policy: The policy.
        rng: Generator of the policy's noise and of D4RL's action noise.
        observations: Observations of `GuidedMaze`, [N, 31].

    Returns:
        Actions in [-1, 1], [N, 8].
    """
    actions = policy.sample(observations[:, 2:], rng)
    noise = _ACTION_NOISE * rng.standard_normal(actions.shape, dtype=np.float32)
    return np.clip(actions + noise, -1.0, 1.0)


class GuidedMaze(gymnasium.Wrapper):
    """A maze whose observations end with the unit vector towards the next waypoint, [31].

    Episodes last `horizon + 1` steps, the number of rows in D4RL's files. At its goal the ant is led back to it
    whenever it moves away. Rewards are always those for the evaluation's goal, which is drawn anew in every episode.

    Args:
        name: `umaze`, `medium` or `large`.
        errand: Start and goal cells.

    Attributes:
        goal: The goal of the guide, [2], m.
    """

    def __init__(self, name: str, errand: Errand) -> None:
        self._maze = MAZES[name]
        self._env = AntMazeEnv(self._maze, terminate_at_goal=False)
        super().__init__(self._env)
        size = len(self._env.reset()[0]) + DIRECTION_SIZE
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float64)
        free = self._maze.free_cells
        self._fixed = errand == "fixed"
        self._starts = (self._maze.start_cell,) if self._fixed else free
        self._goals = {"fixed": (self._maze.goal_cell,), "play": _PLAY_GOALS.get(name, free), "diverse": free}[errand]
        self.goal = np.zeros(2)
        self._steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode with a new start and goal.

        Args:
            seed: Seed of the episode.
            options: Must be None.
        """
        assert options is None
        rng = np.random.default_rng(seed)
        start = self._starts[rng.integers(len(self._starts))]
        goals = [cell for cell in self._goals if cell != start]
        goal_cell = goals[rng.integers(len(goals))]
        self._waypoint_noise = rng.uniform(-_NOISE / 2, _NOISE / 2, 2)
        self._goal_cell, self._target = goal_cell, start
        self._steps = 0
        observation, info = self.env.reset(seed=seed, options={"start": self._maze.center(start)})
        # D4RL's noise is positive.
        self.goal = self._env.goal if self._fixed else self._maze.center(goal_cell) + rng.uniform(0.0, _NOISE, 2)
        return self._guide(observation), info

    def step(self, action: np.ndarray) -> tuple[np.ndarray, Any, bool, bool, dict[str, Any]]:
        """Take one step; never terminates."""
        observation, reward, _, _, info = self.env.step(action)
        self._steps += 1
        return self._guide(observation), reward, False, self._steps == self._maze.horizon + 1, info

    def _guide(self, observation: np.ndarray) -> np.ndarray:
        """Append the direction to the waypoint, or to the next one on arrival."""
        xy = observation[:2]
        cell = self._maze.cell_at(xy)
        strayed = abs(cell[0] - self._target[0]) + abs(cell[1] - self._target[1]) > 1
        if strayed and cell in self._maze.free_cells:
            self._target = cell
        while self._target != self._goal_cell and np.linalg.norm(self._aim() - xy) < _ARRIVAL:
            self._target = self._maze.path(self._target, self._goal_cell)[1]
        direction = self._aim() - xy
        return np.concatenate([observation, direction / max(float(np.linalg.norm(direction)), 1e-6)])

    def _aim(self) -> np.ndarray:
        """Return the position of the current waypoint, [2], m."""
        if self._target == self._goal_cell:
            return self.goal
        return self._maze.center(self._target) + self._waypoint_noise
