"""Keeps what a repository can hold of finished runs: a few kilobytes each, from which a report can be made again."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

from ssar_jax.errors import UserError
from ssar_jax.files import write_atomically
from ssar_jax.reporting.read.runs import Run
from ssar_jax.run_format import default_folder

_FILES = ("config.json", "versions.json", "data.json", "summary.json", "offline_run.json", "eval.csv")
_MAX_ROWS = 40  # of train.csv, for each seed


def keep_runs(runs: Sequence[Run], root: Path) -> list[Path]:
    """Copies the small files of runs, with a part of the rows of train.csv.

    Checkpoints, diagnostics and dashboards are left out. A run that is there already is replaced.

    Args:
        runs: finished runs.
        root: folder of the copies; each has the folder that the commands would choose for it.

    Returns:
        The folders of the copies.

    Raises:
        UserError: if two runs have the same folder, or a file cannot be written.
    """
    folders = [default_folder(root, SimpleNamespace(**run.config), run.key.phase) for run in runs]
    for folder in folders:
        if folders.count(folder) > 1:
            same = ", ".join(str(run.path) for run, other in zip(runs, folders, strict=True) if other == folder)
            raise UserError(f"{same} would both be kept in {folder}: keep them in different folders")
    for run, folder in zip(runs, folders, strict=True):
        for name in _FILES:
            if (run.path / name).exists():
                content = (run.path / name).read_bytes()
                write_atomically(folder / name, lambda file, content=content: file.write(content))
        if (run.path / "train.csv").exists():
            text = _thinned((run.path / "train.csv").read_text(encoding="utf-8"))
            write_atomically(folder / "train.csv", lambda file, text=text: file.write(text.encode()))
    return folders


def _thinned(table: str) -> str:
    """Returns a CSV table with evenly spaced steps and the last one, the rows of all seeds for each."""
    rows = list(csv.DictReader(io.StringIO(table)))
    steps = list(dict.fromkeys(row["step"] for row in rows))
    every = -(-len(steps) // _MAX_ROWS)
    kept = {*steps[every - 1 :: every], *steps[-1:]}
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(row for row in rows if row["step"] in kept)
    return text.getvalue()
