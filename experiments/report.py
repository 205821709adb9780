"""Puts the results of many runs into one page, with tables and figures beside it.

    python -m experiments.report runs/ --out=report/report.html

writes the page, and into its folder `tables.md`, `tables.csv` and `figures/`. Only finished runs count; what is left
out is named. Embedded data are not D4RL: their numbers stand in tables of their own.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from absl import flags

from experiments.cli import command
from experiments.cli.config_files import preset_config
from experiments.cli.maze_views import maze_view
from ssar_jax.data.files import require_writable, write_atomically
from ssar_jax.data.tasks import TASKS
from ssar_jax.errors import UserError
from ssar_jax.reporting.figures.datasets import MazeView
from ssar_jax.reporting.page import document, html, report, tables
from ssar_jax.reporting.read.groups import Group, group_runs
from ssar_jax.reporting.read.runs import Run, read_runs

_OUT = flags.DEFINE_string("out", "report/report.html", "The page; tables and figures go into its folder.")


def main(roots: list[str]) -> None:
    """Reads the runs below the given folders and writes the report."""
    out = Path(_OUT.value)
    if out.suffix != ".html":
        raise UserError(f"--out={out} names no page: write --out={out / 'report.html'}")
    if not roots:
        raise UserError("no folder of runs: write python -m experiments.report runs/")
    require_writable(out.parent, "choose another --out")
    runs, skipped = read_runs(*map(Path, roots))
    groups, repeated = group_runs(runs, _preset)
    left_out = [*skipped, *repeated]
    for each in left_out:
        print(f"left out {each.path}: {each.reason}", file=sys.stderr)
    if not groups:
        raise UserError(f"no finished run below {', '.join(roots)}")
    sections = report.sections(groups, left_out, _mazes(groups), out.parent / "figures")
    texts = [document.markdown(section) for section in sections if section.tables]
    _write(out.parent / "tables.md", "\n".join(texts))
    _write(out.parent / "tables.csv", tables.write_csv(groups))
    _write(out, html.write_page("Results", sections))
    print(f"wrote {out}, and beside it tables.md, tables.csv and figures/")


def _preset(run: Run) -> dict[str, Any] | None:
    """The config of a run's task, variant and preset as JSON would hold it; None where none is shipped or fits."""
    try:
        return json.loads(json.dumps(preset_config(run.config).to_dict()))
    except UserError:
        return None


def _mazes(groups: Iterable[Group]) -> dict[str, MazeView]:
    """The walls of the mazes that the groups' tasks are set in."""
    names = {group.key.task for group in groups}
    return {task.name: maze_view(task) for task in TASKS if task.agent == "antmaze" and task.name in names}


def _write(path: Path, text: str) -> None:
    write_atomically(path, lambda file: file.write(text.encode()))


if __name__ == "__main__":
    command.run(main)
