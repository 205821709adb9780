"""Exceptions: an error that the user can fix, and an interruption by the user."""

import errno
import os
from pathlib import Path


class UserError(ValueError):
    """An error that the user can fix, as one line: what is wrong, the value, and the remedy.

    Commands print the message without a traceback and exit with status 2.
    """


class UnreadableError(UserError):
    """A file cannot be read although its bytes may be intact: permissions, a lock, a failing disk.

    Nothing may be deleted, generated or trained again because of it.
    """


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM stopped work whose progress is saved; the message says how to resume it.

    Args:
        message: One line for the user.
        exit_status: 128 + the signal's number.

    Attributes:
        exit_status: Status with which commands exit.
    """

    def __init__(self, message: str, exit_status: int) -> None:
        super().__init__(message)
        self.exit_status = exit_status


# Errors of reading that follow from the bytes of a file: a damaged archive points to before its start.
_FROM_BYTES = {errno.EINVAL}
_PERMISSIONS = {errno.EACCES, errno.EPERM}
_LIMITS = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}


def unreadable(path: str | Path, error: BaseException) -> UnreadableError | None:
    """Return the error of a file that cannot be read, or None if its bytes are to blame.

    The operating system gives its own errors a number, libraries that find bad bytes do not.

    Args:
        path: The file or folder.
        error: What was raised when it was read.
    """
    if not isinstance(error, OSError) or not error.errno or error.errno in _FROM_BYTES:
        return None
    remedy = "check that it exists and that its disk works"
    if error.errno in _PERMISSIONS:
        remedy = "check its permissions and those of its folders"
    elif error.errno in _LIMITS:
        remedy = "close other programs, or raise the limit with ulimit"
    return UnreadableError(f"{path} cannot be read ({os.strerror(error.errno)}): {remedy}")
