"""An ant that walks a maze by waypoints, with a policy that knows nothing but how to walk into a direction."""

from typing import Any, Literal

import gymnasium
import numpy as np

from ssar_jax.behaviour.policies import GaussianPolicy
from ssar_jax.envs.antmaze import AntMazeEnv
from ssar_jax.envs.mazes import MAZES, Cell

Errand = Literal["fixed", "play", "diverse"]
"""Where episodes start and where they lead. `fixed`: from the evaluation's start to its goal. `play`: from
anywhere to one of a few cells, the evaluation's goal cell among them. `diverse`: from anywhere to anywhere."""

_PLAY_GOALS: dict[str, tuple[Cell, ...]] = {
    "medium": ((6, 6), (1, 5), (6, 1), (3, 4)),
    "large": ((7, 9), (1, 8), (7, 1), (5, 7), (1, 3)),
}
"""The cells that `play` leads to by maze, ours; spread over the maze, the evaluation's goal cell first."""

_NOISE = 1.0  # range of the noise on waypoints and goals, m, D4RL; around a waypoint it is centred, ours
_ARRIVAL = 1.0  # m from a waypoint at which the next one is aimed at, ours
_ACTION_NOISE = 0.2  # standard deviation, D4RL
DIRECTION_SIZE = 2
"""Numbers that stand behind the maze's observation: the direction to walk into."""


def walk_guided(policy: GaussianPolicy, rng: np.random.Generator, observations: np.ndarray) -> np.ndarray:
    """Actions [N, A] of a policy trained on `ant-direction` for the observations [N, 31] of guided mazes."""
    actions = policy.sample(observations[:, 2:], rng)
    noise = _ACTION_NOISE * rng.standard_normal(actions.shape, dtype=np.float32)
    return np.clip(actions + noise, -1.0, 1.0)


class GuidedMaze(gymnasium.Wrapper):
    """A maze with a guide: every observation ends with the unit vector towards the next waypoint.

    Episodes last `horizon + 1` steps, as many rows as D4RL's have; once the ant is at its goal it is led back to it
    whenever it drifts off. Rewards are those of the evaluation's goal, drawn for every episode as there, whatever goal
    the guide leads to.

    Args:
        name: `umaze`, `medium` or `large`.
        errand: where episodes start and where they lead.

    Attributes:
        goal: where the guide leads, [2], m.
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
        """Starts an episode with a new errand."""
        assert options is None
        rng = np.random.default_rng(seed)
        start = self._starts[rng.integers(len(self._starts))]
        goals = [cell for cell in self._goals if cell != start]
        goal_cell = goals[rng.integers(len(goals))]
        self._waypoint_noise = rng.uniform(-_NOISE / 2, _NOISE / 2, 2)
        self._goal_cell, self._target = goal_cell, start
        self._steps = 0
        observation, info = self.env.reset(seed=seed, options={"start": self._maze.centre(start)})
        # D4RL's noise points one way.
        self.goal = self._env.goal if self._fixed else self._maze.centre(goal_cell) + rng.uniform(0.0, _NOISE, 2)
        return self._guide(observation), info

    def step(self, action: np.ndarray) -> tuple[np.ndarray, Any, bool, bool, dict[str, Any]]:
        """Takes one step; never terminates."""
        observation, reward, _, _, info = self.env.step(action)
        self._steps += 1
        return self._guide(observation), reward, False, self._steps == self._maze.horizon + 1, info

    def _guide(self, observation: np.ndarray) -> np.ndarray:
        """Appends the direction to the waypoint, going over to the next one on arrival."""
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
        """The position of the present waypoint."""
        if self._target == self._goal_cell:
            return self.goal
        return self._maze.centre(self._target) + self._waypoint_noise
