"""Finds run folders and reads them.

Only finished runs count. A folder that is unfinished, damaged, unreadable or written by another program is left out
with a reason, and never changed.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ssar_jax.errors import UserError
from ssar_jax.reporting.read.files import NONE, read_json, read_table, require_types
from ssar_jax.reporting.read.runs import Key, Run
from ssar_jax.run_format import FOLDERS, rename_fields

State = Literal["unfinished", "diverged", "left out"]

_NUMBER = (int, float, NONE)
_CONFIG = {**dict.fromkeys(("algorithm", "variant", "preset", "task"), str),
           **dict.fromkeys(("num_updates", "seed", "num_seeds"), int)}  # fmt: skip
_OPTIONAL_CONFIG = {"coefficient": (dict, NONE), "online": (dict, NONE)}
_SUMMARY = {**dict.fromkeys(Key._fields, str), "seeds": list, "num_updates": int}
_OPTIONAL_SUMMARY = {
    **dict.fromkeys(("system", "offline_run"), (str, NONE)),
    **dict.fromkeys(("updates_per_second", "steps_per_second", "wall_seconds"), _NUMBER),
    **dict.fromkeys(("environment_steps", "online_updates"), int),
    **dict.fromkeys(("area_score", "area_return"), list),
    "versions": dict,
}
_ELEMENTS = {"seeds": int, "area_score": _NUMBER, "area_return": _NUMBER}  # of the lists of a summary
_VERSIONS = {"commit": (str, NONE), "device": (str, NONE), "packages": dict}


class Skipped(NamedTuple):
    """A folder that does not count.

    Attributes:
        path: the folder.
        reason: why it does not count.
        state: `unfinished` for a run that may still be finished, `diverged` for one whose seeds have all diverged,
            `left out` for everything else.
    """

    path: Path
    reason: str
    state: State = "left out"


def read_runs(*roots: Path) -> tuple[list[Run], list[Skipped]]:
    """Reads every run below some folders.

    Args:
        *roots: folders of runs; a root may itself be a run.

    Returns:
        The finished runs and the folders left out, both in the order of their paths.

    Raises:
        UserError: if a root is not a folder.
    """
    found = [each for root in roots for each in _read_root(root)]
    return [each for each in found if isinstance(each, Run)], [each for each in found if isinstance(each, Skipped)]


def diverged_by(path: Path, config: Mapping[str, Any]) -> int | None:
    """Returns the step by which all seeds of a run had diverged, or None if a seed has not.

    Args:
        path: the run folder.
        config: its config, with `seed` and `num_seeds`.

    Raises:
        UserError: if its `stopped.json` is damaged.
    """
    if not (path / "stopped.json").exists():
        return None
    seeds = [str(config["seed"] + s) for s in range(config["num_seeds"])]
    stopped = read_json(path / "stopped.json", {}, dict.fromkeys(seeds, dict))
    for seed in seeds:
        if seed not in stopped:
            return None
        require_types(f"stopped.json: {seed}", {"step": stopped[seed].get("step")}, {"step": int})
    return max(stopped[seed]["step"] for seed in seeds)


def _read_root(root: Path) -> list[Run | Skipped]:
    try:
        is_folder = root.is_dir()
    except OSError as error:
        raise UserError(f"{root} cannot be read ({error}): check its permissions") from error
    if not is_folder:
        raise UserError(f"{root} is not a folder: name one that contains runs, such as runs/")
    return [each if isinstance(each, Skipped) else _read_folder(each) for each in _search(root)]


def _search(folder: Path) -> list[Path | Skipped]:
    """Finds the runs below a folder, and other folders that have files and no run below them."""
    try:
        children = sorted(folder.iterdir())
        folders = [child for child in children if child.is_dir() and not child.is_symlink() and child.name[0] != "."]
        has_files = any(child.is_file() for child in children)
    except OSError as error:
        return [_unreadable(folder, error)]
    has_config = folder / "config.json" in children
    if has_config and _is_config(folder / "config.json"):
        # `experiments.online --workdir` keeps the offline run in `offline/` of the online run.
        return [folder, *(_search_offline(folder / "offline") if folder / "offline" in folders else [])]
    if has_config:  # another program's, or damaged: there may be runs below it
        folders = [child for child in folders if child.name not in FOLDERS]
    below = [each for child in folders for each in _search(child)]
    has_runs = any(isinstance(each, Skipped) or os.path.exists(each / "config.json") for each in below)
    if has_files and not has_runs:
        return [folder]
    return [folder, *below] if has_config else below


def _search_offline(folder: Path) -> list[Path | Skipped]:
    try:
        return [folder] if (folder / "config.json").exists() else []
    except OSError as error:
        return [_unreadable(folder, error)]


def _is_config(path: Path) -> bool:
    try:
        read_json(path, _CONFIG, _OPTIONAL_CONFIG)
    except UserError:
        return False
    return True


def _read_folder(path: Path) -> Run | Skipped:
    try:
        if not (path / "config.json").exists():
            return Skipped(path=path, reason="no config.json: not a run, or a run that has not started")
        config = rename_fields(read_json(path / "config.json", _CONFIG, _OPTIONAL_CONFIG))
        if not (path / "summary.json").exists():
            return _describe_unfinished(path, config)
        return _read_run(path, config)
    except UserError as error:
        return Skipped(path=path, reason=str(error))
    except OSError as error:
        return _unreadable(path, error)


def _unreadable(path: Path, error: OSError) -> Skipped:
    return Skipped(path=path, reason=f"cannot be read ({error})")


def _read_run(path: Path, config: dict[str, Any]) -> Run:
    """Reads a finished run.

    Raises:
        UserError: with the reason why it does not count.
    """
    summary = read_json(path / "summary.json", _SUMMARY, _OPTIONAL_SUMMARY)
    require_types("summary.json: versions", summary.get("versions", {}), _VERSIONS)
    for name, types in _ELEMENTS.items():
        for element in summary.get(name, []):
            require_types(f"summary.json: {name}", {"an element": element}, {"an element": types})
    if not summary["seeds"]:
        raise UserError("summary.json: seeds is empty")
    run = Run(path=path, config=config, summary=summary, evaluations=_read_evaluations(path))
    if run.key.phase not in run.phases:
        raise UserError(f"eval.csv has no evaluation of the {run.key.phase} phase")
    if not any(name in run.evaluations[0] for name in ("score", "return")):
        raise UserError("eval.csv has no column score or return")
    try:
        run.curve()
    except UserError as error:
        raise UserError(f"eval.csv is damaged ({error})") from error
    return run


def _read_evaluations(path: Path) -> list[dict[str, str]]:
    return read_table(path / "eval.csv", ("phase", "step", "seed"))


def _describe_unfinished(path: Path, config: dict[str, Any]) -> Skipped:
    """Says why a run has no summary and how far it has come.

    Raises:
        UserError: if its tables are damaged.
    """
    rows, diverged = read_table(path / "train.csv", ("step", "seed")), diverged_by(path, config)
    step = diverged if diverged is not None else _last_step(rows)
    if any(row["phase"] == "online" for row in _read_evaluations(path)):
        total = (config.get("online") or {}).get("num_steps")
        progress = f"environment step {step:,}" + (f" of {total:,}" if isinstance(total, int) else "")
    else:
        progress = f"update {step:,} of {config['num_updates']:,}"
    if diverged is None:
        return Skipped(path=path, reason=f"interrupted or still running, at {progress}", state="unfinished")
    return Skipped(path=path, reason=f"all seeds diverged, the last by {progress}", state="diverged")


def _last_step(rows: list[dict[str, str]]) -> int:
    try:
        return int(rows[-1]["step"]) if rows else 0
    except ValueError as error:
        raise UserError(f"train.csv is damaged ({error})") from error
