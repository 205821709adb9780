"""Reads run folders.

Only finished runs count. What is unfinished, damaged or somebody else's is named with the reason and left alone.
"""

import csv
import json
import shlex
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from ssar_jax.errors import UserError
from ssar_jax.reporting.read.curves import Curve, read_curve


class Key(NamedTuple):
    """What names a number in a table."""

    phase: str
    algorithm: str
    variant: str
    preset: str
    task: str
    data_source: str
    physics: str


State = Literal["unfinished", "diverged", "left out"]


class Skipped(NamedTuple):
    """A folder that does not count.

    Attributes:
        path: the folder.
        reason: why.
        state: `unfinished` for a run that may yet be finished, `diverged` for one that has lost all its seeds,
            `left out` for everything else.
    """

    path: Path
    reason: str
    state: State = "left out"


class _NoSummaryError(UserError):
    """A run without a summary is no damaged folder."""

    def __init__(self, state: State, reason: str) -> None:
        super().__init__(reason)
        self.state: State = state


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        path: its folder.
        config: of `config.json`.
        summary: of `summary.json`.
        evaluations: the rows of `eval.csv`, cells as text.
    """

    path: Path
    config: dict[str, Any]
    summary: dict[str, Any]
    evaluations: list[dict[str, str]]

    @property
    def key(self) -> Key:
        """What names its numbers."""
        return Key(*(self.summary[name] for name in Key._fields))

    @property
    def measure(self) -> str:
        """`score`, or `return` for a task without a scale."""
        return "score" if any(row.get("score") for row in self.evaluations) else "return"

    @property
    def phases(self) -> tuple[str, ...]:
        """The phases that were evaluated, in their order: an online run may hold its offline phase as well."""
        return tuple(dict.fromkeys(row["phase"] for row in self.evaluations))

    def curve(self, phase: str | None = None) -> Curve:
        """The score of every seed at every evaluation of a phase, by default of the run's own.

        Steps are updates offline, and online the environment steps since the switch.

        Raises:
            UserError: where the run did not evaluate in that phase.
        """
        phase = phase or self.key.phase
        if phase not in self.phases:
            raise UserError(f"{self.path} has no evaluation of its {phase} phase, but of {', '.join(self.phases)}")
        step = "environment_steps" if phase == "online" else "step"
        return read_curve([row for row in self.evaluations if row["phase"] == phase], self.measure, step=step)

    def metric(self, name: str) -> Curve:
        """A column of `train.csv`, such as `coefficient/n`, of every seed.

        Raises:
            UserError: where the run did not measure it.
        """
        rows = _read_rows(self.path / "train.csv")
        if not any(row.get(name) for row in rows):
            known = sorted(column for column in rows[0] if column not in ("step", "seed")) if rows else []
            raise UserError(f"{self.path} has no metric {name}; it has {', '.join(known) or 'none'}")
        return read_curve(rows, name)

    @property
    def diagnostics(self) -> dict[int, Path]:
        """The files of `diagnostics/` by their update, in its order."""
        files = {int(file.stem): file for file in (self.path / "diagnostics").glob("*.npz") if file.stem.isdecimal()}
        return dict(sorted(files.items()))

    @property
    def adapts(self) -> bool:
        """Whether it trained beta(s), and not a constant in its place."""
        return (self.config.get("coefficient") or {}).get("kind") == "state_adaptive"

    @property
    def updates_per_second(self) -> float | None:
        """Of each seed, without evaluation; None where the last resumption had nothing left to train."""
        return self.summary.get("updates_per_second")

    @property
    def wall_seconds(self) -> float | None:
        """Since the start, or since the latest resumption."""
        return self.summary.get("wall_seconds")

    @property
    def commit(self) -> str | None:
        """Of the source that made it, `-dirty` appended where files differed from it."""
        return self.summary.get("versions", {}).get("commit")

    @property
    def device(self) -> str | None:
        """What it was trained on."""
        return self.summary.get("versions", {}).get("device")

    @property
    def command(self) -> str:
        """Repeats the run from the repository root."""
        flags = [f"--config={self.path / 'config.json'}", "--workdir=runs/again"]
        if "offline_run" in self.summary:
            flags.append(f"--offline_run={self.summary['offline_run']}")
        return f"python -m experiments.{self.key.phase} {shlex.join(flags)}"


def read_runs(*roots: Path) -> tuple[list[Run], list[Skipped]]:
    """Reads every run below the given folders.

    Returns:
        The finished runs, and what was left out; both in the order of their folders.

    Raises:
        UserError: where a root is no folder.
    """
    runs: list[Run] = []
    skipped: list[Skipped] = []
    for root in roots:
        if not root.is_dir():
            raise UserError(f"{root} is no folder: name one that holds runs, such as runs/")
        for path in _candidates(root):
            try:
                runs.append(_read_run(path))
            except _NoSummaryError as error:
                skipped.append(Skipped(path, str(error), error.state))
            except UserError as error:
                skipped.append(Skipped(path, str(error)))
    return runs, skipped


def diverged_by(path: Path, config: Mapping[str, Any]) -> int | None:
    """The step by which the last seed of a run had diverged; None where a seed goes on.

    Args:
        path: its folder.
        config: the seeds that it began with.

    Raises:
        UserError: where its `stopped.json` is damaged.
    """
    if not (path / "stopped.json").exists():
        return None
    seeds = [str(config["seed"] + s) for s in range(config["num_seeds"])]
    stopped = _read_json(path / "stopped.json", ())
    return max(stopped[seed]["step"] for seed in seeds) if stopped.keys() >= set(seeds) else None


def read_diagnostics(path: Path) -> dict[str, np.ndarray]:
    """The arrays of one of `Run.diagnostics`: `rows` [R], `plane` [R, 2], `trusted` [S, R], `beta` [S, R], ...

    Raises:
        UserError: where it is damaged.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} cannot be read ({error}): copy the run again, or remove the file") from error


