"""Datasets larger than the memory are refused from their headers, before anything is read."""

import json
import shutil
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from ssar_jax.behaviour.generate import load_or_generate
from ssar_jax.data.dataset import OfflineDataset
from ssar_jax.data.memory import Header, available_memory, npz_headers, projected_bytes, require_memory
from ssar_jax.data.sources.d4rl import read_hdf5
from ssar_jax.data.sources.minari import read_minari
from ssar_jax.data.sources.minari_writing import write_minari
from ssar_jax.data.tasks import get_task
from ssar_jax.episodes import Episode
from tests.data.helpers import ten_rows, trajectories, user_error, write_hdf5

ROWS = 10**13  # no machine holds them
TOO_LARGE = f"{ROWS:,} transitions need about "


def headers(rows: int, dtype: str) -> dict[str, Header]:
    shapes = {"observations": (rows, 10), "actions": (rows, 2), "rewards": (rows,), "terminals": (rows,)}
    return {key: Header(shape, np.dtype(dtype)) for key, shape in shapes.items()}


def test_projected_size_by_hand() -> None:
    """Per row in float32: file 14 values; dataset 2 x 10 + 2 + 1, mask and end; prepared 2 x 10 + 2 + 1 + 1."""
    file, dataset, prepared = 14 * 4, 23 * 4 + 5, 24 * 4
    assert projected_bytes(headers(100, "float32")) == 100 * (dataset + max(file, 2 * prepared))
    # In float64 the dataset may keep the observations and rewards: (2 x 10 + 1) x 8.
    dataset = 21 * 8 + 2 * 4 + 5
    assert projected_bytes(headers(100, "float64")) == 100 * (dataset + max(14 * 8, 2 * prepared))


def test_what_fits_and_what_does_not() -> None:
    need = projected_bytes(headers(2**30, "float32"))
    require_memory(headers(2**30, "float32"), "data", available=need)
    with user_error("data: 1,073,741,824 transitions need about 289.0 GiB of memory, but 16.0 GiB are available: use"):
        require_memory(headers(2**30, "float32"), "data", available=2**34)


def test_an_hdf5_file(tmp_path: Path) -> None:
    path = tmp_path / "a.hdf5"
    with h5py.File(path, "w") as file:  # chunks that were never written take no space
        for key, shape in {"observations": (ROWS, 3), "actions": (ROWS, 1), "rewards": (ROWS,)}.items():
            file.create_dataset(key, shape, "float32", chunks=(1000, *shape[1:]))
        file.create_dataset("terminals", (ROWS,), "bool", chunks=(1000,))
    with user_error(str(path), TOO_LARGE):
        read_hdf5(path, horizon=1000)


def test_an_npz_file(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    trajectories([1.0, 2.0]).save_npz(path)
    found = npz_headers(path)
    assert found["observations"] == Header((2, 1), np.dtype(np.float32))
    assert found["episode_ends"].dtype == bool
    with zipfile.ZipFile(path, "w") as archive:
        for key in ("observations", "actions", "rewards", "masks", "next_observations"):
            shape = (ROWS,) if key in ("rewards", "masks") else (ROWS, 1)
            with archive.open(f"{key}.npy", "w") as member:
                header = {"descr": "<f4", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(member, header)
    with user_error(str(path), TOO_LARGE):
        OfflineDataset.from_npz(path)


def test_a_minari_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    flags = np.zeros(4, bool)
    folder = write_minari(
        "toy/a-v0", [Episode(np.zeros((5, 2)), np.zeros((4, 1)), np.ones(4), flags, flags)], description=""
    )
    path = folder / "data" / "metadata.json"
    metadata = json.loads(path.read_text()) | {"total_steps": ROWS}
    path.write_text(json.dumps(metadata))
    with user_error(str(folder), TOO_LARGE):
        read_minari("toy/a-v0")
    # A dictionary of spaces has the width of its parts together; without spaces nothing is projected.
    goal = json.dumps({"type": "Dict", "subspaces": {"a": json.loads(metadata["observation_space"])}})
    path.write_text(json.dumps(metadata | {"observation_space": goal}))
    with user_error(TOO_LARGE):
        read_minari("toy/a-v0")
    del metadata["observation_space"]
    path.write_text(json.dumps(metadata))
    assert len(read_minari("toy/a-v0")) == 4


def test_embedded_data_before_they_are_generated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    with user_error("embedded ssar-embedded/hopper/medium-10000000000000-v0", TOO_LARGE):
        load_or_generate(get_task("hopper-m"), ROWS)


def test_available_memory(tmp_path: Path) -> None:
    assert available_memory(tmp_path) is None
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 4000 kB\nMemAvailable: 3000 kB\n")
    assert available_memory(tmp_path) == 3000 * 1024
    groups = tmp_path / "sys/fs/cgroup"
    groups.mkdir(parents=True)
    (groups / "memory.max").write_text("max\n")
    (groups / "memory.current").write_text("600000\n")
    (groups / "memory.stat").write_text("anon 1\ninactive_file 100000\n")
    assert available_memory(tmp_path) == 3000 * 1024
    (groups / "memory.max").write_text("1000000\n")
    assert available_memory(tmp_path) == 1_000_000 - 600_000 + 100_000
    shutil.rmtree(groups)
    (groups / "memory").mkdir(parents=True)
    (groups / "memory/memory.limit_in_bytes").write_text("500000")
    (groups / "memory/memory.usage_in_bytes").write_text("600000")
    (groups / "memory/memory.stat").write_text("total_inactive_file 0")
    assert available_memory(tmp_path) == 0


def test_data_that_fit_are_read(tmp_path: Path) -> None:
    assert len(read_hdf5(write_hdf5(tmp_path / "a.hdf5", ten_rows()), horizon=1000)) == 8
