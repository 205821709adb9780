"""HDF5 files that are read without leaving them.

HDF5 can refer to other files in three ways: an external link in place of an object, a virtual dataset that is composed
of others, and a dataset whose bytes are in another file. A dataset from elsewhere could so read any file of the user,
and the hash of a downloaded file would not cover its data.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import h5py.h5i
import h5py.h5l

from ssar_jax.errors import UserError


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open a file for reading and require that its links stay in it.

    Args:
        path: The file.

    Raises:
        UserError: A link leads out of the file.
        OSError: The file is missing or damaged.
    """
    with h5py.File(path, "r") as file:
        # Soft links are names within the file; without external links they cannot leave it.
        foreign = file.id.links.visit(_name_of_foreign_link, info=True)
        if foreign is not None:
            raise _leaves(path, foreign)
        yield file


def _name_of_foreign_link(name: bytes, link: Any) -> bytes | None:
    """Return the name of a link out of the file; anything but None ends the visit."""
    return None if link.type in (h5py.h5l.TYPE_HARD, h5py.h5l.TYPE_SOFT) else name


def require_inside(path: Path, dataset: Any) -> None:
    """Require the data of a dataset to be in its file.

    Args:
        path: The file, for the message.
        dataset: A low-level `h5py.h5d.DatasetID`.

    Raises:
        UserError: They are in another file.
    """
    creation = dataset.get_create_plist()
    if creation.get_layout() == h5py.h5d.VIRTUAL or creation.get_external_count() > 0:
        raise _leaves(path, h5py.h5i.get_name(dataset))


def _leaves(path: Path, name: bytes) -> UserError:
    return UserError(
        f"{path}: {name.decode(errors='replace').lstrip('/')!r} refers to another file, which is not read: "
        "copy the data into this file"
    )
