"""The results in the documentation are those of the runs that the repository keeps."""

from pathlib import Path

import numpy as np
import pytest

from ssar_jax.behaviour import ranking
from ssar_jax.reporting.read.folders import read_runs
from ssar_jax.reporting.read.groups import group_runs
from ssar_jax.reporting.statistics.names import label

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def groups():
    runs, skipped = read_runs(DOCS / "results" / "runs")
    found, repeated = group_runs(runs)
    assert (skipped, repeated) == ([], [])
    assert len(found) >= 3
    return found


def test_every_kept_run_is_in_the_table(groups):
    text = (DOCS / "results.md").read_text()
    for group in groups:
        scores = " / ".join(f"{score:.1f}" for score in group.curve().values[:, -1])
        assert f"| {group.key.task} | {label(group)} | {scores} |" in text


def test_the_readme_has_the_scores_of_the_first_command(groups):
    text = (DOCS.parent / "README.md").read_text()
    for group in groups:
        if (group.key.task, group.key.preset) == ("halfcheetah-m", "short"):
            assert " / ".join(f"{score:.1f}" for score in group.curve().values[:, -1]) in text


def test_the_examination_of_the_suite_is_that_of_its_kept_runs():
    """The score of a cell is the mean of the last three evaluations."""
    runs, skipped = read_runs(DOCS / "results" / "examination")
    assert skipped == []
    scores = {}
    for run in runs:
        system = f"{run.key.algorithm}:{run.key.variant}"
        system = system if system in ranking.SYSTEMS else run.key.algorithm
        scores[run.key.task, system] = np.mean(run.curve().values[:, -3:])
    text = (DOCS / "embedded_suite.md").read_text()
    assert ranking.markdown(ranking.compare(scores), runs[0].config["num_updates"]) in text


def test_kept_runs_are_small():
    files = [path for path in (DOCS / "results").rglob("*") if path.is_file()]
    assert max(path.stat().st_size for path in files) < 50_000
