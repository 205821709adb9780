"""The one exception for problems that the user can mend."""


class UserError(ValueError):
    """A wrong input, told in one line: what is wrong, the offending value, and the way out.

    Entry points print the message without a traceback and exit with status 2.
    """
