"""The command `ssar-jax <command> ...`, which runs a command of `experiments/` from any folder.

    ssar-jax offline --config=td3_bc:hopper-m,preset=short

is the same code as `python -m experiments.offline --config=configs/td3_bc.py:hopper-m,preset=short` in the root of the
repository. A wheel carries `experiments/` and `configs/` in `ssar_jax/_commands/`, and only this process and its
children find them there: site-packages gets no package of such a common name. `python -m ssar_jax` is the same command.
"""

import ast
import difflib
import os
import runpy
import sys
from pathlib import Path

from ssar_jax import __version__

_PACKAGE = Path(__file__).resolve().parent
_USER_ERROR = 2


def main() -> None:
    """Runs the command that the first argument names; ends the process with status 2 if there is none of that name."""
    name, *arguments = sys.argv[1:] or ["--help"]
    if name == "--version":
        print(__version__)
        return
    home = _home()
    known = _commands(home)
    if name in ("--help", "-h", "help"):
        _print_help(known)
        return
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; the commands are {', '.join(known)}"
        print(f"error: unknown command {name!r}{hint}", file=sys.stderr)
        sys.exit(_USER_ERROR)
    # First, so that a folder of the user's called experiments/ or configs/ is not taken for ours. The current folder
    # comes last, where `python -m` has it first: --import finds modules of the user's in it.
    sys.path[:] = [str(home), *(entry for entry in sys.path if entry not in ("", os.getcwd())), os.getcwd()]
    if home != _PACKAGE.parent:  # installed: workers of a cluster and other children import the commands too
        os.environ["PYTHONPATH"] = os.pathsep.join([str(home), *filter(None, [os.environ.get("PYTHONPATH")])])
    sys.argv[1:] = arguments
    runpy.run_module(f"experiments.{name}", run_name="__main__", alter_sys=True)


def _home() -> Path:
    """Returns the folder that contains `experiments/` and `configs/`: in the wheel, or the root of the repository."""
    installed = _PACKAGE / "_commands"
    return installed if installed.is_dir() else _PACKAGE.parent


def _commands(home: Path) -> dict[str, Path]:
    """Returns the file of every command."""
    return {path.stem: path for path in sorted((home / "experiments").glob("*.py")) if path.stem != "__init__"}


def _print_help(known: dict[str, Path]) -> None:
    print("usage: ssar-jax <command> [flags], such as\n\n    ssar-jax offline --config=td3_bc:hopper-m,preset=short\n")
    for name, path in known.items():
        documentation = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        print(f"  {name:10} {documentation.splitlines()[0].partition(':')[0]}")
    print("\nssar-jax <command> --help lists the flags of a command.")


if __name__ == "__main__":
    main()
