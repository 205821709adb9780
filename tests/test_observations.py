"""The layout of dictionary observations."""

import gymnasium
import numpy as np
import pytest

from ssar_jax.observations import Entry, Layout, arrange, is_antmaze
from tests.data.helpers import user_error

GOALS = [Entry((key,), (2,)) for key in ("observation", "desired_goal", "achieved_goal")]


def test_the_order_is_that_of_flatten_observation():
    """Alphabetical in every dictionary, an array row by row; `a-b` comes after the whole of `a`."""
    box = gymnasium.spaces.Box
    inner = gymnasium.spaces.Dict({"z": box(0, 1, (2, 2)), "b": box(0, 1, (1,))})
    space = gymnasium.spaces.Dict({"z": box(0, 1, ()), "a-b": box(0, 1, (3,)), "a": inner})
    layout = arrange(
        [Entry(("z",), ()), Entry(("a-b",), (3,)), Entry(("a", "z"), (2, 2)), Entry(("a", "b"), (1,))], None
    )
    space.seed(0)
    sample = space.sample()
    np.testing.assert_array_equal(layout.concatenate(sample), gymnasium.spaces.flatten(space, sample))
    assert str(layout) == "a.b (1), a.z (4), a-b (3), z (1)"


def test_leading_axes_stay():
    layout = arrange([Entry(("m",), (2, 2)), Entry(("a",), ())], None)
    rows = {"m": np.arange(12.0).reshape(3, 2, 2), "a": np.array([7.0, 8.0, 9.0])}
    np.testing.assert_array_equal(layout.concatenate(rows), [[7, 0, 1, 2, 3], [8, 4, 5, 6, 7], [9, 8, 9, 10, 11]])


@pytest.mark.parametrize("environment", [None, "PointMaze_UMaze-v3", "FetchReach-v4", "MyAntMaze-v0"])
def test_goals_are_kept(environment):
    assert str(arrange(GOALS, environment)) == "achieved_goal (2), desired_goal (2), observation (2)"


@pytest.mark.parametrize(
    "environment", ["AntMaze_UMaze-v4", "robots/AntMaze-v0", "gymnasium_robotics:AntMaze_Large-v5"]
)
def test_antmaze_is_read_as_in_d4rls_files(environment):
    assert is_antmaze(environment)
    assert str(arrange(GOALS, environment)) == "achieved_goal (2), observation (2)"
    others = [*GOALS, Entry(("camera",), (1,))]
    assert len(arrange(others, environment).entries) == 4


def test_other_observations_are_refused():
    layout = arrange(GOALS, None)
    with user_error("the observation has no desired_goal: it needs achieved_goal (2), desired_goal (2)"):
        layout.concatenate({"achieved_goal": np.zeros(2), "observation": np.zeros(2)})
    with user_error("the observation's observation has shape (3,): it needs [..., (2,)]"):
        layout.concatenate({entry.name: np.zeros(3 if entry.name == "observation" else 2) for entry in GOALS})


def test_layouts_are_stored_as_text():
    layout = arrange([Entry(("a", "b"), (2, 3)), Entry(("c",), ())], None)
    assert Layout.from_json(layout.to_json()) == layout
