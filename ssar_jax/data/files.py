"""Files that are read with one clear line on failure and written completely or not at all."""

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

    Args:
        path: The file.

    Raises:
        UserError: It is missing, empty, or not a regular file.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file")
    if not path.is_file():
        raise UserError(f"{path}: not a file")
    if path.stat().st_size == 0:
        raise UserError(f"{path}: the file is empty (0 bytes)")


def open_npz(path: Path) -> dict[str, np.ndarray]:
    """Read all arrays of a `.npz` file.

    Args:
        path: The file.

    Returns:
        The arrays by name.

    Raises:
        UserError: The file is missing or damaged, or it is not an archive of arrays. Pickled objects are refused.
    """
    require_file(path)
    try:
        with path.open("rb") as file:  # on failure NumPy does not close a file that it opened itself
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise UserError(f"{path}: a single array, not a .npz archive of named arrays")
            return {key: archive[key] for key in archive.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        if isinstance(error, UserError):
            raise
        if "Object arrays" in str(error):
            raise UserError(f"{path}: holds Python objects; save arrays of numbers") from error
        if "allow_pickle" in str(error):  # NumPy takes every unknown file for a pickle
            raise UserError(f"{path}: not a .npz file") from error
        raise UserError(f"{path}: not a readable .npz file, truncated or damaged ({one_line(error)})") from error


@contextmanager
def add_hint(hint: str) -> Iterator[None]:
    """Append a hint to the message of a UserError raised in the `with` block.

    Args:
        hint: What the user can do, such as `delete the file`.

    Raises:
        UserError: The one of the block, with the hint.
    """
    try:
        yield
    except UserError as error:
        raise UserError(f"{error}; {hint}") from error


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a temporary file in the same folder, then rename it, so that no reader sees a partial file.

    Args:
        path: Final name; its folder is made if missing.
        write: Writes the content to the open temporary file.

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
            os.fsync(file.fileno())  # otherwise a power cut may leave an empty file under the new name
        temporary.chmod(0o644)  # mkstemp gives 0600, which other users of a shared folder cannot read
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {one_line(error)}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def require_writable(folder: Path, remedy: str) -> None:
    """Require that a folder can be created and written to, before long work starts.

    Args:
        folder: The folder; it is not created yet.
        remedy: Hint for the message, what to do otherwise.

    Raises:
        UserError: It cannot be created or written to.
    """
    path = folder.absolute()
    existing = next(each for each in (path, *path.parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {one_line(error)}; {remedy}") from error


def one_line(error: BaseException) -> str:
    """Return the reason of an operating-system or library error as one line.

    Args:
        error: The error.
    """
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(reason).split())
