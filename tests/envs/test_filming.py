"""The colors of a maze's floor, by hand and in a picture."""

import subprocess
import sys

import numpy as np
import pytest

from ssar_jax.envs.filming import Floor


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


DRAW = """
import sys
import numpy as np
from ssar_jax.envs.filming import Filmed, Floor
from ssar_jax.envs.make import make_env

pictures = []
for floor in (None, Floor(np.array([[4.0, 0.0], [4.0, 8.0]]), np.array([0.0, 1.0]))):
    env = Filmed(make_env("antmaze-umaze", "d4rl-v2"), floor)
    env.reset(seed=0)
    pictures.append(env.pictures[0])
    env.close()
np.save(sys.argv[1], pictures)
"""


@pytest.mark.slow  # without a graphics card a picture takes a second
def test_the_floor_is_seen(drawing, tmp_path):
    """Two tiles beside the start, of which the second is less blue and more red.

    In a process of its own, because MuJoCo chooses the library that draws when it is imported.
    """
    subprocess.run([sys.executable, "-c", DRAW, tmp_path / "pictures.npy"], check=True)
    plain, colored = np.load(tmp_path / "pictures.npy").astype(int)
    changed = np.abs(colored - plain).sum(axis=2) > 30
    assert 0 < changed.mean() < 0.02
    colors = colored[changed]
    assert 0.2 < (colors[:, 0] > colors[:, 2]).mean() < 0.8
