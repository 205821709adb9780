"""The process of a run, which prints into the run's log."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class Process:
    """A subprocess that appends everything it prints to a file.

    Args:
        command: the program and its arguments.
        text: the command as text, the first line in the file, and perhaps further lines.
        log: the file; its folder is made if missing.
        environment: environment variables in addition to those of this process.
        folder: working folder; None for that of this process.
        keep: file descriptors that it inherits.
    """

    def __init__(
        self,
        command: Sequence[str],
        text: str,
        log: Path,
        environment: Mapping[str, str],
        *,
        folder: str | None = None,
        keep: Sequence[int] = (),
    ) -> None:
        self._log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as file:
            file.write(f"$ {text}\n".encode())
            file.flush()
            self._printed_from = file.tell()
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
                pass_fds=keep,
                # In this process's group, Ctrl-C at a terminal would reach it twice, and the second one kills it.
                process_group=0,
            )

    def last_line(self) -> str:
        """Returns the last line that it printed."""
        return next(reversed(self._lines()), "")

    def reason(self) -> str:
        """Returns the last error message that it printed, its last line if there is none.

        A process of an earlier sweep may still print into the same file.
        """
        return next((line for line in reversed(self._lines()) if line.startswith("error: ")), self.last_line())

    def _lines(self) -> list[str]:
        with self._log.open("rb") as log:
            log.seek(self._printed_from)
            lines = log.read().decode(errors="replace").splitlines()
        return [line.strip() for line in lines if line.strip()]

    def poll(self) -> int | None:
        """Returns the exit status or the negative number of the signal that killed it; None while it runs."""
        return self._process.poll()

    def send(self, number: int) -> None:
        """Sends a signal to the process.

        Args:
            number: number of the signal.
        """
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kills the process and waits for its end."""
        self._process.kill()
        self._process.wait()
