"""Small hand-made data for the tests of `ssar_jax.data`."""

import errno
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from ssar_jax.data.dataset import OfflineDataset
from ssar_jax.errors import UserError


@contextmanager
def user_error(*parts: str) -> Iterator[pytest.ExceptionInfo[UserError]]:
    """Expect a UserError of one line that contains all the parts."""
    with pytest.raises(UserError) as caught:
        yield caught
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def deny(patch: pytest.MonkeyPatch, *paths: Path, number: int = errno.EACCES) -> None:
    """Let the system refuse to open files, for Python and for h5py; tests may run as root, whom nothing is denied."""
    denied = {str(path) for path in paths}
    open_file, open_hdf5 = io.open, h5py.File.__init__

    def refuse(path: object) -> None:
        if str(path) in denied:
            raise OSError(number, os.strerror(number), str(path))

    def opening(path: Any, *args: Any, **options: Any) -> Any:
        refuse(path)
        return open_file(path, *args, **options)

    def opening_hdf5(self: Any, path: Any, *args: Any, **options: Any) -> None:
        refuse(path)
        open_hdf5(self, path, *args, **options)

    patch.setattr(io, "open", opening)  # which `Path.open` calls
    patch.setattr(h5py.File, "__init__", opening_hdf5)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let another process have an HDF5 file open for writing."""
    program = "import h5py, sys\nwith h5py.File(sys.argv[1], 'a'):\n    print('open', flush=True)\n    sys.stdin.read()"
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield
        process.communicate()


def trajectories(*rewards: list[float], terminal: bool = True) -> OfflineDataset:
    """Return one trajectory per list of rewards, with a jump of the observations between any two."""
    lengths = [len(part) for part in rewards]
    num_rows = sum(lengths)
    starts = np.cumsum([0, *lengths[:-1]])
    rows = np.arange(num_rows) + np.repeat(np.arange(len(rewards)) * 100, lengths)
    ends = np.zeros(num_rows, bool)
    ends[starts + lengths - 1] = True
    return OfflineDataset.from_arrays(
        observations=rows[:, None],
        actions=np.zeros((num_rows, 1)),
        rewards=np.concatenate(rewards),
        masks=~ends if terminal else np.ones(num_rows),
        next_observations=rows[:, None] + 1,
        episode_ends=ends,
    )


def ten_rows(**changes: Any) -> dict[str, Any]:
    """Return the raw columns of a ten-row D4RL file: a terminal in row 2, a time-out in row 6."""
    rows = np.arange(10)
    columns = {
        "observations": np.stack([rows, 10 * rows], axis=1).astype(np.float32),
        "actions": (rows / 10.0)[:, None].astype(np.float32),
        "rewards": (rows + 1).astype(np.float32),
        "terminals": rows == 2,
        "timeouts": rows == 6,
    }
    return {key: value for key, value in {**columns, **changes}.items() if value is not None}


def write_hdf5(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    """Write columns to an HDF5 file with h5py's creation options."""
    with h5py.File(path, "w") as file:
        for key, value in columns.items():
            file.create_dataset(key, data=value, **options)
        file["metadata/policy/nonlinearity"] = "relu"  # scalars, as in the real files
        file["metadata/algorithm"] = "SAC"
    return path
