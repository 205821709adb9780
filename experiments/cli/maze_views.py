"""The maze of a task for figures."""

from collections.abc import Sequence

import numpy as np

from ssar_jax.data.tasks import Task
from ssar_jax.envs.mazes import CELL_SIZE, MAZES
from ssar_jax.reporting.figures.datasets import MazeView


def maze_view(task: Task, trajectories: Sequence[np.ndarray] = ()) -> MazeView:
    """Returns the maze of an AntMaze task seen from above.

    Args:
        task: an AntMaze task.
        trajectories: positions [T, 2] of some episodes, in m.
    """
    maze = MAZES[task.tier.partition("-")[0]]
    walls = [maze.center((int(row), int(column))) - CELL_SIZE / 2 for row, column in np.argwhere(maze.walls)]
    start, goal = maze.center(maze.start_cell), maze.center(maze.goal_cell)
    return MazeView(walls=np.array(walls), cell_size=CELL_SIZE, start=start, goal=goal, trajectories=trajectories)
