"""A finished run as a record: its config, its summary, its curves and where its diagnostics are."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ssar_jax.errors import UserError
from ssar_jax.reporting.read.curves import Curve, read_curve
from ssar_jax.reporting.read.files import read_table


class Key(NamedTuple):
    """What identifies a number in a table: runs with different keys are never averaged.

    Attributes:
        phase: `offline` or `online`.
        algorithm: name of the algorithm, as in its config.
        variant: variant of the algorithm, such as `base`.
        preset: preset of the config.
        task: short name of the task.
        data_source: where the dataset comes from, such as `d4rl` or `embedded`.
        physics: physics of the evaluation.
    """

    phase: str
    algorithm: str
    variant: str
    preset: str
    task: str
    data_source: str
    physics: str


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        path: its folder.
        config: content of `config.json`.
        summary: content of `summary.json`.
        evaluations: rows of `eval.csv`, cells as text.
    """

    path: Path
    config: dict[str, Any]
    summary: dict[str, Any]
    evaluations: list[dict[str, str]]

    @property
    def key(self) -> Key:
        """What identifies its numbers in a table."""
        return Key(**{name: self.summary[name] for name in Key._fields})

    @property
    def system(self) -> str | None:
        """The display name of its system; None if an older version wrote the run."""
        return self.summary.get("system")

    @property
    def measure(self) -> str:
        """`score`, or `return` for a task without normalized scores."""
        return "score" if any(row.get("score") for row in self.evaluations) else "return"

    @property
    def phases(self) -> tuple[str, ...]:
        """The evaluated phases in their order; an online run may include its offline phase."""
        return tuple(dict.fromkeys(row["phase"] for row in self.evaluations))

    def curve(self, phase: str | None = None) -> Curve:
        """Returns the score of every seed at every evaluation of a phase.

        Steps are updates offline and environment steps since the start of the phase online.

        Args:
            phase: `offline` or `online`; by default the phase of the run.

        Raises:
            UserError: if the phase was not evaluated, or a cell of the table is not a number.
        """
        phase = phase or self.key.phase
        if phase not in self.phases:
            raise UserError(f"{self.path} has no evaluation of the {phase} phase, only of {', '.join(self.phases)}")
        step = "environment_steps" if phase == "online" else "step"
        return read_curve([row for row in self.evaluations if row["phase"] == phase], self.measure, step=step)

    def metric(self, name: str) -> Curve:
        """Returns a column of `train.csv`, such as `coefficient/n`, for every seed.

        Args:
            name: name of the column.

        Raises:
            UserError: if the run has no such metric, or the table is damaged.
        """
        try:
            rows = read_table(self.path / "train.csv", ("step", "seed"))
        except UserError as error:
            raise UserError(f"{self.path}: {error}") from error
        if any(row.get(name) for row in rows):
            try:
                return read_curve(rows, name)
            except UserError as error:
                raise UserError(f"{self.path}: train.csv is damaged ({error})") from error
        known = sorted(column for column in rows[0] if column not in ("step", "seed")) if rows else []
        raise UserError(f"{self.path} has no metric {name}; it has {', '.join(known) or 'none'}")

    @property
    def diagnostics(self) -> dict[int, Path]:
        """Update -> its file in `diagnostics/`, in increasing order of updates."""
        files = {int(file.stem): file for file in (self.path / "diagnostics").glob("*.npz") if file.stem.isdecimal()}
        return dict(sorted(files.items()))

    @property
    def adapts(self) -> bool:
        """Whether it trained a state-adaptive coefficient beta(s) instead of using a constant."""
        return (self.config.get("coefficient") or {}).get("kind") == "state_adaptive"

    @property
    def updates_per_second(self) -> float | None:
        """Updates per second of each seed, without evaluation; None if nothing was trained after the last resume."""
        return self.summary.get("updates_per_second")

    @property
    def wall_seconds(self) -> float | None:
        """Seconds since the start or the last resume."""
        return self.summary.get("wall_seconds")

    @property
    def commit(self) -> str | None:
        """Commit of the source code, with `-dirty` appended if files differed from it."""
        return self.summary.get("versions", {}).get("commit")

    @property
    def device(self) -> str | None:
        """Number and kind of the devices, such as `1 x cpu`."""
        return self.summary.get("versions", {}).get("device")

    @property
    def command(self) -> str:
        """The command that repeats the run."""
        flags = [f"--config={self.path / 'config.json'}", "--workdir=runs/again"]
        if self.summary.get("offline_run"):
            flags.append(f"--offline_run={self.summary['offline_run']}")
        return f"ssar-jax {self.key.phase} {shlex.join(flags)}"
