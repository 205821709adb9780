"""The folder of one run: its lock, its config and its JSON files."""

import contextlib
import errno
import functools
import json
import logging
import os
from pathlib import Path
from typing import IO, Any

from ssar_jax.errors import UserError
from ssar_jax.files import remove_leftovers, write_atomically
from ssar_jax.run_format import (
    FILES,
    FOLDERS,
    IN_USE,
    config_differences,
    data_differences,
    differences,
    moved_dataset,
    read_json,
)
from ssar_jax.runs.storage.versions import versions

_LOG = logging.getLogger(__name__)

_IN_USE_CODES = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}
_UNSUPPORTED_CODES = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}


class RunFolder:
    """The folder of a run, locked against other processes until `close`.

    Until `start` is called nothing is changed; folders that were created for the lock are removed by `close`.

    Args:
        path: the folder; created if missing.
        config: the run's config as plain nested dictionaries.
        resume: whether to continue the run in the folder.
        overwrite: whether a finished or unfinished run in the folder may be replaced.

    Attributes:
        path: the folder.

    Raises:
        UserError: if the folder is not writable or in use by another process, if it contains a run and neither
            `resume` nor `overwrite` is set, or if the run to resume has another config.
    """

    def __init__(self, path: Path, config: dict[str, Any], *, resume: bool, overwrite: bool) -> None:
        self.path = path
        self._config, self._resume = config, resume
        self._lock, self._made = _lock(path)
        try:
            self._check(overwrite=overwrite)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Releases the lock and removes what was created for a run that did not start."""
        for path in self._made:
            with contextlib.suppress(OSError):  # another process has put something into the folder
                path.rmdir() if path.is_dir() else path.unlink()
        self._made = []
        self._lock.close()

    def _check(self, *, overwrite: bool) -> None:
        if self.file("config.json").exists():
            if self._resume:
                self._require_config()
            elif not overwrite:
                raise UserError(f"{self.path} contains {self._state()} run: {self._hint()}")
        elif self._resume:
            raise UserError(f"--resume: {self.path} contains no run; leave the flag out to start one")
        elif not overwrite:
            foreign = [name for name in (*FILES, *FOLDERS) if name != "versions.json" and self._holds(name)]
            if foreign:
                raise UserError(
                    f"{self.path} is not a run but contains {', '.join(foreign)}, which a run would replace: "
                    "--workdir=<folder> writes elsewhere, --overwrite replaces them"
                )

    def _holds(self, name: str) -> bool:
        path = self.file(name)
        return any(path.iterdir()) if path.is_dir() else path.exists()

    def start(self) -> None:
        """Starts writing; unless the run is resumed, this removes the files of an earlier run."""
        self._made = []
        # Of a killed process; the lock keeps others away.
        remove_leftovers(self.path, FILES.__contains__)
        remove_leftovers(self.file("diagnostics"), lambda name: name.endswith(".npz"))
        if self._resume:
            self._note_versions()
            return
        self._clear()
        self.write_json("versions.json", versions())
        self.write_json("config.json", self._config)  # last: a folder with a config is a run

    def _note_versions(self) -> None:
        """Warns if packages, commit or devices have changed since the run started, and records the new ones."""
        first = self.read_json("versions.json")
        resumed, now = first.pop("resumed", []), versions()
        changed = differences([first, *resumed][-1], now)
        if changed:
            _LOG.warning("resuming with other versions, so the numbers may differ: %s", "; ".join(changed))
            self.write_json("versions.json", first | {"resumed": [*resumed, now]})

    def file(self, name: str) -> Path:
        """Returns the path of a file in the folder.

        Args:
            name: path relative to the folder.
        """
        return self.path / name

    def read_json(self, name: str) -> Any:
        """Reads a JSON file of the run.

        Args:
            name: file name.

        Returns:
            Its content.

        Raises:
            UserError: if the file is missing or damaged.
        """
        return read_json(self.file(name))

    def write_json(self, name: str, content: Any) -> None:
        """Writes a JSON file atomically.

        Args:
            name: file name.
            content: anything that JSON can store, without NaN.
        """
        text = json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n"
        write_atomically(self.file(name), lambda file: file.write(text.encode()))

    def _require_config(self) -> None:
        """Requires the config of the run to be this one; the dataset may have moved, see `require_data`."""
        changed = config_differences(
            self.read_json("config.json"), self._config, may_move=self.file("data.json").exists()
        )
        self._require_none(changed, "the config")

    def require_data(self, description: dict[str, Any]) -> None:
        """Requires the data of a run that is resumed, if it has recorded them, to be these, wherever they are now.

        Args:
            description: content of `data.json` for the data as they are now.

        Raises:
            UserError: if they differ; the message lists all differences.
        """
        if not self._resume or not self.file("data.json").exists():
            return
        moved = moved_dataset(self.read_json("config.json"), self._config)
        changed = data_differences(self.read_json("data.json"), description)
        self._require_none([moved, *changed] if moved and changed else changed, "the dataset")
        if moved:
            _LOG.info("the dataset has moved, and its content is the same: %s", moved)

    def _require_none(self, changed: list[str], what: str) -> None:
        if changed:
            raise UserError(
                f"cannot resume {self.path}: {what} changed: {'; '.join(changed)}; "
                "restore the old values or choose another --workdir"
            )

    def _state(self) -> str:
        return "a finished" if self.file("summary.json").exists() else "an unfinished"

    def _hint(self) -> str:
        resume = "" if self.file("summary.json").exists() else "--resume continues it, "
        return f"{resume}--overwrite replaces it, --workdir=<folder> writes elsewhere"

    def _clear(self) -> None:
        """Removes the files of a run, its config first, and no others."""
        for name in FILES:
            self.file(name).unlink(missing_ok=True)
        for folder in FOLDERS:
            for file in sorted(self.file(folder).rglob("*"), reverse=True):
                file.rmdir() if file.is_dir() and not file.is_symlink() else file.unlink()


def _lock(path: Path) -> tuple[Any, list[Path]]:
    """Creates and locks `.lock` in a folder; returns the open file and the paths created, innermost first."""
    file = path / ".lock"
    while True:
        made = [each for each in (file, path, *path.parents) if not each.exists()]
        try:
            path.mkdir(parents=True, exist_ok=True)
            lock = file.open("w")
        except OSError as error:
            raise UserError(f"cannot write to {path}: {error.strerror}; choose another --workdir") from error
        try:
            _lock_file(lock, path)
        except BaseException:
            lock.close()
            raise
        if file.exists() and os.path.samestat(os.fstat(lock.fileno()), file.stat()):
            return lock, made
        lock.close()  # another process has removed the file in the meantime


def _lock_file(file: IO[str], folder: Path) -> None:
    """Locks an open file; where the platform or the file system has no locks, warns and continues without one."""
    try:
        import fcntl  # not available on Windows
    except ImportError:
        _warn_of_no_lock("this platform has no fcntl")
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _IN_USE_CODES:
            raise UserError(f"{IN_USE} {folder}: wait for it, or choose another --workdir") from error
        if error.errno not in _UNSUPPORTED_CODES:
            raise UserError(f"cannot lock {file.name}: {error.strerror}; choose another --workdir") from error
        _warn_of_no_lock(f"the file system does not support locks: {error.strerror}")


@functools.cache  # one warning per process
def _warn_of_no_lock(reason: str) -> None:
    _LOG.warning("run folders are not locked (%s): do not let two processes write to the same folder", reason)
