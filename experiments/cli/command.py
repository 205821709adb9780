"""Runs an entry point: reads flags and config, and prints an error that the user can fix as one line.

`overrides.py` says why `ml_collections.config_flags` does not parse the command line.
"""

import contextlib
import errno
import importlib
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any, Literal, overload

from absl import app, flags
from absl import logging as absl_logging

from configs.checks import check_config
from configs.common import Config, did_you_mean, fields
from experiments.cli.config_files import load_config, resolve_dataset_path
from experiments.cli.overrides import apply_overrides, split_overrides
from ssar_jax.errors import Interrupted, UserError, unreadable

_USER_ERROR = 2
_INTERRUPTED = 130  # 128 + SIGINT, as shells report it
# Errors of the system that are nobody's bug, wherever they are raised, and the remedy.
_REFUSALS = {
    errno.EACCES: "check its permissions and those of its folders",
    errno.EPERM: "check its permissions and those of its folders",
    errno.EROFS: "mount its disk for writing, or choose another folder",
    errno.ENOSPC: "free some space, then repeat the command; a run continues with --resume",
    errno.EDQUOT: "free some space, then repeat the command; a run continues with --resume",
    errno.EIO: "check that its disk works",
}
_CONFIG_HELP = (
    "What to run: <algorithm>:<task>[,variant=<name>][,preset=<name>], such as td3_bc:hopper-m, a config file "
    "(configs/td3_bc.py:hopper-m), or the config.json of a run to repeat it. --config.<field>=<value> sets a single "
    "field."
)
_IMPORT_HELP = (
    "Modules of your own to import first, separated by commas. Needed where a run folder names one of them, for an "
    "algorithm or an environment from outside the library."
)


@overload
def run(main: Callable[[Config], int | None], *, needs_config: Literal[True]) -> None: ...
@overload
def run(main: Callable[[list[str]], int | None], *, needs_config: Literal[False] = False) -> None: ...
def run(main: Callable[[Any], int | None], *, needs_config: bool = False) -> None:
    """Reads the command line, calls `main` and ends the process.

    The exit status is what `main` returns (None is 0), 2 after a `UserError` or if the system refuses a file, which
    are printed as one line, that of an `Interrupted`, and 130 after any other Ctrl-C. Any other exception is a bug
    and keeps its traceback.

    Args:
        main: a function of the checked config, or without a config of the arguments that are not flags.
        needs_config: whether the command takes `--config`.
    """
    flags.DEFINE_list("import", [], _IMPORT_HELP)
    # --help shows only the flags of the main module, to which this adds these.
    flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS["import"])
    if needs_config:
        flags.DEFINE_string("config", None, _CONFIG_HELP)
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS["config"])
    read = _read_config if needs_config else _read_arguments
    _show_messages()
    app.run(_errors_in_one_line()(main), flags_parser=_errors_in_one_line()(read))


def _show_messages() -> None:
    """Prints all messages of the project, and the warnings of other packages."""
    absl_logging.set_verbosity(absl_logging.WARNING)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    for name in ("ssar_jax", "experiments", "__main__"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO)


@contextlib.contextmanager
def _errors_in_one_line() -> Iterator[None]:
    """Ends the process after a user error or an interruption, without a traceback."""
    try:
        yield
    except UserError as error:
        print("error:", " ".join(str(error).splitlines()), file=sys.stderr)
        sys.exit(_USER_ERROR)
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        print("error:", _refusal(error), file=sys.stderr)
        sys.exit(_USER_ERROR)
    except Interrupted as interrupted:
        print(interrupted, file=sys.stderr)
        sys.exit(interrupted.exit_status)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(_INTERRUPTED)


def _refusal(error: OSError) -> str:
    """Returns the line about a file that the system refuses to read or write."""
    if isinstance(error, PermissionError) and error.filename is not None:
        return str(unreadable(error.filename, error))
    file = "a file" if error.filename is None else str(error.filename)
    assert error.errno is not None
    return f"{file} cannot be written or read ({os.strerror(error.errno)}): {_REFUSALS[error.errno]}"


def _read_arguments(argv: list[str]) -> list[str]:
    """Parses the flags, imports the modules that they name, and returns the other arguments."""
    with _flag_errors():
        arguments = flags.FLAGS(argv)[1:]
    for module in flags.FLAGS["import"].value or ():
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise UserError(f"--import={module}: {error}; is its folder in PYTHONPATH?") from error
    return arguments


def _read_config(argv: list[str]) -> Config:
    """Parses the flags and returns the config with its overrides, checked."""
    with _flag_errors():
        argv = flags.FLAGS.read_flags_from_files(argv, force_gnu=False)
    overrides, others = split_overrides(argv)
    arguments = _read_arguments(others)
    if arguments:
        raise UserError(
            f"unexpected argument {arguments[0]!r}; flags begin with --, and the value of --config has no spaces"
        )
    source = flags.FLAGS["config"].value
    if not source:
        raise UserError("no --config: write for example --config=configs/td3_bc.py:hopper-m,preset=short")
    config = load_config(source)
    apply_overrides(config, overrides)
    check_config(config)
    resolve_dataset_path(config)
    return config


@contextlib.contextmanager
def _flag_errors() -> Iterator[None]:
    """Turns absl's errors into user errors."""
    try:
        yield
    except flags.UnrecognizedFlagError as error:
        raise UserError(f"unknown flag --{error.flagname}{_suggest(error.flagname)}") from error
    except flags.Error as error:
        message = str(error).removeprefix("ERROR:: ")
        # For a boolean flag absl prints the arguments of its error.
        message = re.sub(r"\('Non-boolean argument to boolean flag', .*\)", "must be true or false", message)
        raise UserError(message) from error
    except SystemExit as ending:
        raise SystemExit(0) from ending  # absl exits with 1 after --help, which is not a failure


def _suggest(flag: str) -> str:
    """Returns a hint that names the config fields of that name, or else the nearest flags."""
    if "config" in flags.FLAGS and flags.FLAGS["config"].value:
        with contextlib.suppress(UserError):
            known = fields(load_config(flags.FLAGS["config"].value))
            meant = [f"--config.{name}" for name in known if flag in (name, name.rpartition(".")[2])]
            if meant:
                return f"; did you mean {', '.join(meant)}?"
    return did_you_mean(flag, flags.FLAGS, prefix="--") or "; --help lists the flags"
