"""What a run reports as it goes: tables in its folder always, dashboards where they are asked for."""

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ssar_jax.errors import UserError
from ssar_jax.logs import wandb
from ssar_jax.logs.tables import CsvTable, JsonLines, json_values
from ssar_jax.logs.tensorboard import TensorBoardLog
from ssar_jax.logs.wandb import WandbLog


class Dashboard(Protocol):
    """A program that draws curves, each under its tag, of every seed."""

    def add(self, step: int, seed: int, scalars: Mapping[str, float]) -> None:
        """Takes one point of each curve of a seed."""
        ...

    def close(self) -> None:
        """Writes what is left."""
        ...


class _Kind(NamedTuple):
    package: str  # of the extra `log`
    open: type[TensorBoardLog] | type[WandbLog]  # takes the run folder and the seeds


_KINDS = {"tensorboard": _Kind("tensorboardX", TensorBoardLog), "wandb": _Kind("wandb", WandbLog)}
_TAG_GROUPS = {"eval": "evaluation"}


def require_dashboards(names: Sequence[str]) -> None:
    """Requires known dashboards that can be opened.

    Raises:
        UserError: for an unknown name, a package that is not installed, or a missing login.
    """
    for name in names:
        if name not in _KINDS:
            raise UserError(f"--log: unknown {name!r}; known are {', '.join(_KINDS)}")
        package = _KINDS[name].package
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:  # without an origin it is a mere folder of that name, such as wandb/
            raise UserError(f"--log={name} needs the package {package}: pip install -e '.[log]'")
    if "wandb" in names:
        wandb.require_login()


class RunLog:
    """Every row of a run: `train.csv`, `eval.csv`, the rows of both in `metrics.jsonl`, and dashboards.

    A dashboard that is opened shows all rows that are kept, so a resumed run has whole curves there even where it
    began without that dashboard. It gets the finite numbers alone, under tags such as `critic/loss` and
    `evaluation/score`.

    Args:
        folder: the run folder.
        seeds: the seeds of the run.
        keep: rows after this step are forgotten, for the run will write them again; -1 forgets all.
        dashboards: names that `require_dashboards` has let pass.
    """

    def __init__(self, folder: Path, seeds: Sequence[int], *, keep: int, dashboards: Sequence[str] = ()) -> None:
        self._tables = {name: CsvTable(folder / f"{name}.csv") for name in ("train", "eval")}
        self._lines = JsonLines(folder / "metrics.jsonl")
        for file in (*self._tables.values(), self._lines):
            file.drop_after(keep)
        self._dashboards: list[Dashboard] = [_KINDS[name].open(folder, seeds) for name in dict.fromkeys(dashboards)]
        if self._dashboards:
            for row in self._lines.rows():
                self._show(row)

    def rows(self, table: str) -> list[dict[str, str]]:
        """All rows of a table so far, cells as text."""
        return self._tables[table].rows

    def add(self, table: str, row: Mapping[str, Any]) -> None:
        """Reports a row at once.

        Args:
            table: `train` or `eval`.
            row: its `step`, its `seed`, and values by name; names need not be those of earlier rows.
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
    """The numbers of a row under their tags; a name without a group gets that of its table."""
    group = _TAG_GROUPS.get(line["table"], line["table"])
    return {
        name if "/" in name else f"{group}/{name}": value
        for name, value in line.items()
        if name not in ("table", "step", "seed") and isinstance(value, int | float)
    }
