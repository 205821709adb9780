"""Processes that find out one thing and print it as JSON."""

import json
import signal
import subprocess
from collections.abc import Sequence
from typing import Any

from ssar_jax.errors import UserError


def ask(command: Sequence[str], *, failure: str) -> Any:
    """Runs a process to its end and returns the last line that it printed, read as JSON.

    Args:
        command: the program and its arguments.
        failure: what it means for the user when the process fails.

    Raises:
        UserError: where it fails; it says why.
    """
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise UserError(f"{failure}: {reason(result.returncode, result.stderr)}")
    return json.loads(result.stdout.strip().splitlines()[-1])


def reason(status: int, printed: str) -> str:
    """Why a process failed: the signal that killed it and its last words, or its exit status if it had none.

    Args:
        status: its exit status, or the negative number of the signal.
        printed: its messages.
    """
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    words = [line.removeprefix("error: ") for line in lines[-1:]]
    if status < 0:
        return "; ".join([f"killed by {signal.Signals(-status).name}", *words])
    return words[0] if words else f"exit status {status}"
