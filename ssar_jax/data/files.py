"""Files on disk: read with one clear line on failure, written whole or not at all."""

import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ssar_jax.errors import UserError


def require_file(path: Path) -> None:
    """Require an existing, non-empty file.

    Raises:
        UserError: There is none.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file")
    if not path.is_file():
        raise UserError(f"{path}: not a file")
    if path.stat().st_size == 0:
        raise UserError(f"{path}: the file is empty (0 bytes)")


def open_npz(path: Path) -> dict[str, np.ndarray]:
    """Read all arrays of a `.npz` file; pickled objects are refused.

    Raises:
        UserError: The file is missing, damaged, or holds something else.
    """
    require_file(path)
    try:
        with path.open("rb") as file:  # numpy leaves a file that it opened itself open on failure
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise UserError(f"{path}: a single array, not a .npz archive of named arrays")
            return {key: archive[key] for key in archive.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        if isinstance(error, UserError):
            raise
        if "Object arrays" in str(error):
            raise UserError(f"{path}: holds Python objects; save arrays of numbers") from error
        if "allow_pickle" in str(error):  # what numpy takes anything for that it does not know
            raise UserError(f"{path}: not a .npz file") from error
        raise UserError(f"{path}: not a readable .npz file, truncated or damaged ({one_line(error)})") from error


@contextmanager
def way_out(remedy: str) -> Iterator[None]:
    """Append to an error what to do about it, which only the caller knows."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{error}; {remedy}") from error


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file under a temporary name beside `path`, then rename it: no reader ever sees half of it.

    Args:
        path: Final name; its folder is made if missing.
        write: Receives the open temporary file.

    Raises:
        UserError: The folder cannot be written to, or the disk is full.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())  # else a power cut may leave the new name with nothing in it
        temporary.chmod(0o644)  # mkstemp gives 0600, which would hide the file from a shared folder's other users
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {one_line(error)}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def require_writable(folder: Path, remedy: str) -> None:
    """Require that a folder can be made and written to: now, not when there are hours of work to lose.

    Args:
        folder: What will be written to; it is not made yet.
        remedy: What to do otherwise.

    Raises:
        UserError: It cannot.
    """
    path = folder.absolute()
    existing = next(each for each in (path, *path.parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {one_line(error)}; {remedy}") from error


def one_line(error: BaseException) -> str:
    """Return the reason of an operating-system or library error in one line."""
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(reason).split())