def _candidates(folder: Path) -> Iterator[Path]:
    """The runs below a folder, and what may be taken for one: any other folder with files and no run in it."""
    if (folder / "config.json").exists():
        yield folder
        if (folder / "offline" / "config.json").exists():  # the phase before, of `experiments.online --workdir`
            yield folder / "offline"
        return
    children = sorted(folder.iterdir())
    below = [path for child in children if child.is_dir() and not child.is_symlink() for path in _candidates(child)]
    has_runs = any((path / "config.json").exists() for path in below)
    if not has_runs and any(child.is_file() for child in children):
        yield folder
    else:
        yield from below


def _read_run(path: Path) -> Run:
    """Reads one folder.

    Raises:
        UserError: with the reason why it does not count.
    """
    if not (path / "config.json").exists():
        raise UserError("no config.json: somebody else's folder, or a run that has not begun")
    config = _read_json(path / "config.json", ("algorithm", "variant", "preset", "task", "num_updates"))
    if not (path / "summary.json").exists():
        raise _no_summary(path, config)
    summary = _read_json(path / "summary.json", (*Key._fields, "seeds", "num_updates"))
    run = Run(path, config, summary, _read_rows(path / "eval.csv"))
    if run.key.phase not in run.phases:
        raise UserError(f"eval.csv holds no evaluation of the {run.key.phase} phase")
    try:
        run.curve()
    except (KeyError, ValueError) as error:
        raise UserError(f"eval.csv is damaged ({error})") from error
    return run


def _no_summary(path: Path, config: dict[str, Any]) -> _NoSummaryError:
    """Why a run has no summary, and how far it has come."""
    rows, diverged = _read_rows(path / "train.csv"), diverged_by(path, config)
    step = diverged or (int(rows[-1]["step"]) if rows else 0)
    if any(row["phase"] == "online" for row in _read_rows(path / "eval.csv")):
        progress = f"environment step {step:,} of {config['online']['num_steps']:,}"
    else:
        progress = f"update {step:,} of {config['num_updates']:,}"
    if diverged is None:
        return _NoSummaryError("unfinished", f"broken off or still running, at {progress}")
    return _NoSummaryError("diverged", f"all seeds diverged, the last by {progress}")


def _read_json(path: Path, required: tuple[str, ...]) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path.name} cannot be read ({error})") from error
    missing = [name for name in required if not isinstance(content, dict) or name not in content]
    if missing or not isinstance(content, dict):
        what = ", ".join(missing) or "content"
        raise UserError(f"{path.name} has no {what}: not written by this library")
    return content


def _read_rows(path: Path) -> list[dict[str, str]]:
    """Reads a table of a run that may not have begun it, or may be writing its last row."""
    if not path.exists():
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except (OSError, ValueError) as error:
        raise UserError(f"{path.name} cannot be read ({error})") from error
    return list(csv.DictReader(line for line in lines if line.endswith("\n")))
