"""Exceptions: a problem that the user can mend, and work that was asked to stop."""


class UserError(ValueError):
    """A wrong input, told in one line: what is wrong, the offending value, and the way out.

    Entry points print the message without a traceback and exit with status 2.
    """


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM ended work that has kept what it has; the message says how to go on.

    Attributes:
        exit_status: 128 + the signal's number, with which entry points exit.
    """

    def __init__(self, message: str, exit_status: int) -> None:
        super().__init__(message)
        self.exit_status = exit_status
