"""The format of a run folder: the names of its files, how to read them, and what may differ between its two phases.

A leaf that `runs` (which writes run folders) and `reporting` (which reads them) share.
"""

import json
from pathlib import Path
from typing import Any

from ssar_jax.errors import UserError
from ssar_jax.nested import flatten

FILES = (
    "config.json", "summary.json", "versions.json", "data.json", "stopped.json",
    "train.csv", "eval.csv", "metrics.jsonl", "preparation.npz",
)  # fmt: skip
FOLDERS = ("checkpoints", "diagnostics", "evaluations", "tensorboard", "wandb")
"""What a run writes, and what is removed when another run replaces it."""

FREE_ONLINE = (
    "preset", "online", "evaluation", "checkpoint", "num_updates",
    "coefficient.anneal", "coefficient.decay_steps", "coefficient.anneal_floor",
)  # fmt: skip
"""Config fields that may differ between the offline run and the online run that starts from it."""


def default_folder(root: Path, config: Any, phase: str) -> Path:
    """Returns `<root>/<algorithm>/<task>/<phase>-<variant>-<preset>-s<first seed>-<last seed>`."""
    last = config.seed + config.num_seeds - 1
    name = f"{phase}-{config.variant}-{config.preset}-s{config.seed}-{last}"
    return root / config.algorithm / config.task / name


def read_json(path: Path) -> Any:
    """Reads a JSON file of a run.

    Raises:
        UserError: if it is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): is its folder a run?") from error


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Lists the leaves in which two nested dictionaries differ.

    Args:
        old: as read from JSON.
        new: compared as JSON would store it.

    Returns:
        One text `<full name> was <old>, is <new>` for every leaf that differs.
    """
    before, after = flatten(old), flatten(json.loads(json.dumps(new)))
    names = sorted(before | after)
    return [
        f"{name} was {before.get(name)}, is {after.get(name)}" for name in names if before.get(name) != after.get(name)
    ]
