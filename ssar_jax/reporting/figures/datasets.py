"""Figure of a dataset: its returns, its actions and, for a maze, some trajectories."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ssar_jax.reporting.figures.canvas import COLORS, INK, figure_files, saved_files


class MazeView(NamedTuple):
    """A maze seen from above.

    Attributes:
        walls: lower left corners of the wall cells, [W, 2], in m.
        cell_size: edge length of a cell, in m.
        start: position in which evaluation starts, [2], in m.
        goal: center of the cell with the goals of evaluation, [2], in m.
        trajectories: positions [T, 2] of some episodes, in m.
    """

    walls: np.ndarray
    cell_size: float
    start: np.ndarray
    goal: np.ndarray
    trajectories: Sequence[np.ndarray] = ()

    @property
    def limits(self) -> tuple[np.ndarray, np.ndarray]:
        """The lower left and the upper right corner, [2] each, in m."""
        return self.walls.min(axis=0), self.walls.max(axis=0) + self.cell_size


def draw_dataset(
    stem: Path, title: str, returns: np.ndarray, actions: np.ndarray, maze: MazeView | None = None
) -> list[Path]:
    """Draws a dataset.

    Args:
        stem: path of the files without a suffix; its folder is created if missing.
        title: title above all panels.
        returns: undiscounted returns of the episodes, [E].
        actions: actions of the dataset, [N, A], in [-1, 1].
        maze: the maze and some trajectories, for an AntMaze dataset.

    Returns:
        The paths of the SVG and the PNG.

    Raises:
        UserError: if matplotlib is not installed.
    """
    with figure_files(stem, 2 if maze is None else 3) as (figure, axes):
        figure.suptitle(title, x=0.01, ha="left")
        axes[0].hist(returns, bins=40, color=COLORS[0])
        axes[0].set(title="returns", xlabel="return of an episode", ylabel="episodes")
        _draw_actions(axes[1], actions)
        if maze is not None:
            _draw_maze(axes[2], maze)
    return saved_files(stem)


def _draw_actions(ax: Any, actions: np.ndarray) -> None:
    """Draws an image with a histogram of each action dimension as a row."""
    bins = np.linspace(-1.0, 1.0, 41)
    shares = np.stack([np.histogram(column, bins)[0] for column in actions.T]) / len(actions)
    image = ax.imshow(shares, extent=(-1.0, 1.0, len(shares) - 0.5, -0.5), aspect="auto", cmap="cividis")
    ax.set(title="actions", xlabel="value", ylabel="dimension", yticks=range(len(shares)))
    ax.grid(visible=False)
    ax.figure.colorbar(image, ax=ax, label="share of the transitions")


def _draw_maze(ax: Any, maze: MazeView) -> None:
    from matplotlib.collections import LineCollection

    draw_walls(ax, maze)
    ax.add_collection(LineCollection(list(maze.trajectories), colors=COLORS[0], linewidths=0.5, alpha=0.5))
    ax.set(title="trajectories", xlabel="x, m", ylabel="y, m")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))


def draw_walls(ax: Any, maze: MazeView) -> None:
    """Draws the walls, the start and the goal of a maze to scale.

    Args:
        ax: axes to draw on.
        maze: the maze.
    """
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    cells = [Rectangle((float(x), float(y)), maze.cell_size, maze.cell_size) for x, y in maze.walls]
    # Antialiasing would leave visible seams between the cells.
    ax.add_collection(PatchCollection(cells, facecolor=INK, edgecolor="none", alpha=0.4, antialiased=False))
    ax.plot(*maze.start, "o", color=COLORS[2], label="start")
    ax.plot(*maze.goal, "*", color=COLORS[1], markersize=9, label="goal cell")
    low, high = maze.limits
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
    ax.grid(visible=False)
