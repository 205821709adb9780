"""The report of a folder of runs as a command."""

import subprocess
import sys

import pytest

from tests.reporting.test_runs import write_run
from tests.smoke.small_run import ROOT


def report(*arguments):
    command = [sys.executable, "-m", "experiments.report", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_tables_and_figures_of_finished_runs(tmp_path):
    write_run(tmp_path / "runs" / "a", summary={"num_updates": 20_000})
    (tmp_path / "runs" / "b").mkdir()
    (tmp_path / "runs" / "b" / "notes.txt").write_text("somebody else's")
    result = report(tmp_path / "runs", f"--out={tmp_path / 'out'}")
    assert result.returncode == 0, result.stderr
    assert f"left out {tmp_path / 'runs' / 'b'}: no config.json" in result.stderr
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert names == {"tables.md", "tables.csv", "offline-embedded.svg", "offline-embedded.png"}
    text = (tmp_path / "out" / "tables.md").read_text()
    assert text.startswith("## Offline, embedded data\n")
    assert text in result.stdout


@pytest.mark.parametrize("arguments", [(), ("/nowhere",)])
def test_nothing_to_report_is_one_line(arguments, tmp_path):
    result = report(*arguments, f"--out={tmp_path}")
    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
