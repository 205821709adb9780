"""The format of a run folder: the names of its files, how to read them, and what may differ between its two phases.

A leaf that `runs` (which writes run folders) and `reporting` (which reads them) share.
"""

import json
import sys
from pathlib import Path
from typing import Any

from ssar_jax.errors import UserError, unreadable
from ssar_jax.nested import flatten

FILES = (
    "config.json", "summary.json", "versions.json", "data.json", "stopped.json", "offline_run.json",
    "train.csv", "eval.csv", "metrics.jsonl", "preparation.npz",
)  # fmt: skip
FOLDERS = ("checkpoints", "diagnostics", "evaluations", "tensorboard", "wandb")
"""Names of the files and folders that a run writes; they are removed when another run replaces it."""

FREE_ONLINE = (
    "preset", "online", "evaluation", "checkpoint", "num_updates",
    "coefficient.anneal", "coefficient.decay_steps", "coefficient.anneal_floor",
)  # fmt: skip
"""Config fields that may differ between the offline run and the online run that starts from it."""

IN_USE = "another process is writing to"
"""The first words of the error message for a folder that is in use."""

RENAMED_FIELDS = {"coefficient.mask_regulariser": "coefficient.mask_regularizer"}
"""Old names of config fields and their current names, which are in the same group. Old names are still accepted."""

IMPLIED_FIELDS = {"layout": "auto", "dataset.keep_fraction": 1.0}
"""Config fields that older runs do not have, and the value that is implied there."""

FIELDS_WITHOUT_EFFECT = ("evaluation.overlap",)
"""Config fields that change no number of a run, so that a resumed or a repeated run may have another value."""


def default_folder(root: Path, config: Any, phase: str) -> Path:
    """Returns `<root>/<algorithm>/<task>/<phase>-<variant>-<preset>-s<first seed>-<last seed>`.

    Args:
        root: folder of all runs.
        config: the run's config.
        phase: `offline` or `online`.
    """
    name = f"{phase}-{config.variant}-{config.preset}-{seeds_name(config)}"
    return root / config.algorithm.replace(":", ".") / config.task / name  # no colon: Windows refuses it


def seeds_name(config: Any) -> str:
    """Returns `s<first seed>-<last seed>`.

    Args:
        config: the run's config.
    """
    return f"s{config.seed}-{config.seed + config.num_seeds - 1}"


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON file of a run; config fields that were renamed have their current names.

    Args:
        path: the file.

    Returns:
        Its content, which is an object in every file of a run.

    Raises:
        UserError: if the file is missing or damaged.
        UnreadableError: if it exists and cannot be read, such as for lack of permission.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        if not isinstance(error, FileNotFoundError) and (cause := unreadable(path, error)) is not None:
            raise cause from error
        raise UserError(f"{path} cannot be read ({error}): check that its folder is a run") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is damaged (not a JSON object): check that its folder is a run")
    return rename_fields(content)


def require_imported(config: dict[str, Any], path: Path) -> None:
    """Requires that the modules which a stored config names are imported already.

    Importing a module runs its code, and a folder that contains a config can contain a module too. So a file alone must
    not decide what is imported.

    Args:
        config: the config as read from its file.
        path: the file, for the message.

    Raises:
        UserError: if the algorithm or the environment is in a module that is not imported.
    """
    environment = config.get("environment")
    names = config.get("algorithm"), environment.get("id") if isinstance(environment, dict) else None
    for name in names:
        module, colon, _ = str(name).partition(":")
        if colon and module not in sys.modules:
            raise UserError(
                f"{path} names {name!r}, and importing the module {module!r} runs its code: if you trust it, add "
                f"--import={module} to the command, or import it in Python first"
            )


def rename_fields(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns a stored config with the current names of the fields in `RENAMED_FIELDS`.

    Args:
        config: nested dictionaries, or a group of them.
        prefix: dotted name of the group, with a dot at its end.
    """
    renamed: dict[str, Any] = {}
    for key, value in config.items():
        name = RENAMED_FIELDS.get(prefix + key, prefix + key).removeprefix(prefix)
        renamed[name] = rename_fields(value, f"{prefix}{key}.") if isinstance(value, dict) else value
    return renamed


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


def config_differences(old: dict[str, Any], new: dict[str, Any], *, may_move: bool) -> list[str]:
    """Lists the differences of two configs that change numbers, except for a dataset path that leads to the same place.

    Args:
        old: the config of a run.
        new: the config that is compared.
        may_move: whether the dataset may be in another place; then its content must be compared (`data_differences`).

    Returns:
        As `differences`.
    """
    if may_move or moved_dataset(old, new) is None:
        new = {**new, "dataset": {**new.get("dataset", {}), "path": old.get("dataset", {}).get("path")}}
    known = flatten(new)
    implied = {name: value for name, value in IMPLIED_FIELDS.items() if name in known}
    configs = implied | flatten(old), known
    return differences(*({name: c[name] for name in c if name not in FIELDS_WITHOUT_EFFECT} for c in configs))


def moved_dataset(old: dict[str, Any], new: dict[str, Any]) -> str | None:
    """Returns `dataset.path was <old>, is <new>` for configs with paths to different places, else None.

    A relative and an absolute path to one place are the same.

    Args:
        old: the config of a run.
        new: the config that is compared.
    """
    was, now = (config.get("dataset", {}).get("path") for config in (old, new))
    places = [path if path is None else Path(path).absolute() for path in (was, now)]
    return None if places[0] == places[1] else f"dataset.path was {was}, is {now}"


def data_differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Lists the differences of two descriptions of data; with the same content, their names do not count.

    Args:
        old: the `data.json` of a run.
        new: the description that is compared.

    Returns:
        As `differences`.
    """
    if old.get("dataset_hash") == new["dataset_hash"] and old.get("data_source") == new["data_source"]:
        new = {**new, "data_name": old.get("data_name")}
    return differences(old, new)
