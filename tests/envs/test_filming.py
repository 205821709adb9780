"""The colors of a maze's floor, by hand and in a picture."""

import os

import numpy as np
import pytest

from experiments.cli import films
from ssar_jax.envs.filming import Filmed, Floor
from ssar_jax.envs.make import make_env
from ssar_jax.errors import UserError


def test_a_tile_has_the_mean_of_its_points():
    points = np.array([[0.2, 0.1], [0.9, 0.9], [-0.1, 0.5], [3.0, -2.5]])
    floor = Floor.from_points(points, np.array([1.0, 3.0, 5.0, 7.0]))
    found = {tuple(center): mean for center, mean in zip(floor.centers.tolist(), floor.means.tolist(), strict=True)}
    assert found == {(0.5, 0.5): 2.0, (-0.5, 0.5): 5.0, (3.5, -2.5): 7.0}


def test_colors_go_from_blue_to_orange_and_ignore_extremes():
    means = np.append(np.linspace(0.0, 1.0, 101), 50.0)
    floor = Floor(np.zeros((102, 2)), means)
    np.testing.assert_allclose(floor.limits, (0.0505, 0.9595), atol=1e-9)
    red, _, blue = floor.colors.T
    assert (np.diff(red) >= 0).all()
    assert (np.diff(blue) <= 0).all()
    assert red[0] < blue[0]
    assert red[-1] > blue[-1]
    np.testing.assert_array_equal(floor.colors[-1], floor.colors[-2])


def test_equal_means_have_one_color():
    floor = Floor(np.zeros((3, 2)), np.full(3, 0.6))
    assert len(np.unique(floor.colors, axis=0)) == 1


@pytest.mark.slow  # without a graphics card a picture takes a second
def test_the_floor_is_seen(monkeypatch):
    """Two tiles beside the start, of which the second is less blue and more red."""
    monkeypatch.setenv("MUJOCO_GL", os.environ.get("MUJOCO_GL", "egl"))
    try:
        films.require_drawing()
    except UserError as error:
        pytest.skip(str(error))
    pictures = []
    for floor in (None, Floor(np.array([[4.0, 0.0], [4.0, 8.0]]), np.array([0.0, 1.0]))):
        env = Filmed(make_env("antmaze-umaze", "d4rl-v2"), floor)
        env.reset(seed=0)
        pictures.append(env.pictures[0].astype(int))
        env.close()
    changed = np.abs(pictures[1] - pictures[0]).sum(axis=2) > 30
    assert 0 < changed.mean() < 0.02
    colors = pictures[1][changed]
    redder = colors[:, 0] > colors[:, 2]
    assert 0.2 < redder.mean() < 0.8
