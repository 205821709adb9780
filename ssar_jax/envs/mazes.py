"""D4RL's three AntMaze maps and their geometry.

Positions are D4RL's: meters from the center of the start cell, x along a row of the map and y from the first row to
the last.
"""

from collections import deque
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from ssar_jax.errors import UserError

CELL_SIZE = 4.0
"""Length of a cell's edge, m."""

Cell = tuple[int, int]
"""Row and column of a map."""


@dataclass(frozen=True)
class Maze:
    """A maze and its evaluation task.

    Attributes:
        rows: The rows of the map: `#` wall, `S` start, `G` goal, `.` free.
        horizon: Time limit of an episode, steps.
    """

    rows: tuple[str, ...]
    horizon: int

    @cached_property
    def walls(self) -> np.ndarray:
        """Whether a cell is a wall, [rows, columns] bool."""
        return np.array([[mark == "#" for mark in row] for row in self.rows])

    @cached_property
    def free_cells(self) -> tuple[Cell, ...]:
        """The cells that are not walls, row by row."""
        return tuple((int(row), int(column)) for row, column in np.argwhere(~self.walls))

    @cached_property
    def start_cell(self) -> Cell:
        """The cell in which evaluation episodes start."""
        return self._find("S")

    @cached_property
    def goal_cell(self) -> Cell:
        """The cell that contains the goals of evaluation episodes."""
        return self._find("G")

    def _find(self, mark: str) -> Cell:
        return next(cell for cell in self.free_cells if self.rows[cell[0]][cell[1]] == mark)

    def center(self, cell: Cell) -> np.ndarray:
        """Return the position of a cell's center, [2], m."""
        return CELL_SIZE * np.array([cell[1] - self.start_cell[1], cell[0] - self.start_cell[0]], float)

    def cell_at(self, xy: np.ndarray) -> Cell:
        """Return the cell at a position [2], m; it may be a wall or outside the map."""
        column, row = np.floor(np.asarray(xy) / CELL_SIZE + 0.5).astype(int).tolist()
        return row + self.start_cell[0], column + self.start_cell[1]

    def path(self, start: Cell, goal: Cell) -> list[Cell]:
        """Return the cells of a shortest path without diagonal steps, including both ends.

        Args:
            start: First cell.
            goal: Last cell.

        Raises:
            UserError: An end is not a free cell.
        """
        for cell in (start, goal):
            if cell not in self.free_cells:
                raise UserError(f"cell {cell} is a wall or outside the maze: choose one of its free_cells")
        successors = _successors(self, goal)
        cells = [start]
        while cells[-1] != goal:
            cells.append(successors[cells[-1]])
        return cells

    def waypoints(self, start: np.ndarray, goal: np.ndarray) -> np.ndarray:
        """Return the positions to walk to in turn: the centers of the cells in between, then the goal.

        Args:
            start: Position [2], m.
            goal: Position [2], m.

        Returns:
            The positions, [W, 2], m; at least the goal.

        Raises:
            UserError: An end is not in a free cell.
        """
        between = self.path(self.cell_at(start), self.cell_at(goal))[1:-1]
        return np.array([*map(self.center, between), goal], float)


@cache
def _successors(maze: Maze, goal: Cell) -> dict[Cell, Cell]:
    """Return the next cell on the path to the goal from every other cell, by breadth-first search."""
    successors: dict[Cell, Cell] = {}
    frontier = deque([goal])
    while frontier:
        row, column = cell = frontier.popleft()
        for neighbor in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            if neighbor in maze.free_cells and neighbor not in successors and neighbor != goal:
                successors[neighbor] = cell
                frontier.append(neighbor)
    return successors


MAZES = {
    "umaze": Maze(
        (
            "#####",
            "#S..#",
            "###.#",
            "#G..#",
            "#####",
        ),
        horizon=700,
    ),
    "medium": Maze(
        (
            "########",
            "#S.##..#",
            "#..#...#",
            "##...###",
            "#..#...#",
            "#.#..#.#",
            "#...#.G#",
            "########",
        ),
        horizon=1000,
    ),
    "large": Maze(
        (
            "############",
            "#S...#.....#",
            "#.##.#.#.#.#",
            "#......#...#",
            "#.####.###.#",
            "#..#.#.....#",
            "##.#.#.#.###",
            "#..#...#.G.#",
            "############",
        ),
        horizon=1000,
    ),
}
"""D4RL's mazes by name."""
