"""Puts the results of many runs into tables and figures.

    python -m experiments.report runs/ --out=report

writes `tables.md`, `tables.csv` and learning curves into --out. Only finished runs count; what is left out is named.
Embedded data are not D4RL: their rows stand in tables of their own.
"""

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from absl import flags

from experiments import command
from ssar_jax.data.files import write_atomically
from ssar_jax.errors import UserError
from ssar_jax.reporting import plots, tables
from ssar_jax.reporting.curves import Curve
from ssar_jax.reporting.runs import Group, group_runs, read_runs

_OUT = flags.DEFINE_string("out", "report", "Folder of the tables and figures.")


def main(roots: list[str]) -> None:
    """Reads the runs below the given folders and writes the report."""
    if not roots:
        raise UserError("no folder of runs: write python -m experiments.report runs/")
    runs, skipped = read_runs(*map(Path, roots))
    groups, repeated = group_runs(runs)
    for path, reason in (*skipped, *repeated):
        print(f"left out {path}: {reason}", file=sys.stderr)
    if not groups:
        raise UserError(f"no finished run below {', '.join(roots)}")
    out = Path(_OUT.value)
    text = markdown_tables(groups)
    _write(out / "tables.md", text)
    _write(out / "tables.csv", tables.write_csv(tables.row_of(group) for group in groups))
    print(text, end="")
    for file in _draw_curves(groups, out):
        print(f"wrote {file}")


def markdown_tables(groups: list[Group]) -> str:
    """A table for every phase and data source."""
    kinds: dict[tuple[str, str], list[tables.Row]] = defaultdict(list)
    for group in groups:
        kinds[group.key.phase, group.key.data_source].append(tables.row_of(group))
    parts = []
    for (phase, source), rows in sorted(kinds.items()):
        parts.append(f"## {phase.capitalize()}, {source} data\n\n{tables.markdown(rows, online=phase == 'online')}")
    return "\n".join(parts)


def _draw_curves(groups: list[Group], out: Path) -> list[Path]:
    """Learning curves: a figure for every phase and data source, a panel for every task."""
    files = []
    kinds = sorted({(group.key.phase, group.key.data_source) for group in groups})
    for phase, source in kinds:
        panels: dict[str, dict[str, Curve]] = defaultdict(dict)
        for group in groups:
            if (group.key.phase, group.key.data_source) == (phase, source):
                name = tables.system_name(group.key.algorithm, group.key.variant)
                label = ", ".join(filter(None, (name, group.note)))
                panels[group.key.task][label] = group.curve()
        steps = "updates" if phase == "offline" else "environment steps"
        stem = out / f"{phase}-{source}"
        files += plots.learning_curves(stem, panels, np.random.default_rng(0), xlabel=steps)
    return files


def _write(path: Path, text: str) -> None:
    write_atomically(path, lambda file: file.write(text.encode()))


if __name__ == "__main__":
    command.run(main)
