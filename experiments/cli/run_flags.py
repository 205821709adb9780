"""The flags of every entry point that fills a run folder, and what they say."""

from pathlib import Path
from typing import Any, TypedDict

from absl import flags

from ssar_jax.errors import UserError
from ssar_jax.run_format import default_folder

_WORKDIR = flags.DEFINE_string("workdir", None, "Run folder; by default below runs/.")
_RESUME = flags.DEFINE_bool("resume", False, "Continue the run that lies in the folder.")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace the run that lies in the folder.")
_LOG = flags.DEFINE_list(
    "log", [], "Where metrics go besides train.csv, eval.csv and metrics.jsonl: tensorboard, wandb or both."
)


class Options(TypedDict):
    """The arguments of a run besides its config and folder."""

    resume: bool
    overwrite: bool
    dashboards: list[str]


def folder(config: Any, phase: str) -> Path:
    """The run folder that the flags name, or the default one of a phase."""
    return Path(_WORKDIR.value or default_folder(Path("runs"), config, phase))


def has_workdir() -> bool:
    """Whether the folder was named."""
    return _WORKDIR.value is not None


def options(*, begun: bool = True) -> Options:
    """What the other flags say; without a run that has begun there is nothing to resume.

    Raises:
        UserError: where they contradict each other.
    """
    if _RESUME.value and _OVERWRITE.value:
        raise UserError("--resume goes on with a run and --overwrite replaces it: leave one of them out")
    return {"resume": _RESUME.value and begun, "overwrite": _OVERWRITE.value, "dashboards": _LOG.value}
