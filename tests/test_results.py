"""The results in the documentation are those of the runs that the repository keeps."""

from pathlib import Path

import pytest

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


def test_kept_runs_are_small():
    files = [path for path in (DOCS / "results" / "runs").rglob("*") if path.is_file()]
    assert max(path.stat().st_size for path in files) < 50_000
