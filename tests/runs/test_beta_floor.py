"""What colors the floor of a filmed maze: beta(s) of the first evaluated seed, where the run has stored it."""

from types import SimpleNamespace

import numpy as np
import pytest

from ssar_jax.data.tasks import get_task
from ssar_jax.runs.evaluate import _beta_floor


@pytest.fixture
def run(tmp_path):
    """Diagnostics of seeds 3 and 4 at update 20: two states on one tile."""
    (tmp_path / "diagnostics").mkdir()
    beta = np.array([[0.1, 0.3], [0.5, 0.9]])
    np.savez(tmp_path / "diagnostics" / "20.npz", plane=np.array([[0.1, 0.2], [0.3, 0.4]]), beta=beta)
    np.savez(tmp_path / "diagnostics" / "40.npz", plane=np.zeros((2, 2)))
    return tmp_path


def stored(task="antmaze-u", step=20, seeds=(3, 4)):
    return SimpleNamespace(task=get_task(task), step=step, seeds=seeds, config=SimpleNamespace(seed=3))


@pytest.mark.parametrize(("seeds", "mean"), [((3, 4), 0.2), ((4,), 0.7)])
def test_it_is_that_of_the_first_evaluated_seed(run, seeds, mean):
    floor = _beta_floor(run, stored(seeds=seeds))
    assert floor is not None
    np.testing.assert_allclose(floor.centers, [[0.5, 0.5]])
    np.testing.assert_allclose(floor.means, [mean])


@pytest.mark.parametrize(("task", "step"), [("hopper-m", 20), ("antmaze-u", 40), ("antmaze-u", 60)])
def test_other_robots_algorithms_and_steps_have_none(run, task, step):
    assert _beta_floor(run, stored(task, step)) is None
