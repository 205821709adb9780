"""Why an HDF5 file could not be read."""

from pathlib import Path

import h5py

from ssar_jax.data.files import require_file
from ssar_jax.errors import UnreadableError, UserError, unreadable

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
