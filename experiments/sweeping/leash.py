"""Starts a program that ends with the process that started it.

A sweep or a worker of a cluster may be killed without a chance to end the run that it has started. On Linux the kernel
then sends SIGTERM to the run, which saves and stops. Elsewhere the run continues, and its folder stays locked until it
ends.
"""

import ctypes
import os
import signal
import sys

from experiments.cli import children

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def leashed(command: list[str]) -> list[str]:
    """Returns a command line for a program that ends with this process.

    Args:
        command: the program and its arguments.
    """
    source = "from experiments.sweeping import leash\nleash.main(int(sys.argv[1]), sys.argv[2:])"
    return children.script(source, str(os.getpid()), *command)


def main(parent: int, command: list[str]) -> None:
    """Replaces this process by the program.

    Args:
        parent: id of the process whose end ends the program.
        command: the program and its arguments.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it has ended in the meantime
            sys.exit(128 + signal.SIGTERM)
    # Ray blocks SIGINT in its workers, and a child would inherit that: the run could not be asked to save.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    os.execvp(command[0], command)
