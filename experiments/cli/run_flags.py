"""The flags of every entry point that writes a run folder."""

from pathlib import Path
from typing import Any, TypedDict

from absl import flags

from experiments.cli import processes
from ssar_jax.errors import UserError
from ssar_jax.files import resolve_path
from ssar_jax.run_format import default_folder

flags.adopt_module_key_flags(processes)
_WORKDIR = flags.DEFINE_string("workdir", None, "Run folder; the default is a folder in runs/.")
_RESUME = flags.DEFINE_bool("resume", False, "Continue the run in the folder.")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace the run in the folder.")
_LOG = flags.DEFINE_list(
    "log",
    [],
    "Where to write metrics in addition to train.csv, eval.csv and metrics.jsonl: tensorboard, wandb or both.",
)


class Options(TypedDict):
    """Arguments of a run in addition to its config and folder.

    Attributes:
        resume: whether to continue the run in the folder.
        overwrite: whether to replace the run in the folder.
        dashboards: where to write metrics in addition to files.
    """

    resume: bool
    overwrite: bool
    dashboards: list[str]


def folder(config: Any, phase: str) -> Path:
    """Returns the run folder of --workdir, or the default folder.

    With several processes, --workdir is the folder of their run folders.

    Args:
        config: the run's config, with the seeds of this process.
        phase: `offline` or `online`.
    """
    if _WORKDIR.value is None:
        return default_folder(Path("runs"), config, phase)
    return own_folder(resolve_path(_WORKDIR.value), config)


def take_share(config: Any) -> None:
    """Sets the seeds of a config to those of this process, if --num_processes divides them.

    Args:
        config: the checked config of all seeds; it is changed.

    Raises:
        UserError: if the flags are impossible, or there are more processes than seeds.
    """
    process = processes.this_process()
    if process is not None:
        processes.take_share(config, process)


def own_folder(path: Path, config: Any) -> Path:
    """Returns a folder as it is, or with several processes the part of this one in it.

    Args:
        path: the folder.
        config: the config with the seeds of this process.
    """
    return path if processes.this_process() is None else processes.own_folder(path, config)


def has_workdir() -> bool:
    """Whether --workdir is given."""
    return _WORKDIR.value is not None


def options(*, begun: bool = True) -> Options:
    """Returns the values of the other flags.

    Args:
        begun: whether the run has begun; without that --resume has no effect.

    Raises:
        UserError: if --resume and --overwrite are both given.
    """
    if _RESUME.value and _OVERWRITE.value:
        raise UserError("--resume continues a run and --overwrite replaces it: leave one of them out")
    return {"resume": _RESUME.value and begun, "overwrite": _OVERWRITE.value, "dashboards": _LOG.value}
