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


@pytest.mark.parametrize(("arguments", "out"), [((), "a.html"), (("/nowhere",), "a.html"), (("/nowhere",), "a-folder")])
def test_nothing_to_report_is_one_line(arguments, out, tmp_path):
    result = report(*arguments, f"--out={tmp_path / out}")
    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
