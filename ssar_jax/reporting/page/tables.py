"""Lines of results, one per group: our numbers, beside the published ones where the data are D4RL's."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ssar_jax.reporting.page.document import Cell, Table, number, text
from ssar_jax.reporting.page.origin import details_name
from ssar_jax.reporting.read.groups import Group
from ssar_jax.reporting.read.names import label, system_name
from ssar_jax.reporting.statistics.published import OFFLINE, ONLINE, Score

_OFFLINE_COLUMNS = (
    "task", "system", "updates", "seeds", "last", "best", "paper", "preset", "data", "physics", "commit"
)  # fmt: skip
_ONLINE_COLUMNS = (
    "task", "system", "updates", "steps", "seeds", "before", "area", "last", "best", "paper",
    "preset", "data", "physics", "commit",
)  # fmt: skip


class Row(NamedTuple):
    """One line of a table: runs that differ in their seeds alone.

    Attributes:
        task: short name.
        system: as the paper names it, or our name of what it does not have.
        preset: of the configs.
        data_source: where the data come from; embedded data are not D4RL.
        physics: of the evaluation.
        updates: gradient steps of each seed, both phases together.
        environment_steps: of the online phase; 0 offline.
        seeds: number of seeds.
        final: mean over seeds of the last evaluation.
        final_std: population standard deviation of it; NaN for one seed.
        best: mean over seeds of the best evaluation, which looks back at all of them.
        before: mean score before the online phase; NaN offline.
        area: mean score over the online phase; NaN offline.
        published: of the paper; None where the data are not D4RL's, or the paper has nothing.
        commit: of the source; where the runs differ, all of them.
        command: repeats the first run.
        note: settings that tell this row from others like it.
        departures: settings that are not those of the preset.
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
    published: Score | None
    commit: str
    command: str
    note: str
    departures: str


def row_of(group: Group) -> Row:
    """The line of a group of runs."""
    key, summary, curve = group.key, group.runs[0].summary, group.curve()
    system = system_name(key.algorithm, key.variant)
    table = ONLINE if key.phase == "online" else OFFLINE
    published = table.rows.get(key.task, {}).get(system) if key.data_source == "d4rl" else None
    return Row(
        key.task,
        system,
        key.preset,
        key.data_source,
        key.physics,
        summary["num_updates"],
        summary.get("environment_steps", 0),
        len(curve.seeds),
        float(np.mean(curve.final)),
        float(np.std(curve.final)) if len(curve.seeds) > 1 else float("nan"),
        float(np.mean(curve.best)),
        float(np.mean(curve.values[:, 0])) if key.phase == "online" else float("nan"),
        _mean_of(group, f"area_{group.runs[0].measure}"),
        published,
        ", ".join(group.commits),
        group.runs[0].command,
        group.note,
        group.departures,
    )


def _mean_of(group: Group, name: str) -> float:
    """The mean over all seeds of a number that summaries hold per seed; NaN where one is missing."""
    values = [value for run in group.runs for value in run.summary.get(name, [None])]
    return float(np.mean([np.nan if value is None else value for value in values]))


def results_table(groups: Sequence[Group], caption: str) -> Table:
    """The last and the best scores of groups of one phase and one data source, a line each."""
    columns = _ONLINE_COLUMNS if groups[0].key.phase == "online" else _OFFLINE_COLUMNS
    pairs = sorted(((row_of(group), group) for group in groups), key=lambda pair: pair[0])
    if not any(row.published for row, _ in pairs):
        columns = [name for name in columns if name != "paper"]
    return Table(caption, columns, [_line(row, group, columns) for row, group in pairs])


def _line(row: Row, group: Group, columns: Sequence[str]) -> list[Cell]:
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
        "paper": published_cell(row.published),
        "preset": text(row.preset),
        "data": text(row.data_source),
        "physics": text(row.physics),
        "commit": text(", ".join(map(_short, group.commits))),
    }
    return [cells[name] for name in columns]


def _short(commit: str) -> str:
    """The first letters of a commit, and whether files differed from it."""
    name, dash, dirty = commit.partition("-")
    return f"{name[:7]}{dash}{dirty}"


def score_cell(row: Row, link: str | None = None) -> Cell:
    """The last score with its spread; where a seed diverged there is no mean that would not flatter."""
    if np.isnan(row.final):
        return Cell("diverged", None, link)
    return Cell(f"{row.final:.1f}" + ("" if np.isnan(row.final_std) else f" ± {row.final_std:.1f}"), row.final, link)


def published_cell(score: Score | None) -> Cell:
    """A score of the paper, as printed."""
    return Cell("–") if score is None else Cell(_published(score), float(score.mean))


def write_csv(groups: Iterable[Group]) -> str:
    """The lines of all groups as CSV, with every digit and the command behind each."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(Row._fields)
    for row in sorted(map(row_of, groups)):
        writer.writerow(row._replace(published=_published(row.published)))  # pyright: ignore[reportArgumentType]
    return out.getvalue()


def _published(score: Score | None) -> str:
    if score is None:
        return ""
    return str(score.mean) if score.spread is None else f"{score.mean} ± {score.spread}"
