"""Whether a dataset fits into the machine's memory, told from its header before anything is read."""

import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ssar_jax.errors import UserError
from ssar_jax.files import ARCHIVE_ERRORS


class Header(NamedTuple):
    """What a file tells about an array without its values.

    Attributes:
        shape: Shape of the array.
        dtype: Its dtype.
    """

    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def is_wide(self) -> bool:
        """Whether the dataset may keep the values in float64."""
        return not np.can_cast(self.dtype, np.float32)


def projected_bytes(arrays: Mapping[str, Header]) -> int:
    """Return the memory that reading and preparing a dataset takes at its peak, bytes.

    First the arrays of the file lie beside the dataset, then the dataset beside the prepared transitions and their
    copy on the devices, which share the memory on a CPU.

    Args:
        arrays: Headers of all arrays that are read, by name; observations, actions and rewards set the size of what
            is made of them.
    """
    empty = Header((0,), np.dtype(np.float32))
    observations, actions, rewards = (arrays.get(key, empty) for key in ("observations", "actions", "rewards"))
    stored = sum(array.size * array.dtype.itemsize for array in arrays.values())
    pair, flags = 2 * observations.size, 5 * rewards.size  # masks in float32 and episode ends in bool
    dataset = (
        pair * (8 if observations.is_wide else 4) + 4 * actions.size + rewards.size * (8 if rewards.is_wide else 4)
    )
    prepared = 4 * (pair + actions.size + 2 * rewards.size)
    return dataset + flags + max(stored, 2 * prepared)


def require_memory(arrays: Mapping[str, Header], where: str, *, available: int | None = None) -> None:
    """Require memory for a dataset before it is read.

    Args:
        arrays: As in `projected_bytes`.
        where: File or other origin, for the message.
        available: Memory that may be used, bytes; None measures it, and requires nothing where it cannot be measured.

    Raises:
        UserError: There is less.
    """
    available = available_memory() if available is None else available
    need = projected_bytes(arrays)
    if available is not None and need > available:
        rows = arrays["rewards"].shape[0] if "rewards" in arrays and arrays["rewards"].shape else 0
        raise UserError(
            f"{where}: {rows:,} transitions need about {need / 2**30:,.1f} GiB of memory, but {available / 2**30:,.1f} "
            "GiB are available: use a part of the data, or a machine with more memory"
        )


def npz_headers(path: Path) -> dict[str, Header]:
    """Return the headers of all arrays in a `.npz` file; none if it cannot be read, which its reader reports.

    Args:
        path: The file.
    """
    headers = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                with archive.open(name) as member:
                    version = np.lib.format.read_magic(member)
                    read = np.lib.format.read_array_header_1_0
                    shape, _, dtype = (read if version == (1, 0) else np.lib.format.read_array_header_2_0)(member)
                headers[name.removesuffix(".npy")] = Header(shape, dtype)
    except ARCHIVE_ERRORS:
        return {}
    return headers


def available_memory(root: Path = Path("/")) -> int | None:
    """Return the memory that a process can use without swapping, bytes; None on systems other than Linux.

    Args:
        root: Folder of `proc` and `sys`. The limit of a container counts, too.
    """
    groups = root / "sys/fs/cgroup"
    found = [
        _meminfo(root / "proc/meminfo"),
        _group_memory(groups, "memory.max", "memory.current", "inactive_file"),
        _group_memory(groups / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ]
    return min((value for value in found if value is not None), default=None)


def _meminfo(path: Path) -> int | None:
    """Return the entry MemAvailable, bytes."""
    if not path.exists():
        return None
    lines = path.read_text().splitlines()
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)


def _group_memory(folder: Path, limit: str, usage: str, cache: str) -> int | None:
    """Return what a control group leaves of its limit, bytes; files that it caches give way."""
    try:
        total, used = ((folder / name).read_text().strip() for name in (limit, usage))
        statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except OSError:  # there is no such group
        return None
    if total == "max":
        return None
    return max(0, int(total) - int(used) + int(statistics.get(cache, 0)))
