"""Exceptions: an error that the user can fix, and an interruption by the user."""


class UserError(ValueError):
    """An error that the user can fix, as one line: what is wrong, the value, and the remedy.

    Commands print the message without a traceback and exit with status 2.
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
