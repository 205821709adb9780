"""The folder of one run: the user's interface to what was trained."""

import contextlib
import fcntl
import importlib.metadata
import json
import logging
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import jax

from ssar_jax.data.files import write_atomically
from ssar_jax.errors import UserError
from ssar_jax.run_format import FILES, FOLDERS, differences, read_json

_LOG = logging.getLogger(__name__)

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "mujoco", "gymnasium", "minari", "orbax-checkpoint")

IN_USE = "another process is writing to"
"""How the message begins of the error that a folder is in use."""


class RunFolder:
    """Opens a run's folder; no other process can until it is closed. Nothing stays in it that `start` did not begin.

    Args:
        path: the folder.
        config: the run's config as plain nested dictionaries.
        resume: whether to continue the run that lies there.
        overwrite: whether a finished or broken-off run there may be replaced.

    Attributes:
        path: the folder.

    Raises:
        UserError: where another process writes there, a run lies there and neither flag allows it, or the run
            there has another config.
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
        """Lets other processes write here; what was made for a run that never began goes."""
        for path in self._made:
            with contextlib.suppress(OSError):  # somebody else put something into the folder
                path.rmdir() if path.is_dir() else path.unlink()
        self._made = []
        self._lock.close()

    def _check(self, *, overwrite: bool) -> None:
        if self.file("config.json").exists():
            if self._resume:
                self.require_same("config.json", self._config, "the config")
            elif not overwrite:
                raise UserError(f"{self.path} holds a {self._state()} run: {self._way_out()}")
        elif self._resume:
            raise UserError(f"--resume: no run lies in {self.path}; leave the flag out to start one")
        elif not overwrite:
            foreign = [name for name in (*FILES, *FOLDERS) if name != "versions.json" and self._holds(name)]
            if foreign:
                raise UserError(
                    f"{self.path} is no run but holds {', '.join(foreign)}, which a run would replace: "
                    "--workdir=<folder> writes elsewhere, --overwrite replaces them"
                )

    def _holds(self, name: str) -> bool:
        path = self.file(name)
        return any(path.iterdir()) if path.is_dir() else path.exists()

    def start(self) -> None:
        """Begins to write: unless it resumes, what another run left is removed only now."""
        self._made = []
        if self._resume:
            self._note_versions()
            return
        self._clear()
        self.write_json("versions.json", versions())
        self.write_json("config.json", self._config)  # last: a folder with a config is a run

    def _note_versions(self) -> None:
        """Warns of packages, commit or devices that are not those the run began with, and writes them down."""
        begun = self.read_json("versions.json")
        resumed, now = begun.pop("resumed", []), versions()
        changed = differences([begun, *resumed][-1], now)
        if changed:
            _LOG.warning("resuming otherwise than before, so the numbers may differ: %s", "; ".join(changed))
            self.write_json("versions.json", begun | {"resumed": [*resumed, now]})

    def file(self, name: str) -> Path:
        """The path of a file in the folder."""
        return self.path / name

    def read_json(self, name: str) -> Any:
        """Reads a JSON file of the run."""
        return read_json(self.file(name))

    def write_json(self, name: str, content: Any) -> None:
        """Writes a JSON file whole or not at all."""
        text = json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n"
        write_atomically(self.file(name), lambda file: file.write(text.encode()))

    def require_same(self, name: str, content: dict[str, Any], what: str) -> None:
        """Requires a JSON file of the run to hold what it would hold if it were written now.

        Raises:
            UserError: naming every difference.
        """
        changed = differences(self.read_json(name), content)
        if changed:
            raise UserError(
                f"cannot resume {self.path}: {what} changed: {'; '.join(changed)}; "
                "take the old values, or another --workdir"
            )

    def _state(self) -> str:
        return "finished" if self.file("summary.json").exists() else "broken-off"

    def _way_out(self) -> str:
        resume = "" if self.file("summary.json").exists() else "--resume continues it, "
        return f"{resume}--overwrite replaces it, --workdir=<folder> writes elsewhere"

    def _clear(self) -> None:
        """Removes what a run wrote, its config first, and nothing else that may lie there."""
        for name in FILES:
            self.file(name).unlink(missing_ok=True)
        for folder in FOLDERS:
            for file in sorted(self.file(folder).rglob("*"), reverse=True):
                file.rmdir() if file.is_dir() and not file.is_symlink() else file.unlink()


def versions() -> dict[str, Any]:
    """What a run's numbers depend on besides its config: packages, commit, device."""
    installed = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {
        "packages": installed | {"ssar_jax": importlib.metadata.version("ssar_jax")},
        "python": platform.python_version(),
        "commit": _commit(),
        "device": f"{len(jax.devices())} x {jax.devices()[0].device_kind}",
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
    }


def _commit() -> str | None:
    """The commit of the source, `-dirty` appended where files differ from it; None outside a repository."""
    command = [
        "git",
        "-C",
        str(Path(__file__).parent),
        "describe",
        "--always",
        "--dirty",
        "--abbrev=40",
        "--exclude=*",
    ]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() or None


def _lock(path: Path) -> tuple[Any, list[Path]]:
    """The locked file of a folder, and what had to be made for it, innermost first."""
    file = path / ".lock"
    while True:
        made = [each for each in (file, path, *path.parents) if not each.exists()]
        try:
            path.mkdir(parents=True, exist_ok=True)
            lock = file.open("w")
        except OSError as error:
            raise UserError(f"cannot write to {path}: {error.strerror}; choose another --workdir") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise UserError(f"{IN_USE} {path}: wait for it, or choose another --workdir") from error
        if file.exists() and os.path.samestat(os.fstat(lock.fileno()), file.stat()):
            return lock, made
        lock.close()  # another process has removed it since
