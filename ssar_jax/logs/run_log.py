"""The log of a run: tables in its folder, and dashboards if requested."""

import importlib.util
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ssar_jax.errors import UserError
from ssar_jax.logs import wandb
from ssar_jax.logs.tables import CsvTable, JsonLines, json_values
from ssar_jax.logs.tensorboard import TensorBoardLog
from ssar_jax.logs.wandb import WandbLog


class Dashboard(Protocol):
    """A program that shows curves of every seed, each under its tag."""

    def add(self, step: int, seed: int, scalars: Mapping[str, float]) -> None:
        """Adds one point to each curve of a seed.

        Args:
            step: step of the point.
            seed: seed of the curves.
            scalars: tag of a curve -> value.
        """
        ...

    def close(self) -> None:
        """Writes all pending points and closes the dashboard."""
        ...


class _Kind(NamedTuple):
    package: str  # of the extra `log`
    open: type[TensorBoardLog] | type[WandbLog]  # called with the run folder and the seeds


_KINDS = {
    "tensorboard": _Kind(package="tensorboardX", open=TensorBoardLog),
    "wandb": _Kind(package="wandb", open=WandbLog),
}
_TAG_GROUPS = {"eval": "evaluation"}


def require_dashboards(names: Sequence[str]) -> None:
    """Requires that the requested dashboards can be opened.

    Args:
        names: `tensorboard`, `wandb` or both.

    Raises:
        UserError: if a name is unknown, a package is not installed, or a login is missing.
    """
    for name in names:
        if name not in _KINDS:
            raise UserError(f"--log: unknown {name!r}; known are {', '.join(_KINDS)}")
        package = _KINDS[name].package
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:  # without an origin it is just a folder with that name, such as wandb/
            raise UserError(f"--log={name} needs the package {package}: pip install -e '.[log]'")
    if "wandb" in names:
        wandb.require_login()


class RunLog:
    """Writes the rows of a run to `train.csv` and `eval.csv`, to `metrics.jsonl`, and to dashboards.

    A dashboard gets all rows that are kept when it is opened, so a resumed run has complete curves there even if it
    started without that dashboard. It gets only finite numbers, under tags such as `critic/loss` and
    `evaluation/score`.

    Args:
        folder: the run folder.
        seeds: the seeds of the run.
        keep: rows after this step are removed, because a resumed run writes them again; -1 removes all rows.
        evaluated: the seeds of an evaluation at step `keep`: if the rows of some are missing, because the run was
            killed while it wrote them, the others are removed too.
        repeat_evaluation: whether the rows of this evaluation are removed in any case, because they were written after
            later rows, and the resumed run writes them there again.
        dashboards: names that `require_dashboards` has accepted.
    """

    def __init__(
        self,
        folder: Path,
        seeds: Sequence[int],
        *,
        keep: int,
        evaluated: Collection[int] = (),
        repeat_evaluation: bool = False,
        dashboards: Sequence[str] = (),
    ) -> None:
        self._tables = {name: CsvTable(folder / f"{name}.csv") for name in ("train", "eval")}
        self._lines = JsonLines(folder / "metrics.jsonl")
        for file in (*self._tables.values(), self._lines):
            file.drop_after(keep)
        self._drop_evaluation(keep, None if repeat_evaluation else evaluated)
        self._dashboards: list[Dashboard] = [_KINDS[name].open(folder, seeds) for name in dict.fromkeys(dashboards)]
        if self._dashboards:
            for row in self._lines.rows():
                self._show(row)

    def rows(self, table: str) -> list[dict[str, str]]:
        """Returns all rows of a table so far, with cells as text.

        Args:
            table: `train` or `eval`.
        """
        return self._tables[table].rows

    def has_evaluation(self, phase: str, step: int) -> bool:
        """Whether there are rows of an evaluation.

        Args:
            phase: `offline` or `online`.
            step: the step of the evaluation.
        """
        return any(row["phase"] == phase and int(row["step"]) == step for row in self.rows("eval"))

    def _drop_evaluation(self, step: int, seeds: Collection[int] | None) -> None:
        """Removes the rows of an evaluation if those of some seeds are missing, or in any case if `seeds` is None."""
        tables = self._tables["eval"].rows, [row for row in self._lines.rows() if row["table"] == "eval"]
        for phase in ("offline", "online"):
            written = [
                {int(row["seed"]) for row in rows if row["phase"] == phase and int(row["step"]) == step}
                for rows in tables
            ]
            if any(written) and (seeds is None or any(set(seeds) - found for found in written)):
                for file in (self._tables["eval"], self._lines):
                    file.drop_where(lambda row, phase=phase: row.get("phase") == phase and int(row["step"]) == step)

    def add(self, table: str, row: Mapping[str, Any]) -> None:
        """Writes a row to all logs immediately.

        Args:
            table: `train` or `eval`.
            row: `step`, `seed` and other values by name; names may differ from those of earlier rows.
        """
        self._tables[table].add(row)
        line = json_values({"table": table, **row})
        self._lines.add(line)
        self._show(line)

    def close(self) -> None:
        """Closes the dashboards."""
        for dashboard in self._dashboards:
            dashboard.close()

    def _show(self, line: Mapping[str, Any]) -> None:
        scalars = _scalars(line)
        for dashboard in self._dashboards:
            dashboard.add(line["step"], line["seed"], scalars)


def _scalars(line: Mapping[str, Any]) -> dict[str, float]:
    """Returns the numbers of a row under their tags; a name without a group gets the group of its table."""
    group = _TAG_GROUPS.get(line["table"], line["table"])
    return {
        name if "/" in name else f"{group}/{name}": value
        for name, value in line.items()
        if name not in ("table", "step", "seed") and isinstance(value, int | float)
    }
