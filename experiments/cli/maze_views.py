"""A task's maze as pictures show it."""

from collections.abc import Sequence

import numpy as np

from ssar_jax.data.tasks import Task
from ssar_jax.envs.mazes import CELL_SIZE, MAZES
from ssar_jax.reporting.figures.datasets import MazeView


def maze_view(task: Task, trajectories: Sequence[np.ndarray] = ()) -> MazeView:
    """The maze of an AntMaze task from above, with trajectories [T, 2] in it."""
    maze = MAZES[task.tier.partition("-")[0]]
    walls = [maze.centre((int(row), int(column))) - CELL_SIZE / 2 for row, column in np.argwhere(maze.walls)]
    start, goal = maze.centre(maze.start_cell), maze.centre(maze.goal_cell)
    return MazeView(np.array(walls), CELL_SIZE, start, goal, trajectories)
