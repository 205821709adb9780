"""The benchmark: a table for people, and one JSON object as its last line."""

import json
import os
import subprocess
import sys

import pytest

from tests.smoke.small_run import ROOT

TINY = (
    *("--config=configs/td3_bc.py:halfcheetah-m", "--seeds=1,2", "--updates=4", "--repeats=1", "--rows=1000"),
    *("--config.critic.hidden_sizes=(8,)", "--config.actor.hidden_sizes=(8,)"),
    "--config.coefficient.hidden_sizes=(8,)",
)


@pytest.mark.slow
def test_the_last_line_is_one_json_object():
    result = subprocess.run(
        [sys.executable, "-m", "experiments.benchmark", *TINY], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].split()[:2] == ["seeds", "updates/s"]
    content = json.loads(lines[-1])
    assert (content["algorithm"], content["task"], content["variant"]) == ("td3_bc", "halfcheetah-m", "sa")
    assert (content["batch_size"], content["rows"]) == (256, 1000)
    assert set(content["matmul"]) == {"256x256x256", "7680x256x256"}
    assert [run["num_seeds"] for run in content["runs"]] == [1, 2]
    best = max(content["matmul"].values())
    for run in content["runs"]:
        all_seeds = run["num_seeds"] * run["updates_per_second_each"]
        assert run["updates_per_second_all"] == pytest.approx(all_seeds)
        assert run["gflops"] == pytest.approx(all_seeds * run["gflop_per_update"])
        assert run["share_of_matmul"] == pytest.approx(run["gflops"] / best)
        assert min(run["compile_seconds"], run["init_seconds"], run["peak_memory_mib"]) > 0.0


def run(*arguments):
    result = subprocess.run(
        [sys.executable, "-m", "experiments.benchmark", *TINY, *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


@pytest.mark.slow
def test_fine_tuning_is_compared_with_its_updates():
    content = run("--phase=online")
    assert [row["num_seeds"] for row in content["runs"]] == [1, 2]
    for row in content["runs"]:
        assert row["ratio"] == pytest.approx(row["step_milliseconds"] / row["update_milliseconds"])
        assert row["environment_milliseconds"] > 0.0


@pytest.mark.slow
def test_evaluation_is_compared_with_the_engine():
    content = run("--phase=evaluation", "--config.evaluation.episodes=2")
    cores = range(1, len(os.sched_getaffinity(0)) + 1)
    assert [(row["num_seeds"], row["threads"]) for row in content["runs"]] == [(s, c) for s in (1, 2) for c in cores]
    for row in content["runs"]:
        assert row["environment_steps"] == row["num_seeds"] * 2 * 1000
        engine = row["engine_steps_per_second"] * row["threads"]
        assert row["share_of_engine"] == pytest.approx(row["steps_per_second"] / engine)


@pytest.mark.slow
def test_generation_is_compared_with_the_engine():
    (row,) = run("--phase=generation", "--rows=2_000")["runs"]
    assert row["environment_steps"] == 2_000
    assert row["seconds"] == pytest.approx(2_000 / row["steps_per_second"])


@pytest.mark.slow
@pytest.mark.parametrize(("system", "size"), [
    ("spot", "--config.density.hidden_sizes=(8,)"),
    ("fam_cql", "--config.balance.hidden_sizes=(8,)"),
    ("rebrac", "--config.batch_size=16"),
])  # fmt: skip
def test_special_systems_are_measured_like_the_others(system, size):
    """SPOT's missing density model is not NaN, which MuJoCo would report; FamCQL makes one update per step.

    ReBRAC declares the next actions.
    """
    result = subprocess.run(
        [sys.executable, "-m", "experiments.benchmark", f"--config=configs/{system}.py:halfcheetah-m", "--phase=online",
         *("--seeds=1", "--updates=4", "--repeats=2", "--rows=1000"), size,
         *("--config.critic.hidden_sizes=(8,)", "--config.actor.hidden_sizes=(8,)")],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    (run,) = json.loads(result.stdout.splitlines()[-1])["runs"]
    assert run["updates"] == 10 + 2 * 4  # one per step, including the first ten


@pytest.mark.parametrize(
    ("task", "flag", "message"),
    [
        ("hoper-m", "--seeds=1", "unknown task 'hoper-m'"),
        ("hopper-m", "--seeds=two", "flag --seeds=['two']: must be positive integers"),
        ("hopper-m", "--repeats=0", "flag --repeats=0: 0 is not a positive integer"),
    ],
)
def test_what_cannot_be_measured_is_one_line(task, flag, message):
    result = subprocess.run(
        [sys.executable, "-m", "experiments.benchmark", f"--config=configs/td3_bc.py:{task}", flag],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: {message}")
    assert result.stderr.count("\n") == 1
