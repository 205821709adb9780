"""Tables of results with one row per group: our scores, and published ones for the same D4RL data."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ssar_jax.reporting.page.document import Cell, Table, number, text
from ssar_jax.reporting.page.run_details import details_name
from ssar_jax.reporting.read.groups import Group
from ssar_jax.reporting.statistics.blocks import PAPER_DATA
from ssar_jax.reporting.statistics.corl import PAPER, Published, find_published
from ssar_jax.reporting.statistics.names import label, system_name
from ssar_jax.reporting.statistics.published import Score

_OFFLINE_COLUMNS = (
    "task", "system", "updates", "seeds", "last", "best", "published", "preset", "data", "physics", "commit"
)  # fmt: skip
_ONLINE_COLUMNS = (
    "task", "system", "updates", "steps", "seeds", "before", "area", "last", "best", "published",
    "preset", "data", "physics", "commit",
)  # fmt: skip


class Row(NamedTuple):
    """Results of runs that differ only in their seeds; the fields are the columns of `tables.csv`.

    Attributes:
        task: short name of the task.
        system: display name of the system.
        preset: preset of the configs.
        data_source: where the dataset comes from; embedded data are not D4RL's.
        physics: physics of the evaluation.
        updates: gradient steps of each seed, in both phases.
        environment_steps: environment steps of each seed in the online phase; 0 offline.
        seeds: number of seeds.
        final: mean over seeds of the last evaluation.
        final_std: its population standard deviation over seeds; NaN for one seed.
        best: mean over seeds of the best evaluation, which is chosen after the fact.
        before: mean score before the online phase; NaN offline.
        area: mean score over the online phase; NaN offline.
        published: score in the paper or, of systems that it does not have, in CORL; None if the data are not D4RL's or
            neither has one.
        commit: commits of the source code.
        command: command that repeats the first run.
        note: settings that distinguish this row from others like it.
        departures: settings that differ from the preset.
    """

    task: str
    system: str
    preset: str
    data_source: str
    physics: str
    updates: int
    environment_steps: int
    seeds: int
    final: float
    final_std: float
    best: float
    before: float
    area: float
    published: Published | None
    commit: str
    command: str
    note: str
    departures: str


def row_of(group: Group) -> Row:
    """Computes the row of a group.

    Args:
        group: the runs.
    """
    key, summary, curve = group.key, group.runs[0].summary, group.curve()
    system, is_online = system_name(group), key.phase == "online"
    published = find_published(key.phase, key.task, system)
    return Row(
        task=key.task,
        system=system,
        preset=key.preset,
        data_source=key.data_source,
        physics=key.physics,
        updates=summary["num_updates"],
        environment_steps=summary.get("environment_steps", 0),
        seeds=len(curve.seeds),
        final=float(np.mean(curve.final)),
        final_std=float(np.std(curve.final)) if len(curve.seeds) > 1 else float("nan"),
        best=float(np.mean(curve.best)),
        before=float(np.mean(curve.values[:, 0])) if is_online else float("nan"),
        area=_mean_of(group, f"area_{group.runs[0].measure}"),
        published=published if key.data_source == PAPER_DATA else None,
        commit=", ".join(group.commits),
        command=group.runs[0].command,
        note=group.note,
        departures=group.departures,
    )


def results_table(groups: Sequence[Group], caption: str) -> Table:
    """Makes a table of the last and the best scores, with a row for every group.

    Args:
        groups: groups of one phase and one data source.
        caption: caption of the table.
    """
    columns = _ONLINE_COLUMNS if groups[0].key.phase == "online" else _OFFLINE_COLUMNS
    pairs = sorted(((row_of(group), group) for group in groups), key=lambda pair: _order(pair[0]))
    if not any(row.published for row, _ in pairs):
        columns = [name for name in columns if name != "published"]
    return Table(caption=caption, headings=columns, rows=[_cells(row, group, columns) for row, group in pairs])


def score_cell(row: Row, link: str | None = None) -> Cell:
    """Makes a cell of the last score and its spread; `diverged` if a seed has no score, since a mean would mislead.

    Args:
        row: the results of a group.
        link: name of the details that the cell links to.
    """
    if np.isnan(row.final):
        return Cell(text="diverged", link=link)
    spread = "" if np.isnan(row.final_std) else f" ± {row.final_std:.1f}"
    return Cell(text=f"{row.final:.1f}{spread}", value=row.final, link=link)


def published_cell(score: Score | None) -> Cell:
    """Makes a cell of a published score, as printed.

    Args:
        score: the score; None if there is none.
    """
    return Cell(text="–") if score is None else Cell(text=_printed(score), value=float(score.mean))


def write_csv(groups: Iterable[Group]) -> str:
    """Writes the rows of all groups as CSV, with all digits and the command of each.

    Args:
        groups: the finished runs, grouped.
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, Row._fields, lineterminator="\n")
    writer.writeheader()
    for row in sorted(map(row_of, groups), key=_order):
        writer.writerow(row._asdict() | {"published": _published(row.published)})
    return out.getvalue()


def _order(row: Row) -> tuple[Any, ...]:
    return row.task, row.system, row.preset, row.data_source, row.physics, row.updates, row.environment_steps, row.note


def _mean_of(group: Group, name: str) -> float:
    """The mean over all seeds of a field that summaries have per seed; NaN if one is missing."""
    values = [value for run in group.runs for value in run.summary.get(name, [None])]
    return float(np.mean([np.nan if value is None else value for value in values]))


def _cells(row: Row, group: Group, columns: Sequence[str]) -> list[Cell]:
    cells = {
        "task": text(row.task, details_name(group)),
        "system": text(label(group)),
        "updates": number(row.updates, "{:,.0f}".format),
        "steps": number(row.environment_steps, "{:,.0f}".format),
        "seeds": number(row.seeds, "{:.0f}".format),
        "before": number(row.before, "{:.1f}".format),
        "area": number(row.area, "{:.1f}".format),
        "last": score_cell(row),
        "best": number(row.best, "{:.1f}".format),
        "published": _published_cell(row.published),
        "preset": text(row.preset),
        "data": text(row.data_source),
        "physics": text(row.physics),
        "commit": text(", ".join(map(_abbreviate, group.commits))),
    }
    return [cells[name] for name in columns]


def _abbreviate(commit: str) -> str:
    """The first characters of a commit, with `-dirty` if it has it."""
    name, dash, dirty = commit.partition("-")
    return f"{name[:7]}{dash}{dirty}"


def _published_cell(published: Published | None) -> Cell:
    if published is None:
        return Cell(text="–")
    return Cell(text=_published(published), value=float(published.score.mean))


def _published(published: Published | None) -> str:
    """The score as printed, with its source unless that is the paper."""
    if published is None:
        return ""
    source = "" if published.source == PAPER else f" ({published.source})"
    return _printed(published.score) + source


def _printed(score: Score) -> str:
    return str(score.mean) if score.spread is None else f"{score.mean} ± {score.spread}"
