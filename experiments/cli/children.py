"""Subprocesses that measure or check something and print the result as JSON."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ssar_jax.errors import UserError


def program(name: str) -> list[str]:
    """Returns the start of a command line that runs a command of `experiments/`, in the repository and installed.

    Args:
        name: the command, such as `offline`.
    """
    return [sys.executable, "-m", "ssar_jax", name]


def script(source: str, *arguments: str) -> list[str]:
    """Returns a command line that runs a few lines of Python, which can import what this process imports from here.

    Args:
        source: the lines.
        arguments: their `sys.argv[1:]`.
    """
    home = Path(__file__).resolve().parents[2]
    return [sys.executable, "-c", f"import sys\nsys.path.insert(0, {str(home)!r})\n{source}", *arguments]


def ask(command: Sequence[str], *, failure: str, environment: Mapping[str, str] | None = None) -> Any:
    """Runs a subprocess and returns the last line of its output, parsed as JSON.

    Args:
        command: the program and its arguments.
        failure: start of the message if the subprocess fails.
        environment: environment variables in addition to those of this process.

    Raises:
        UserError: if the subprocess fails, with its reason.
    """
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | (environment or {}))
    if result.returncode != 0:
        raise UserError(f"{failure}: {reason(result.returncode, result.stderr)}")
    return json.loads(result.stdout.strip().splitlines()[-1])


def reason(status: int, printed: str) -> str:
    """Returns why a process failed: the signal that killed it, the last line of its messages, or its exit status.

    Args:
        status: exit status of the process, or the negative number of the signal.
        printed: messages of the process.
    """
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    words = [line.removeprefix("error: ") for line in lines[-1:]]
    if status < 0:
        return "; ".join([f"killed by {signal.Signals(-status).name}", *words])
    return words[0] if words else f"exit status {status}"
