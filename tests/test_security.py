"""Nothing that is read can run code: no pickle on any path, and files that carry one are refused."""

import ast
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from ssar_jax.data.dataset import OfflineDataset
from ssar_jax.runs.data import load_preparation
from tests.data.helpers import user_error

ROOT = Path(__file__).parents[1]
SOURCES = [path for folder in ("ssar_jax", "experiments", "configs") for path in (ROOT / folder).rglob("*.py")]


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_reads_code(path):
    """No module imports a library that runs what it reads, and NumPy is never allowed to unpickle."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not {name.partition(".")[0] for name in names} & {
            "pickle",
            "dill",
            "cloudpickle",
            "joblib",
            "marshal",
            "shelve",
        }
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert isinstance(node.value, ast.Constant)
            assert node.value.value is False
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("eval", "exec")


def test_the_bomb_of_these_tests_would_go_off(tmp_path):
    pickle.loads(pickle.dumps(Bomb(tmp_path / "hit")))
    assert (tmp_path / "hit").exists()


@pytest.mark.parametrize("key", ["observations", "masks"])
def test_a_dataset_with_a_pickled_array_is_refused(tmp_path, key):
    columns = {
        "observations": np.zeros((4, 2)), "actions": np.zeros((4, 1)), "rewards": np.zeros(4), "masks": np.ones(4),
        "next_observations": np.zeros((4, 2)),
    }  # fmt: skip
    np.savez(tmp_path / "data.npz", **(columns | {key: np.array([Bomb(tmp_path / "hit")] * 4)}))
    with user_error("data.npz"):
        OfflineDataset.from_npz(tmp_path / "data.npz")
    assert not (tmp_path / "hit").exists()


def test_a_run_folder_with_a_pickled_array_is_refused(tmp_path):
    np.savez(tmp_path / "preparation.npz", mean=np.array([Bomb(tmp_path / "hit")]), std=np.ones(1), action_size=1)
    with user_error("preparation.npz"):
        load_preparation(tmp_path / "preparation.npz")
    assert not (tmp_path / "hit").exists()
