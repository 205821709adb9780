"""Dividing cores among processes."""

import os
import subprocess
import sys

import pytest

from experiments.sweeping import cores
from tests.data.helpers import user_error


@pytest.fixture
def seven(monkeypatch):
    monkeypatch.setattr(cores.os, "sched_getaffinity", lambda process: {0, 1, 2, 3, 4, 5, 8})


@pytest.mark.parametrize(
    ("jobs", "shares"),
    [(1, [[0, 1, 2, 3, 4, 5, 8]]), (2, [[0, 1, 2], [3, 4, 5, 8]]), (3, [[0, 1], [2, 3], [4, 5, 8]])],
)
def test_every_core_belongs_to_one_job(seven, jobs, shares):
    assert cores.divide(jobs) == shares


@pytest.mark.parametrize("jobs", [0, 8])
def test_no_job_and_more_jobs_than_cores_are_refused(seven, jobs):
    with user_error(f"--jobs={jobs} must be at least 1 and at most 7, the number of cores"):
        cores.divide(jobs)


def test_a_process_started_within_has_these_cores_alone():
    before = os.sched_getaffinity(0)
    with cores.bind([min(before)]):
        command = [sys.executable, "-c", "import os; print(os.sched_getaffinity(0))"]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == str({min(before)})
    assert os.sched_getaffinity(0) == before
