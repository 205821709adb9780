"""Files that are read with one clear line on failure and written completely or not at all."""

import os
import re
import stat
import tempfile
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ssar_jax.errors import UnreadableError, UserError, unreadable


def resolve_path(text: str | Path) -> Path:
    """Return the path of a file or folder that a user has written.

    `~` and `~name` are home folders, `$NAME` and `${NAME}` environment variables. A relative path stays relative to
    the current folder, which no command changes.

    Args:
        text: The path.

    Raises:
        UserError: A home folder is unknown.
    """
    expanded = Path(os.path.expandvars(text))
    try:
        return expanded.expanduser()
    except RuntimeError as error:
        raise UserError(f"{text}: the home folder is unknown; write the whole path, or set HOME") from error


def user_folder(variable: str, *default: str) -> Path:
    """Return the folder in an environment variable, or a default one in the user's home folder.

    Args:
        variable: Name of the environment variable; empty counts as unset.
        *default: Parts of the default, relative to the home folder.

    Raises:
        UserError: The variable is unset and there is no home folder.
    """
    if value := os.environ.get(variable):
        return resolve_path(value).absolute()  # Minari takes only absolute ones
    home = os.path.expanduser("~")  # Path.home() takes an empty HOME for the root folder
    if not os.environ.get("HOME", "unset") or home.startswith("~"):
        raise UserError(
            f"the home folder is unknown (HOME is not set), and so is {'/'.join(('~', *default))}: set HOME, or set "
            "D4RL_DATASET_DIR, MINARI_DATASETS_PATH and SSAR_CACHE_DIR to folders"
        )
    return Path(home, *default).absolute()


def exists(path: Path) -> bool:
    """Whether a file or folder exists.

    Args:
        path: The path.

    Raises:
        UnreadableError: Its folder may not be searched, so nobody can tell.
    """
    return status(path) is not None


def is_folder(path: Path) -> bool:
    """Whether a path is an existing folder.

    Args:
        path: The path.

    Raises:
        UnreadableError: The folder that it is in may not be searched, so nobody can tell.
    """
    found = status(path)
    return found is not None and stat.S_ISDIR(found.st_mode)


def status(path: Path) -> os.stat_result | None:
    """Return the status of a file or folder, or None if it does not exist.

    Args:
        path: The path.

    Raises:
        UnreadableError: Its folder may not be searched, so nobody can tell.
    """
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise unreadable(path, error) or error from error


def require_file(path: Path) -> None:
    """Require an existing, non-empty file.

    Args:
        path: The file.

    Raises:
        UserError: It is missing, empty, or not a regular file.
        UnreadableError: Its folder may not be searched.
    """
    found = status(path)
    if found is None:
        raise UserError(f"{path}: no such file")
    if not stat.S_ISREG(found.st_mode):
        raise UserError(f"{path}: not a file")
    if found.st_size == 0:
        raise UserError(f"{path}: the file is empty (0 bytes)")


def open_npz(path: Path) -> dict[str, np.ndarray]:
    """Read all arrays of a `.npz` file.

    Args:
        path: The file.

    Returns:
        The arrays by name.

    Raises:
        UserError: The file is missing or damaged, or it is not an archive of arrays. Pickled objects are refused.
        UnreadableError: The file cannot be read, such as for lack of permission.
    """
    require_file(path)
    try:
        with path.open("rb") as file:  # on failure NumPy does not close a file that it opened itself
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise UserError(f"{path}: a single array, not a .npz archive of named arrays")
            return {key: archive[key] for key in archive.files}
    except UserError:
        raise
    except MemoryError as error:  # a damaged header may ask for any amount
        raise UnreadableError(f"{path}: its arrays need more memory than is free, or it is damaged") from error
    except ARCHIVE_ERRORS as error:
        if (cause := unreadable(path, error)) is not None:
            raise cause from error
        if "Object arrays" in str(error):
            raise UserError(f"{path}: holds Python objects; save arrays of numbers") from error
        if "allow_pickle" in str(error):  # NumPy takes every unknown file for a pickle
            raise UserError(f"{path}: not a .npz file") from error
        raise UserError(f"{path}: not a readable .npz file, truncated or damaged ({one_line(error)})") from error


# NumPy and zipfile raise all of these for damaged bytes.
ARCHIVE_ERRORS = (
    *(OSError, EOFError, ValueError, TypeError, KeyError, AttributeError, OverflowError),
    *(RuntimeError, SyntaxError, tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)


@contextmanager
def add_hint(hint: str) -> Iterator[None]:
    """Append a hint about a bad file to the message of a UserError raised in the `with` block.

    Args:
        hint: What the user can do, such as `delete the file`.

    Raises:
        UserError: The one of the block, with the hint; without it if the file may be intact but cannot be read.
    """
    try:
        yield
    except UnreadableError:
        raise
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


def remove_leftovers(folder: Path, is_ours: Callable[[str], bool]) -> None:
    """Remove the temporary files that killed processes left in a folder, to which no other process may be writing.

    Args:
        folder: The folder; it may be missing.
        is_ours: Whether a file of this name would have been written by `write_atomically`.
    """
    for file in folder.glob(".*"):
        temporary = re.fullmatch(r"\.(.+)\.[a-z0-9_]{8}", file.name)  # as mkstemp names them
        if temporary and is_ours(temporary[1]):
            file.unlink(missing_ok=True)


def require_writable(folder: Path, remedy: str) -> None:
    """Require that a folder can be created and written to, before long work starts.

    Args:
        folder: The folder; it is not created yet.
        remedy: Hint for the message, what to do otherwise.

    Raises:
        UserError: It cannot be created or written to.
    """
    path = folder.absolute()
    try:
        existing = next(each for each in (path, *path.parents) if each.exists())
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {one_line(error)}; {remedy}") from error


def require_writable_file(path: Path, remedy: str) -> None:
    """Require that a file can be written with `write_atomically`, before long work starts.

    Args:
        path: The file; neither it nor its folder is created yet.
        remedy: Hint for the message, what to do otherwise.

    Raises:
        UserError: It is a folder, or its folder cannot be created or written to.
    """
    require_writable(path.parent, remedy)
    try:
        is_taken = path.is_dir()
    except OSError as error:
        raise UserError(f"cannot write {path}: {one_line(error)}; {remedy}") from error
    if is_taken:
        raise UserError(f"cannot write {path}: it is a folder; {remedy}")


def one_line(error: BaseException) -> str:
    """Return the reason of an operating-system or library error as one line.

    Args:
        error: The error.
    """
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(reason).split())
