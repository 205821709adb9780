"""Starts a program that ends with the process that started it; `engines/remote.py` does so in a process of its own.

A worker of a cluster may be killed without a chance to end the run that it has started. On Linux the kernel then sends
SIGTERM to the run, which saves and stops. Elsewhere the run continues, and its folder stays locked until it ends.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


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
