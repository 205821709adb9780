"""Tables of results: our numbers, beside the published ones where the data are D4RL's."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ssar_jax.reporting.published import OFFLINE, ONLINE, Score
from ssar_jax.reporting.runs import Group

_PUBLISHED_NAMES = {
    ("td3_bc", "base"): "TD3+BC",
    ("td3_bc", "sa"): "TD3+BC(SA)",
    ("cql", "base"): "CQL",
    ("cql", "sa"): "CQL(SA)",
    ("iql", "corl"): "IQL",
    ("spot", "base"): "SPOT",
    ("fam_cql", "base"): "FamCQL",
}
_OWN_NAMES = {
    ("td3_bc", "base_ln"): "TD3+BC with LayerNorm",
    ("cql", "base_ln"): "CQL with LayerNorm",
    ("iql", "official"): "IQL (authors' form)",
    ("iql", "sa"): "IQL(SA)",
    ("spot", "sa"): "SPOT(SA)",
}


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
        commit: of the source.
        command: repeats the first run.
        note: settings that tell this row from others like it.
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
        _mean_of(group, "area_score"),
        published,
        group.runs[0].commit or "",
        group.runs[0].command,
        group.note,
    )


def system_name(algorithm: str, variant: str) -> str:
    """The system of a variant, as the paper names it where it has it."""
    key = algorithm, variant
    return _PUBLISHED_NAMES.get(key) or _OWN_NAMES.get(key) or f"{algorithm} {variant}"


def _mean_of(group: Group, name: str) -> float:
    """The mean over all seeds of a number that summaries hold per seed; NaN where one is missing."""
    values = [value for run in group.runs for value in run.summary.get(name, [None])]
    return float(np.mean([np.nan if value is None else value for value in values]))


def markdown(rows: Sequence[Row], *, online: bool) -> str:
    """A table in Markdown.

    Args:
        rows: of one phase and one data source.
        online: whether they are of the online phase.
    """
    phase = ("before", "area") if online else ()
    headings = ["task", "system", "updates", *(("steps",) if online else ()), "seeds", *phase, "final", "best", "paper"]
    headings += ["preset", "data", "physics", "commit"]
    lines = [f"| {' | '.join(headings)} |", "|" + "---|" * len(headings)]
    for row in sorted(rows):
        cells = [row.task, row.system + (f" ({row.note})" if row.note else ""), f"{row.updates:,}"]
        cells += [f"{row.environment_steps:,}"] if online else []
        cells += [str(row.seeds), *([f"{row.before:.1f}", f"{row.area:.1f}"] if online else [])]
        cells += [_with_spread(row.final, row.final_std), f"{row.best:.1f}", _published(row.published)]
        cells += [row.preset, row.data_source, row.physics, row.commit[:7]]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def write_csv(rows: Iterable[Row]) -> str:
    """All rows as CSV, with every digit and the command behind each."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Row._fields)
    for row in sorted(rows):
        writer.writerow(row._replace(published=_published(row.published)))  # pyright: ignore[reportArgumentType]
    return text.getvalue()


def _with_spread(value: float, spread: float) -> str:
    return f"{value:.1f}" if np.isnan(spread) else f"{value:.1f} ± {spread:.1f}"


def _published(score: Score | None) -> str:
    if score is None:
        return ""
    return str(score.mean) if score.spread is None else f"{score.mean} ± {score.spread}"
