"""Actions in the type and inside the bounds of an environment."""

import gymnasium
import numpy as np
import pytest

from ssar_jax.envs.actions import ActionBounds
from tests.data.helpers import user_error

Box = gymnasium.spaces.Box


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_actions_are_what_the_space_contains(dtype):
    """Also just outside of its bounds, as rounding leaves them, and far outside."""
    space = Box(np.array([-0.1, -2.0], dtype), np.array([0.1, 0.7], dtype), dtype=dtype)
    bounds = ActionBounds.from_space(space)
    for actions in ([-0.1, -2.0], [0.1, 0.7], [0.1 + 1e-12, 0.7 + 1e-12], [9.0, -9.0], [0.0, 0.5]):
        fitted = bounds.fit(np.array(actions, np.float64))
        assert space.contains(fitted), fitted
    np.testing.assert_array_equal(bounds.fit(np.array([0.0, 0.5])), np.array([0.0, 0.5], dtype))


def test_several_rows_are_fitted_at_once():
    bounds = ActionBounds.from_space(Box(-1.0, 1.0, (2,)))
    np.testing.assert_array_equal(bounds.fit(np.array([[3.0, 0.5], [-3.0, np.nan]])), [[1.0, 0.5], [-1.0, np.nan]])


@pytest.mark.parametrize("size", [1, 3])
def test_float32_bounds_are_inside_a_range_of_float64(size):
    """The nearest float32 numbers of 0.1 and -0.1 are outside: a space of float64 would refuse them."""
    assert float(np.float32(0.1)) > 0.1
    bounds = ActionBounds.from_range(np.full(size, -0.1), np.full(size, 0.1))
    for dtype in (np.float32, np.float64):
        space = Box(-0.1, 0.1, (3,), dtype)
        for action in ([1.0, -1.0, 0.1], [-0.1, 0.05, 0.0]):
            assert space.contains(bounds.fit(np.array(action)))


@pytest.mark.parametrize("space", [gymnasium.spaces.Discrete(2), Box(0, 9, (2,), np.int64), Box(-1.0, 1.0, (2, 2))])
def test_other_spaces_are_refused(space):
    with user_error("the environment has actions", "vectors of floating-point numbers are needed"):
        ActionBounds.from_space(space)
