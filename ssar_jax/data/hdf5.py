"""HDF5 files: read without leaving them, and with the cause of a failure named.

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

from ssar_jax.errors import UnreadableError, UserError, unreadable
from ssar_jax.files import require_file

# h5py raises these for damaged bytes, and the first also for everything that the operating system refuses.
ERRORS = (OSError, RuntimeError, KeyError)


def require_hdf5(path: Path) -> None:
    """Require a readable file that starts like HDF5.

    Args:
        path: The file.

    Raises:
        UserError: It is missing, empty, or of another kind.
        UnreadableError: It cannot be read, such as for lack of permission.
    """
    require_file(path)
    try:
        with path.open("rb") as file:
            start = file.read(12)
        is_hdf5 = h5py.is_hdf5(path)
    except OSError as error:
        raise unreadable(path, error) or error from error
    if not is_hdf5:
        raise UserError(f"{path}: not an HDF5 file (it starts with {start!r})")


def cannot_be_read(path: Path, error: BaseException) -> UnreadableError | None:
    """Return the error of an HDF5 file that may be intact but cannot be read now, or None if its bytes are to blame.

    Args:
        path: The file.
        error: One of `ERRORS`, as h5py raised it.
    """
    reason = str(error)
    if "unable to lock file" in reason:
        return UnreadableError(
            f"{path} is locked, probably by a program that writes to it: wait until that has closed it; if there is no "
            "such program, the file system has no locks: set the environment variable HDF5_USE_FILE_LOCKING=FALSE"
        )
    if "already open for write" in reason:
        return UnreadableError(
            f"{path} is marked as open for writing: close the program that writes to it; if that has crashed, clear "
            "the mark with `h5clear -s`"
        )
    if ("filter" in reason and "regist" in reason) or "plugin" in reason:
        return UnreadableError(
            f"{path} is compressed in a way that h5py does not know ({' '.join(reason.split())}): compress it with "
            "gzip, as `h5repack -f GZIP=4` does, or install the package hdf5plugin and import it first"
        )
    return unreadable(path, error)


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
