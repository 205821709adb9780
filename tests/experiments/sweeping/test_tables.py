"""The tables that a sweep prints before and after its runs."""

import pytest

from experiments.sweeping.estimates import Estimate, Rate
from experiments.sweeping.outcomes import Outcome
from experiments.sweeping.tables import outcome_text, plan_text
from tests.experiments.sweeping.sweeps import Machine, begin, diverge, finish, plan

MEASURED = Rate(value=1e11, devices=2, is_bound=False)
BOUND = Rate(value=3.8e10, devices=1, is_bound=True)
GIB = 2**30


def lines(text):
    """The lines of a table with one space between cells."""
    return [" ".join(line.split()) for line in text.splitlines()]


def test_the_plan(tmp_path):
    """Two at a time take half of 3 h + 30 min + 30 s, but at least the longest; the two largest are 3 + 2 GiB.

    In all they take 3.508 h with 4 cores each, which is 14.0 core hours.
    """
    runs = plan(tmp_path, "td3_bc,td3_bc:base,cql,iql,spot")
    finish(runs[3])
    begin(runs[4])
    diverge(runs[4].folder)
    estimates = {
        runs[0].folder: Estimate(seconds=3 * 3600.0, rate=MEASURED, num_bytes=3 * GIB),
        runs[1].folder: Estimate(seconds=1800.0, rate=BOUND, num_bytes=GIB),
        runs[2].folder: Estimate(seconds=30.0, rate=MEASURED, num_bytes=2 * GIB),
    }
    head, columns, *rows, measured, bound, total = lines(
        plan_text(runs, estimates, Machine(jobs=2, cores=4, memory_bytes=16 * GIB))
    )
    assert head == "5 runs, 2 at a time with 4 cores each"
    assert columns == "system task phase now steps left time memory folder"
    assert rows == [
        f"td3_bc hopper-m offline new 20,000 3 h 0 min 3.0 GiB {runs[0].folder}",
        f"td3_bc:base hopper-m offline new 20,000 ≥ 30 min 0 s 1.0 GiB {runs[1].folder}",
        f"cql hopper-m offline new 4,000 30 s 2.0 GiB {runs[2].folder}",
        f"iql hopper-m offline finished {runs[3].folder}",
        f"spot hopper-m offline diverged {runs[4].folder}",
    ]
    assert measured.startswith("time: from finished runs of the same system")
    assert bound.startswith("≥: useful operations at the 38 GFLOP/s of matrix products on a device")
    assert total.startswith("total: at least 3 h 0 min of training (14.0 core hours), ")
    assert total.endswith("5.0 of 16.0 GiB memory")


def test_one_run_without_an_estimate(tmp_path):
    (run,) = plan(tmp_path)
    head, _, row = lines(plan_text([run], {run.folder: None}, Machine()))
    assert head == "1 run, one at a time with 1 core"
    assert row == f"td3_bc hopper-m offline new 20,000 ? ? {run.folder}"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(59.6, "60 s"), (61.0, "1 min 1 s"), (3599.0, "59 min 59 s"), (7260.0, "2 h 1 min"), (90000.0, "1 d 1 h")],
)
def test_estimated_times_have_two_units(tmp_path, seconds, text):
    (run,) = plan(tmp_path)
    table = plan_text([run], {run.folder: Estimate(seconds=seconds, rate=MEASURED, num_bytes=GIB)}, Machine())
    assert f"  20,000      {text}" in table


def test_the_outcomes(tmp_path):
    runs = plan(tmp_path, "td3_bc,iql,cql")
    finish(runs[0])
    outcomes = [Outcome("finished", 3661.4), Outcome("failed", 5.0, "no data"), Outcome("in use elsewhere", 1.0)]
    text = outcome_text(runs, dict(zip([run.folder for run in runs], outcomes, strict=True)))
    columns, *rows, reason = lines(text)
    assert columns == "system task phase status score time folder"
    assert rows == [
        f"td3_bc hopper-m offline finished 51.3 ± 1.0 1:01:01 {runs[0].folder}",
        f"iql hopper-m offline failed 0:00:05 {runs[1].folder}",
        f"cql hopper-m offline in use elsewhere 0:00:01 {runs[2].folder}",
    ]
    assert reason == f"iql hopper-m offline failed: no data (full output in {runs[1].log})"


@pytest.mark.parametrize(
    ("machine", "head", "where", "total"),
    [
        (Machine(place="a Ray cluster"), "on a Ray cluster", "of a worker;", "(1.0 core hours)"),
        (Machine(place="a SLURM cluster", measures=False), "on a SLURM", "of this machine, which is not", "(1.0 core"),
        (Machine(jobs=8, gpus=0.25), "8 at a time with 1 core each", "of this machine;", "(0.2 GPU hours)"),
    ],
)
def test_the_plan_says_where_and_with_what(tmp_path, machine, head, where, total):
    """One run of an hour on one core, or on a quarter of a GPU; nothing is known of the cluster's memory."""
    (run,) = plan(tmp_path)
    text = plan_text([run], {run.folder: Estimate(seconds=3600.0, rate=BOUND, num_bytes=GIB)}, machine)
    first, *_, bound, last = text.splitlines()
    assert head in first
    assert where in bound
    assert total in last
    assert last.endswith("; 1.0 GiB memory")
