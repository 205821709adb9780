"""Diagnostics: fixed rows, their plane, their trust flags and the algorithm's diagnostics."""

import numpy as np
import pytest

from ssar_jax.data.dataset import OfflineDataset
from ssar_jax.data.scaling import prepare
from ssar_jax.runs.storage import diagnostics
from ssar_jax.runs.storage.diagnostics import Diagnostics, principal_components


class FakeTrainer:
    """Its diagnostic is the number of the row, for two seeds."""

    step = 30

    def diagnose(self, rows):
        return {"beta": np.stack([rows, rows + 0.5])}


def written(folder, data, trusted, **options):
    Diagnostics(folder, data, trusted, **options).write(FakeTrainer())
    with np.load(folder / "30.npz") as arrays:
        return dict(arrays)


def test_all_rows_of_a_small_dataset(tmp_path, rows):
    arrays = written(tmp_path / "new", rows, np.arange(20) % 2, maze=False)
    assert arrays.keys() == {"rows", "plane", "trusted", "beta"}
    np.testing.assert_array_equal(arrays["rows"], np.arange(20))
    np.testing.assert_array_equal(arrays["trusted"], [np.arange(20) % 2 == 1])
    np.testing.assert_array_equal(arrays["beta"], [np.arange(20), np.arange(20) + 0.5])
    np.testing.assert_array_equal(arrays["plane"], principal_components(rows.transitions.observations))


def test_rows_of_a_large_dataset_are_spread_evenly(tmp_path, rows, monkeypatch):
    """5 of 20 rows: 0, 19/4, 19/2, 57/4, 19, rounded; each seed has its own flags."""
    monkeypatch.setattr(diagnostics, "MAX_ROWS", 5)
    flags = np.stack([np.arange(20) < 10, np.arange(20) >= 10])
    arrays = written(tmp_path, rows, flags, maze=False)
    np.testing.assert_array_equal(arrays["rows"], [0, 5, 10, 14, 19])  # 9.5 rounds to even
    np.testing.assert_array_equal(arrays["trusted"], [[1, 1, 0, 0, 0], [0, 0, 1, 1, 1]])
    assert arrays["trusted"].dtype == bool
    assert arrays["plane"].shape == (5, 2)


def test_in_a_maze_the_plane_is_the_raw_position(tmp_path):
    positions = np.array([[0.0, 8.0], [4.0, 0.0], [2.0, -3.0]])
    observations = np.concatenate([positions, np.ones((3, 1))], axis=1)
    dataset = OfflineDataset.from_arrays(
        observations=observations,
        actions=np.zeros((3, 1)),
        rewards=np.zeros(3),
        masks=np.ones(3),
        next_observations=observations,
        episode_ends=np.ones(3),
    )
    arrays = written(tmp_path, prepare(dataset), np.ones(3), maze=True)
    np.testing.assert_allclose(arrays["plane"], positions, atol=1e-5)


def test_principal_components_by_hand():
    """Variance 50 along (1, 1) / sqrt 2, 2 along (1, -1) / sqrt 2, none along the third axis.

    Point (5, 5, 9) lies 5 sqrt 2 along the first direction; signs of directions are free.
    """
    observations = np.array([[5.0, 5.0, 9.0], [-5.0, -5.0, 9.0], [1.0, -1.0, 9.0], [-1.0, 1.0, 9.0]])
    plane = principal_components(observations)
    root = np.sqrt(2.0)
    np.testing.assert_allclose(np.abs(plane), [[5 * root, 0], [5 * root, 0], [0, root], [0, root]], atol=1e-12)
    assert plane[0, 0] == pytest.approx(-plane[1, 0])
