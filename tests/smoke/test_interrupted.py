"""Runs that are killed or stopped, and resumed, end with the numbers of an uninterrupted run, bit for bit."""

import re
import signal
import time

import pytest

from ssar_jax.reporting.read.folders import read_runs
from ssar_jax.reporting.read.groups import group_runs
from tests.smoke import small_run
from tests.smoke.small_run import CHECKPOINTS


def interrupt(path, dataset, number, **options):
    """Starts the small run and sends it a signal after its first checkpoint."""
    process = small_run.start(*small_run.flags(dataset), f"--workdir={path}", **options)
    try:
        deadline = time.monotonic() + 240
        while not (path / "checkpoints" / str(CHECKPOINTS)).exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(number)
    finally:
        result = small_run.finish(process)
    assert not (path / "summary.json").exists(), "the run was over before the signal came"
    return result


def resume(path, dataset):
    status, output, messages = small_run.finish(
        small_run.start(*small_run.flags(dataset), f"--workdir={path}", "--resume")
    )
    assert status == 0, messages
    return output, messages


def test_a_killed_run_resumes_to_the_same_numbers(finished, dataset, tmp_path):
    path = tmp_path / "run"
    status, _, _ = interrupt(path, dataset, signal.SIGKILL)
    assert status == -signal.SIGKILL
    _, messages = resume(path, dataset)
    assert "resuming at update" in messages
    small_run.assert_same_numbers(finished.path, path)


@pytest.mark.slow  # trains twice; a killed run is resumed above
def test_a_terminated_run_finishes_its_chunk_and_resumes(finished, dataset, tmp_path):
    path = tmp_path / "run"
    status, output, messages = interrupt(path, dataset, signal.SIGTERM)
    assert status == 143
    assert "Traceback" not in messages
    steps = [int(folder.name) for folder in (path / "checkpoints").iterdir()]
    last = max(steps)
    assert f"stopped at update {last:,}; rerun the command with --resume to continue" in output
    assert (path / "train.csv").read_text().splitlines()[-1].startswith(f"{last},")
    # It is not resumed with another config.
    changed = small_run.flags(dataset, f"--workdir={path}", "--resume", "--config.discount=0.9")
    status, _, messages = small_run.finish(small_run.start(*changed))
    assert status == 2
    assert "the config changed: discount was 0.99, is 0.9" in messages

    _, messages = resume(path, dataset)
    assert f"resuming at update {last}" in messages
    small_run.assert_same_numbers(finished.path, path)
    output, _ = resume(path, dataset)
    assert f"{path} is finished: nothing to resume" in output


@pytest.mark.slow
def test_an_interrupted_run_exits_as_shells_expect(dataset, tmp_path):
    status, output, messages = interrupt(tmp_path / "run", dataset, signal.SIGINT)
    assert status == 130
    assert "; rerun the command with --resume to continue" in output
    assert "Traceback" not in messages


DENSITY = (
    *("--config.density.hidden_sizes=(8,)", "--config.density.num_updates=60_000"),
    *("--config.num_updates=20", "--config.evaluation.interval=10"),
)
SPOT = "configs/spot.py:hopper-m,preset=short"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_density_model_compiles(dataset, tmp_path, number):
    """It compiles after printing its title. The chunk is finished and saved; the run itself has not started."""
    command = small_run.flags(dataset, *DENSITY, f"--workdir={tmp_path / 'run'}", config=SPOT)
    process = small_run.start(*command, SSAR_CACHE_DIR=str(tmp_path / "cache"))
    assert any(line.startswith("density model:") for line in process.stdout)
    process.send_signal(number)
    status, _, messages = small_run.finish(process)
    assert status == 128 + number
    assert re.search(
        r"^stopped at update [\d,]+ of 60,000, which is saved; rerun the command to continue$", messages, re.M
    )
    assert not (tmp_path / "run" / "config.json").exists()
    assert list((tmp_path / "cache").rglob("unfinished/*.npz"))


@pytest.mark.slow
def test_a_run_that_is_killed_before_its_first_update_resumes_its_density_model(dataset, tmp_path):
    small = small_run.flags(dataset, *DENSITY, config=SPOT)
    cache, path = tmp_path / "cache", tmp_path / "run"
    process = small_run.start(*small, f"--workdir={path}", SSAR_CACHE_DIR=str(cache))
    try:
        while not list(cache.rglob("unfinished/[!.]*")):
            assert process.poll() is None, process.communicate()
            time.sleep(0.002)
        process.kill()
    finally:
        small_run.finish(process)
    again = small_run.start(*small, f"--workdir={path}", SSAR_CACHE_DIR=str(cache))
    status, output, messages = small_run.finish(again)
    assert status == 0, messages
    assert "density model: 60,000 updates of the conditional VAE, seed 0, resuming at update " in output
    whole = small_run.start(*small, f"--workdir={tmp_path / 'whole'}", SSAR_CACHE_DIR=str(tmp_path / "other"))
    status, _, messages = small_run.finish(whole)
    assert status == 0, messages
    small_run.assert_same_numbers(path, tmp_path / "whole")


@pytest.mark.slow  # trains two runs of two processes
def test_seeds_divided_among_processes_are_those_of_single_runs(finished, dataset, tmp_path):
    """Two processes, one of which is killed and resumed; each writes the numbers of a run of its seed alone."""

    def start(number, *others):
        flags = small_run.flags(dataset, "--config.num_seeds=2", f"--workdir={tmp_path}", "--num_processes=2")
        return small_run.start(*flags, f"--process_id={number}", *others)

    first, second = start(0), start(1)
    try:
        deadline = time.monotonic() + 240
        while not (tmp_path / "s1-1/checkpoints" / str(CHECKPOINTS)).exists():
            assert second.poll() is None, second.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.002)
        second.kill()
    finally:
        small_run.finish(second)
        status, _, messages = small_run.finish(first)
    assert status == 0, messages
    assert not (tmp_path / "s1-1/summary.json").exists(), "the process was over before it was killed"
    small_run.assert_same_numbers(finished.path, tmp_path / "s0-0")

    status, _, messages = small_run.finish(start(1, "--resume"))
    assert status == 0, messages
    alone = tmp_path / "alone"
    single = small_run.start(*small_run.flags(dataset, "--config.seed=1"), f"--workdir={alone}")
    assert small_run.finish(single)[0] == 0
    small_run.assert_same_numbers(alone, tmp_path / "s1-1")
    runs, skipped = read_runs(tmp_path / "s0-0", tmp_path / "s1-1")
    assert not skipped
    assert [group.seeds for group in group_runs(runs)[0]] == [(0, 1)]
