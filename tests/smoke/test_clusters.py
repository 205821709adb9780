"""Sweeps on clusters of real processes: what is killed continues elsewhere, with the same numbers bit for bit."""

import csv
import os
import signal
import sys
import time

import pytest

from tests.smoke import cluster, small_run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux ends the runs of a killed worker"),
]
RUN = "td3_bc/hopper-m/offline-sa-short-s0-0"
SLURM = ("--engine=slurm", "--slurm=cluster=local", "--jobs=1")


@pytest.fixture
def ray():
    """A cluster with one machine."""
    pytest.importorskip("ray")
    with cluster.start() as started:
        started.add()
        yield started


def start(dataset, root, *others):
    flags = ("--preset=short", f"--config.dataset.path={dataset}", *small_run.SMALL, f"--runs={root}", *others)
    systems = () if any(flag.startswith("--systems") for flag in others) else ("--systems=td3_bc",)
    return small_run.start(*systems, "--tasks=hopper-m", *flags, program="sweep")


def wait_for(process, condition):
    """Waits for a condition while a sweep runs."""
    deadline = time.monotonic() + 240
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)


def log(root):
    path = root / f"{RUN}.log"
    return path.read_text() if path.exists() else ""


def has_checkpoint(root, step=small_run.CHECKPOINTS):
    return (root / RUN / "checkpoints" / str(step)).exists()


def is_evaluating(root):
    """Whether the evaluation at update 500 has begun, after the checkpoint, and not ended."""
    if not has_checkpoint(root, small_run.EVALUATIONS):
        return False
    with (root / RUN / "eval.csv").open(newline="") as file:
        return max(int(row["step"]) for row in csv.DictReader(file)) < small_run.EVALUATIONS


def is_preparing(root):
    """Whether the run has been started, and has not recorded its data."""
    return "\n# on " in log(root) and not (root / RUN / "data.json").exists()


@pytest.mark.parametrize("moment", [is_preparing, has_checkpoint, is_evaluating])
def test_a_machine_that_dies_is_replaced(ray, finished, dataset, tmp_path, moment):
    """While preparing data, training or evaluating; the task is executed again on a machine that was added."""
    process = start(dataset, tmp_path, "--engine=ray", f"--address={ray.address}")
    try:
        wait_for(process, lambda: moment(tmp_path))
        ray.kill()
        assert not (tmp_path / RUN / "summary.json").exists(), "the run was over before the machine died"
        ray.add()
    finally:
        status, output, messages = small_run.finish(process)
    assert status == 0, (output, messages, log(tmp_path))
    assert "1 run, one at a time with 1 core on a Ray cluster of 2 machines" in output
    assert log(tmp_path).count("\n# on ") >= 2
    small_run.assert_same_numbers(finished.path, tmp_path / RUN)
    assert not list(tmp_path.glob(".sweep-*"))


def test_a_killed_driver_is_repeated(ray, finished, dataset, tmp_path):
    """Its run saves and stops, since Ray ends the workers; the next sweep waits for the lock and resumes."""
    process = start(dataset, tmp_path, "--engine=ray", f"--address={ray.address}")
    try:
        wait_for(process, lambda: has_checkpoint(tmp_path))
    finally:
        process.kill()
        small_run.finish(process)
    assert not (tmp_path / RUN / "summary.json").exists(), "the run was over before the driver died"
    status, output, messages = small_run.finish(start(dataset, tmp_path, "--engine=ray", f"--address={ray.address}"))
    assert status == 0, (output, messages, log(tmp_path))
    small_run.assert_same_numbers(finished.path, tmp_path / RUN)


def test_a_failing_run_does_not_stop_the_others(ray, dataset, tmp_path):
    """The hopper's data do not fit the walker. The folder of the runs is relative to that of the sweep."""
    others = ("--tasks=walker2d-m,hopper-m", "--config.num_updates=50", "--config.evaluation.episodes=1")
    root = os.path.relpath(tmp_path, small_run.ROOT)
    process = start(dataset, root, "--engine=ray", f"--address={ray.address}", *others)
    status, output, messages = small_run.finish(process)
    assert (status, messages) == (1, "")
    table, _, reasons = output.partition("\nsystem  task ")[2].partition("\ntd3_bc walker2d-m offline failed: ")
    rows = {line.split()[1]: line.split()[3] for line in table.splitlines()[-2:]}
    assert "walker2d" in reasons
    assert rows == {"walker2d-m": "failed", "hopper-m": "finished"}


@pytest.mark.parametrize("engine", ["ray", "slurm"])
def test_a_stopped_sweep_ends_its_runs_and_continues(request, finished, dataset, tmp_path, engine):
    """Ctrl-C reaches the runs that have started, which save; the second run, which waits, is withdrawn."""
    if engine == "slurm":
        pytest.importorskip("submitit")
        where = SLURM
    else:
        where = ("--engine=ray", f"--address={request.getfixturevalue('ray').address}", "--jobs=2")
    process = start(dataset, tmp_path, *where, "--systems=td3_bc,td3_bc:base")
    try:
        wait_for(process, lambda: has_checkpoint(tmp_path))
        process.send_signal(signal.SIGINT)
    finally:
        status, output, messages = small_run.finish(process)
    assert status == 130, (output, messages)
    assert [line.split()[3] for line in output.splitlines()[-3:-1]] == ["stopped", "not"]  # "not started"
    status, output, messages = small_run.finish(start(dataset, tmp_path, *where))
    assert status == 0, (output, messages, log(tmp_path))
    assert "resuming at " in output
    small_run.assert_same_numbers(finished.path, tmp_path / RUN)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--address=127.0.0.1:1",), "no Ray cluster at --address=127.0.0.1:1: "),
        (("--address=somewhere",), "--address=somewhere is not <host>:<port>"),
        (("--address=ray://127.0.0.1:10001",), "--address=ray://127.0.0.1:10001: Ray Client is not supported"),
    ],
)
def test_a_cluster_that_cannot_be_reached_is_one_line(dataset, tmp_path, flags, message):
    pytest.importorskip("ray")
    status, output, messages = small_run.finish(start(dataset, tmp_path, "--engine=ray", *flags))
    assert (status, output, messages.count("\n")) == (2, "", 1), messages
    assert messages.startswith(f"error: {message}")


def test_a_run_that_no_machine_can_hold_is_one_line(ray, dataset, tmp_path):
    flags = ("--engine=ray", f"--address={ray.address}", "--cores=2")
    status, output, messages = small_run.finish(start(dataset, tmp_path, *flags))
    assert (status, output, messages.count("\n")) == (2, "", 1), messages
    assert messages.startswith("error: no machine of the Ray cluster has 2 CPUs and 0 GPUs")
