"""AntMaze as D4RL v2 evaluates it, with the walls of gymnasium-robotics."""

# MuJoCo ships no stubs for its bindings.
# pyright: reportAttributeAccessIssue=false

import contextlib
import io
import os
from typing import Any

import mujoco
import numpy as np

from ssar_jax.envs.ant import ANT_XML, D4RLAntEnv
from ssar_jax.envs.mazes import CELL_SIZE, Maze
from ssar_jax.envs.physics import Physics
from ssar_jax.errors import UserError

GOAL_RADIUS = 0.5
"""Distance to the goal at which it counts as reached, m."""

_WALL_HEIGHT = 0.5  # in cells


class AntMazeEnv(D4RLAntEnv):
    """Walk from the start cell to a goal in the goal cell.

    The reward is 1 within 0.5 m of the goal and 0 elsewhere. Reaching the goal terminates the episode; falling does
    not. An observation [29] is the position [2] relative to the center of the start cell, the other positions [13]
    and the velocities [14]. It does not contain the goal.

    To generate data, use `terminate_at_goal=False` and the reset options.

    Args:
        maze: The maze.
        physics: See `D4RLAntEnv`.
        terminate_at_goal: Whether an episode ends at the goal.

    Attributes:
        goal: The goal of the episode, [2], m; may be set between steps.
        terminates_at_goal: Whether an episode ends at the goal.
    """

    def __init__(self, maze: Maze, physics: Physics = "d4rl-v2", *, terminate_at_goal: bool = True) -> None:
        self.maze = maze
        self.goal = maze.center(maze.goal_cell)
        self.terminates_at_goal = terminate_at_goal
        super().__init__(physics)

    def _world(self) -> mujoco.MjSpec:
        """Return the model of the ant and the walls, in the maze's coordinates."""
        with contextlib.redirect_stderr(io.StringIO()):  # the first import prints a notice about other environments
            from gymnasium_robotics.envs.maze.maze_v4 import Maze as Builder
        # The builder's rows run in the opposite direction of y, and its origin is the center of the map.
        upside_down = self.maze.walls[::-1].astype(int).tolist()
        built, path = Builder.make_maze(str(ANT_XML), upside_down, CELL_SIZE, _WALL_HEIGHT)
        try:
            world = mujoco.MjSpec.from_file(path)
        finally:
            os.remove(path)
        start_row, start_column = self.maze.start_cell
        origin = built.cell_rowcol_to_xy(np.array([len(upside_down) - 1 - start_row, start_column]))
        for geom in world.geoms:
            if geom.name.startswith("block_"):
                geom.pos[:2] -= origin
        return world

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode.

        Args:
            seed: Seed of this episode and the following ones.
            options: Optional positions [2] in the maze, m: `start`, where to start, up to the reset noise, instead of
                the center of the start cell; `goal`, the episode's goal instead of a random one.

        Returns:
            The observation [29] and an empty dictionary.

        Raises:
            UserError: An option is unknown, or the start is not in a free cell.
        """
        options = options or {}
        if unknown := options.keys() - {"start", "goal"}:
            raise UserError(f"AntMaze has no reset option {', '.join(sorted(unknown))}: choose start or goal")
        start = np.asarray(options.get("start", (0.0, 0.0)), float)
        if self.maze.cell_at(start) not in self.maze.free_cells:
            raise UserError(f"start {start.tolist()} is not in a free cell: choose one of maze.free_cells")
        self.init_qpos[:2] = start
        observation, info = super().reset(seed=seed)
        # In D4RL both parts of the noise are positive, never below the center of the cell.
        noise = self.np_random.uniform(0.0, CELL_SIZE / 4, 2) + self.np_random.uniform(0.0, CELL_SIZE / 8, 2)
        self.goal = np.asarray(options.get("goal", self.maze.center(self.maze.goal_cell) + noise), float)
        return observation, info

    def step(self, action: np.ndarray) -> tuple[np.ndarray, np.float64, bool, bool, dict[str, Any]]:
        """Take one step."""
        self.do_simulation(action, self.frame_skip)
        reached = bool(np.linalg.norm(self.xy - self.goal) <= GOAL_RADIUS)
        return self._observe(), np.float64(reached), reached and self.terminates_at_goal, False, {}

    def _observe(self) -> np.ndarray:
        return np.concatenate([self.data.qpos, self.data.qvel])
