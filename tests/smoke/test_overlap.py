"""Evaluations that are played while training goes on: the same rows, and nothing lost when they end badly."""

import csv
import os
import signal
import threading
import time
from functools import partial

import jax
import numpy as np
import pytest

from ssar_jax.envs.rollout import StoppedError
from ssar_jax.errors import UserError
from ssar_jax.runs import offline
from ssar_jax.runs.overlap import Overlap
from ssar_jax.runs.scores import Scorer
from ssar_jax.training.trainer import OfflineTrainer
from tests.data.helpers import user_error
from tests.smoke import small_run

# Evaluations at 0 (before training), 20, 40 and 60 (while training goes on) and 80 (at its end).
LENGTHS = ("--config.num_updates=80", "--config.evaluation.interval=20", "--config.checkpoint.every=40")


@pytest.fixture(autouse=True)
def _short_chunks(monkeypatch):
    monkeypatch.setattr(offline, "LOG_INTERVAL", 5)


@pytest.fixture
def config(dataset):
    return small_run.make_config(dataset, *LENGTHS, "--config.evaluation.overlap=on")


@pytest.fixture(scope="module")
def whole(dataset, tmp_path_factory):
    """An overlapped run that nothing disturbed."""
    path = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(offline, "LOG_INTERVAL", 5)
        overlapped = small_run.make_config(dataset, *LENGTHS, "--config.evaluation.overlap=on")
        assert offline.run(overlapped, path) == 0
    return path


def steps(path):
    with (path / "eval.csv").open(newline="") as file:
        return [int(row["step"]) for row in csv.DictReader(file)]


def at_evaluation(number, action):
    """`Scorer.play`, with an action instead of evaluation `number`."""
    play, calls = Scorer.play, []

    def patched(self, policies, stop=lambda: False):
        calls.append(1)
        return action(stop) if len(calls) - 1 == number else play(self, policies, stop)

    return patched


def watch(patch, step):
    """An event that is set when training has reached a step."""
    reached, advance = threading.Event(), OfflineTrainer.advance

    def watched(self, num_updates):
        metrics = advance(self, num_updates)
        if self.step == step:
            reached.set()
        return metrics

    patch.setattr(OfflineTrainer, "advance", watched)
    return reached


def interrupt(trained, stop):
    assert trained.wait(timeout=60)
    os.kill(os.getpid(), signal.SIGTERM)
    while not stop():
        time.sleep(0.001)
    raise StoppedError


def fail(stop):
    raise UserError("the environment returned nan")


def test_the_rows_are_those_of_a_run_that_evaluates_in_turn(whole, dataset, tmp_path):
    path = tmp_path / "run"
    assert offline.run(small_run.make_config(dataset, *LENGTHS, "--config.evaluation.overlap=off"), path) == 0
    for table in ("train.csv", "eval.csv"):
        assert (path / table).read_bytes() == (whole / table).read_bytes()
    lines = [sorted((folder / "metrics.jsonl").read_text().splitlines()) for folder in (path, whole)]
    assert lines[0] == lines[1]
    jax.tree.map(np.testing.assert_array_equal, small_run.states(path), small_run.states(whole))


def test_training_goes_on_meanwhile(config, tmp_path, monkeypatch):
    trained = watch(monkeypatch, 30)

    def wait(stop):
        assert trained.wait(timeout=60)
        raise UserError("enough")

    monkeypatch.setattr(Scorer, "play", at_evaluation(1, wait))
    with user_error("enough"):
        offline.run(config, tmp_path / "run")


@pytest.mark.parametrize(
    "number", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)]
)
def test_a_signal_stops_the_run_at_the_evaluated_update(config, whole, tmp_path, monkeypatch, capfd, number):
    """At 20 without a checkpoint that is due, at 40 with one, at 60 joined by the end of training."""
    path = tmp_path / "run"
    with monkeypatch.context() as patch:
        trained = watch(patch, 20 * number + 5)
        patch.setattr(Scorer, "play", at_evaluation(number, partial(interrupt, trained)))
        assert offline.run(config, path) == 143
    out, err = capfd.readouterr()
    assert f"--resume continues at update {20 * number}, whose evaluation is stopped" in err
    assert f"stopped at update {20 * number}; rerun the command with --resume" in out
    assert steps(path) == list(range(0, 20 * number, 20))
    assert offline.run(config, path, resume=True) == 0
    small_run.assert_same_numbers(whole, path)


@pytest.mark.slow
def test_a_failing_environment_leaves_a_run_to_resume(config, whole, tmp_path, monkeypatch, caplog):
    path = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(Scorer, "play", at_evaluation(2, fail))
        with user_error("the environment returned nan"):
            offline.run(config, path)
    assert "the evaluation at update 40 failed; the run is saved there" in caplog.text
    assert offline.run(config, path, resume=True) == 0
    small_run.assert_same_numbers(whole, path)


@pytest.mark.slow
def test_what_ends_training_ends_the_evaluation(config, whole, tmp_path, monkeypatch):
    """As a kill does, it leaves the last checkpoint, from which the run goes on."""
    path, advance, stopped = tmp_path / "run", OfflineTrainer.advance, []

    def endless(stop):
        while not stop():
            time.sleep(0.001)
        stopped.append(1)
        raise StoppedError

    def broken(self, num_updates):
        if self.step == 50:
            raise RuntimeError("out of memory")
        return advance(self, num_updates)

    with monkeypatch.context() as patch:
        patch.setattr(Scorer, "play", at_evaluation(2, endless))
        patch.setattr(OfflineTrainer, "advance", broken)
        with pytest.raises(RuntimeError, match="out of memory"):
            offline.run(config, path)
    assert stopped
    assert steps(path) == [0, 20]
    assert offline.run(config, path, resume=True) == 0
    small_run.assert_same_numbers(whole, path)


def test_rows_that_were_written_before_their_checkpoint_are_written_again(config, whole, tmp_path, monkeypatch):
    """The evaluation at 40 is joined at 60; then the next evaluation fails to begin, as if the process were killed."""
    path, begin = tmp_path / "run", Overlap.begin

    def killed(self, update, *arguments):
        if update == 60:
            raise RuntimeError("killed")
        begin(self, update, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Overlap, "begin", killed)
        with pytest.raises(RuntimeError, match="killed"):
            offline.run(config, path)
    assert steps(path) == [0, 20, 40]
    assert [folder.name for folder in (path / "checkpoints").iterdir()] == ["40"]
    assert offline.run(config, path, resume=True) == 0
    small_run.assert_same_numbers(whole, path)


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_numbers(dataset, tmp_path):
    """Ten kills of a process that evaluates much."""
    often = ("--config.evaluation.interval=20", "--config.evaluation.episodes=20", "--config.evaluation.overlap=on")
    flags = small_run.flags(dataset, *often)
    expected, path = tmp_path / "expected", tmp_path / "run"
    assert small_run.finish(small_run.start(*flags, f"--workdir={expected}"))[0] == 0
    rng = np.random.default_rng(0)
    for _ in range(10):
        resume = ["--resume"] if (path / "config.json").exists() else []
        process = small_run.start(*flags, f"--workdir={path}", *resume)
        time.sleep(rng.uniform(4.0, 10.0))
        process.kill()
        process.communicate()
    status, _, messages = small_run.finish(small_run.start(*flags, f"--workdir={path}", "--resume"))
    assert status == 0, messages
    small_run.assert_same_numbers(expected, path)
