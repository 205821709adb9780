"""D4RL's three AntMaze maps, and the geometry that they share.

Positions are D4RL's: metres from the centre of the evaluation's start cell, x along a row of the map and y from its
first row to its last.
"""

from collections import deque
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from ssar_jax.errors import UserError

CELL_SIZE = 4.0
"""Edge of a cell, m."""

Cell = tuple[int, int]
"""Row and column of a map."""


@dataclass(frozen=True)
class Maze:
    """A maze and its evaluation task.

    Attributes:
        rows: the map: `#` wall, `S` the start, `G` the goal, `.` free.
        horizon: time limit of an episode, steps.
    """

    rows: tuple[str, ...]
    horizon: int

    @cached_property
    def walls(self) -> np.ndarray:
        """Whether a cell is a wall, [rows, columns]."""
        return np.array([[mark == "#" for mark in row] for row in self.rows])

    @cached_property
    def free_cells(self) -> tuple[Cell, ...]:
        """The cells that are no walls, row by row."""
        return tuple((int(row), int(column)) for row, column in np.argwhere(~self.walls))

    @cached_property
    def start_cell(self) -> Cell:
        """The cell in which evaluation episodes start."""
        return self._find("S")

    @cached_property
    def goal_cell(self) -> Cell:
        """The cell in which the goals of the evaluation lie."""
        return self._find("G")

    def _find(self, mark: str) -> Cell:
        return next(cell for cell in self.free_cells if self.rows[cell[0]][cell[1]] == mark)

    def centre(self, cell: Cell) -> np.ndarray:
        """The position of a cell's centre, [2]."""
        return CELL_SIZE * np.array([cell[1] - self.start_cell[1], cell[0] - self.start_cell[0]], float)

    def cell_at(self, xy: np.ndarray) -> Cell:
        """The cell that holds a position [2], which may be a wall or lie outside the map."""
        column, row = np.floor(np.asarray(xy) / CELL_SIZE + 0.5).astype(int).tolist()
        return row + self.start_cell[0], column + self.start_cell[1]

    def path(self, start: Cell, goal: Cell) -> list[Cell]:
        """A shortest way from cell to cell without diagonal steps, both ends included.

        Raises:
            UserError: an end is no free cell.
        """
        for cell in (start, goal):
            if cell not in self.free_cells:
                raise UserError(f"cell {cell} is a wall or lies outside the maze: choose one of its free_cells")
        successors = _successors(self, goal)
        cells = [start]
        while cells[-1] != goal:
            cells.append(successors[cells[-1]])
        return cells

    def waypoints(self, start: np.ndarray, goal: np.ndarray) -> np.ndarray:
        """The positions to walk to from `start` [2], one after the other: centres of cells and then `goal` [2].

        Returns:
            At least the goal, [W, 2].

        Raises:
            UserError: an end lies in a wall.
        """
        between = self.path(self.cell_at(start), self.cell_at(goal))[1:-1]
        return np.array([*map(self.centre, between), goal], float)


@cache
def _successors(maze: Maze, goal: Cell) -> dict[Cell, Cell]:
    """The next cell of the way to the goal from every other cell, by breadth-first search."""
    successors: dict[Cell, Cell] = {}
    frontier = deque([goal])
    while frontier:
        row, column = cell = frontier.popleft()
        for neighbour in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            if neighbour in maze.free_cells and neighbour not in successors and neighbour != goal:
                successors[neighbour] = cell
                frontier.append(neighbour)
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
"""The mazes of the evaluation by name."""
