"""Writes a report on many runs: one page, with its tables and figures as files.

    python -m experiments.report runs/ --out=report/report.html

writes the page and, in its folder, `tables.md`, `tables.csv` and `figures/`. Only finished runs count; every other
folder is named with the reason. Embedded datasets are not D4RL's: their results are in separate tables.

    python -m experiments.report runs/ --keep=docs/results/runs

also copies a few kilobytes of every run, from which the same tables can be made when the runs are gone.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from absl import flags

from experiments.cli import command
from experiments.cli.config_files import preset_config
from experiments.cli.kept_runs import keep_runs
from experiments.cli.maze_views import maze_view
from ssar_jax.data.tasks import TASKS
from ssar_jax.errors import UserError
from ssar_jax.files import require_writable, require_writable_file, resolve_path, write_atomically
from ssar_jax.reporting.figures.datasets import MazeView
from ssar_jax.reporting.page.document import markdown
from ssar_jax.reporting.page.html import write_page
from ssar_jax.reporting.page.report import report_sections
from ssar_jax.reporting.page.tables import write_csv
from ssar_jax.reporting.read.folders import read_runs
from ssar_jax.reporting.read.groups import Group, group_runs
from ssar_jax.reporting.read.runs import Run

_KEEP = flags.DEFINE_string(
    "keep", None, "Folder for copies of the runs' small files, such as docs/results/runs, to make a report from later."
)
_OUT = flags.DEFINE_string(
    "out", "report/report.html", "Path of the page; tables and figures are written into its folder."
)


def main(roots: list[str]) -> None:
    """Reads the runs below some folders and writes the report.

    Args:
        roots: folders of runs.

    Raises:
        UserError: if no folder is given, a folder cannot be read, there is no finished run, or the report cannot be
            written.
    """
    out = resolve_path(_OUT.value)
    if out.suffix != ".html":
        raise UserError(f"--out={out} does not end in .html: use --out={out / 'report.html'}")
    if not roots:
        raise UserError("no folder of runs is given: use ssar-jax report runs/")
    require_writable_file(out, "choose another --out")
    keep = None if _KEEP.value is None else resolve_path(_KEEP.value)
    if keep is not None:
        require_writable(keep, "choose another --keep")
    runs, skipped = read_runs(*map(resolve_path, roots))
    groups, repeated = group_runs(runs, _preset)
    left_out = [*skipped, *repeated]
    for each in left_out:
        print(f"left out {each.path}: {each.reason}", file=sys.stderr)
    if not groups:
        raise UserError(f"no finished run below {', '.join(roots)}")
    if keep is not None:
        kept = keep_runs([run for group in groups for run in group.runs], keep)
        print(f"kept {len(kept)} runs in {keep}")
    sections = report_sections(groups, left_out, _mazes(groups), out.parent / "figures")
    _write(out.parent / "tables.md", "\n".join(markdown(section) for section in sections if section.tables))
    _write(out.parent / "tables.csv", write_csv(groups))
    _write(out, write_page("Results", sections))
    print(f"wrote {out}, with tables.md, tables.csv and figures/ in the same folder")


def _preset(run: Run) -> dict[str, Any] | None:
    """Returns the config of a run's task, variant and preset as read from JSON, or None if there is none."""
    try:
        return json.loads(json.dumps(preset_config(run.config).to_dict()))
    except UserError:
        return None


def _mazes(groups: Iterable[Group]) -> dict[str, MazeView]:
    """Returns the maze of every AntMaze task of the groups."""
    names = {group.key.task for group in groups}
    return {task.name: maze_view(task) for task in TASKS if task.agent == "antmaze" and task.name in names}


def _write(path: Path, text: str) -> None:
    write_atomically(path, lambda file: file.write(text.encode()))


if __name__ == "__main__":
    command.run(main)
