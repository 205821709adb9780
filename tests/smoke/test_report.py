"""The report of a folder of runs from the command line."""

import re
import subprocess
import sys

import pytest

from tests.reporting.report_runs import ADAPTIVE, add_adaptation, write_run
from tests.smoke.small_run import ROOT


def report(*arguments):
    command = [sys.executable, "-m", "experiments.report", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_a_page_with_tables_and_figures(tmp_path):
    write_run(tmp_path / "runs" / "a", config={"batch_size": 7})
    maze = {"task": "antmaze-u"}
    add_adaptation(write_run(tmp_path / "runs" / "maze", config=maze | ADAPTIVE, summary=maze))
    (tmp_path / "runs" / "b").mkdir()
    (tmp_path / "runs" / "b" / "notes.txt").write_text("somebody else's")
    result = report(tmp_path / "runs", f"--out={tmp_path / 'out' / 'report.html'}")
    assert result.returncode == 0, result.stderr
    assert f"left out {tmp_path / 'runs' / 'b'}: no config.json" in result.stderr
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"report.html", "tables.md", "tables.csv", "figures"}
    page = (tmp_path / "out" / "report.html").read_text()
    figures = list((tmp_path / "out" / "figures").glob("*.svg"))
    assert page.count("<figure>") == len(figures) == 4  # curves, a profile of either domain, what SSAR did
    assert "hopper-m" in (tmp_path / "out" / "tables.md").read_text()
    assert page.count("x, m") == 2  # both maps of the maze
    assert re.search(r"Changed from preset short: batch_size=7.* \(TD3\+BC\(SA\) on hopper-m\)\.", page)


@pytest.mark.slow
def test_kept_runs_make_the_same_tables(tmp_path):
    """A few rows of the training table are enough."""
    run = write_run(tmp_path / "runs" / "a", config={"variant": "base"})
    table = (run / "train.csv").read_text().splitlines()
    cells = table[1].split(",")
    steps = range(1000, 101_000, 1000)
    (run / "train.csv").write_text("\n".join([table[0], *(",".join([str(step), *cells[1:]]) for step in steps)]) + "\n")
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "large").write_bytes(b"x" * 1000)
    first, second = tmp_path / "first" / "report.html", tmp_path / "second" / "report.html"
    result = report(tmp_path / "runs", f"--out={first}", f"--keep={tmp_path / 'kept'}")
    assert result.returncode == 0, result.stderr
    (kept,) = (tmp_path / "kept").rglob("config.json")
    assert {file.name for file in kept.parent.iterdir()} == {"config.json", "summary.json", "eval.csv", "train.csv"}
    rows = (kept.parent / "train.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[-3:]] == ["96000", "99000", "100000"]
    assert report(tmp_path / "kept", f"--out={second}").returncode == 0
    tables = [(page.parent / "tables.csv").read_text() for page in (first, second)]
    assert tables[0].replace(str(run), str(kept.parent)) == tables[1]  # the command repeats the run from its config
    again = write_run(tmp_path / "more" / "b", config={"variant": "base", "batch_size": 7})
    (again / "train.csv").unlink()
    assert report(again, f"--out={first}", f"--keep={tmp_path / 'second'}").returncode == 0
    result = report(run, again, f"--out={first}", f"--keep={tmp_path / 'kept'}")
    assert result.returncode == 2
    assert "would both be kept in" in result.stderr


@pytest.mark.parametrize(("arguments", "out"), [((), "a.html"), (("/nowhere",), "a.html"), (("/nowhere",), "a-folder")])
def test_nothing_to_report_is_one_line(arguments, out, tmp_path):
    result = report(*arguments, f"--out={tmp_path / out}")
    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
