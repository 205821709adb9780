"""The three maps against the installed gymnasium-robotics ones, and the geometry on numbers counted by hand."""

import numpy as np
import pytest

from ssar_jax.data.tasks import TASKS
from ssar_jax.envs.mazes import MAZES
from ssar_jax.errors import UserError

UMAZE = MAZES["umaze"]


@pytest.mark.parametrize(
    ("name", "installed", "goal_cell", "num_free"),
    [("umaze", "U_MAZE", (3, 1), 7), ("medium", "MEDIUM_MAZE", (6, 6), 26), ("large", "LARGE_MAZE", (7, 9), 46)],
)
def test_walls_are_those_of_gymnasium_robotics(name, installed, goal_cell, num_free):
    """D4RL's evaluation has the same walls, the start at (1, 1), and y along the rows."""
    from gymnasium_robotics.envs.maze import maps

    maze = MAZES[name]
    np.testing.assert_array_equal(maze.walls, np.array(getattr(maps, installed)) == 1)
    assert (maze.start_cell, maze.goal_cell, len(maze.free_cells)) == ((1, 1), goal_cell, num_free)


@pytest.mark.parametrize(("name", "goal"), [("umaze", (0, 8)), ("medium", (20, 20)), ("large", (32, 24))])
def test_goals_from_the_start(name, goal):
    maze = MAZES[name]
    np.testing.assert_array_equal(maze.center(maze.start_cell), [0, 0])
    np.testing.assert_array_equal(maze.center(maze.goal_cell), goal)


def test_tasks_have_the_horizons_of_their_mazes():
    tasks = [task for task in TASKS if task.agent == "antmaze"]
    assert {task.environment for task in tasks} == {f"antmaze-{name}" for name in MAZES}
    assert all(task.horizon == MAZES[task.environment.removeprefix("antmaze-")].horizon for task in tasks)


@pytest.mark.parametrize(
    ("xy", "cell"),
    [((1.9, -1.9), (1, 1)), ((2.1, 0), (1, 2)), ((0, 2.1), (2, 1)), ((-2.1, 0), (1, 0)), ((9.9, 6.1), (3, 3))],
)
def test_cells_reach_two_meters_around_their_centers(xy, cell):
    assert UMAZE.cell_at(np.array(xy)) == cell


@pytest.mark.parametrize("maze", MAZES.values(), ids=MAZES)
def test_every_cell_holds_its_center(maze):
    assert [maze.cell_at(maze.center(cell)) for cell in maze.free_cells] == list(maze.free_cells)


def test_waypoints_through_the_umaze():
    """Around the U: two cells in x, two in y, two back; without the start, and with the goal itself."""
    assert UMAZE.path((1, 1), (3, 1)) == [(1, 1), (1, 2), (1, 3), (2, 3), (3, 3), (3, 2), (3, 1)]
    np.testing.assert_array_equal(
        UMAZE.waypoints(np.array([1.5, -1.0]), np.array([0.3, 8.4])),
        [[4, 0], [8, 0], [8, 4], [8, 8], [4, 8], [0.3, 8.4]],
    )


@pytest.mark.parametrize("goal", [(1.0, 1.0), (5.0, -0.5)], ids=["same cell", "next cell"])
def test_a_near_goal_is_the_only_waypoint(goal):
    np.testing.assert_array_equal(UMAZE.waypoints(np.zeros(2), np.array(goal)), [goal])


@pytest.mark.parametrize("maze", MAZES.values(), ids=MAZES)
def test_paths_are_shortest_ways_over_free_cells(maze):
    """Against powers of the adjacency matrix: k steps lead from i to j where (A + 1)^k is positive."""
    cells = np.array(maze.free_cells)
    adjacent = np.abs(cells[:, None] - cells[None]).sum(-1) <= 1
    within, distances = np.eye(len(cells), dtype=bool), np.zeros((len(cells), len(cells)), int)
    while not within.all():
        distances[~within] += 1
        within = within @ adjacent
    for i, start in enumerate(maze.free_cells):
        for j, goal in enumerate(maze.free_cells):
            path = maze.path(start, goal)
            assert (path[0], path[-1], len(path)) == (start, goal, distances[i, j] + 1)
            assert set(path) <= set(maze.free_cells)
            assert np.all(np.abs(np.diff(path, axis=0)).sum(-1) == 1)


@pytest.mark.parametrize(("start", "goal"), [((0, 4), (0, 8)), ((0, 0), (-40, 0))], ids=["wall", "outside"])
def test_no_way_leads_through_walls(start, goal):
    with pytest.raises(UserError, match="is a wall or outside the maze"):
        UMAZE.waypoints(np.array(start), np.array(goal))
