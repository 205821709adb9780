"""The training of behavior policies from the command line: invalid arguments and the files it writes."""

import os
import subprocess
import sys

import pytest

from tests.smoke.small_run import ROOT


def collect(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "experiments.collect", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "usage: ssar-jax collect train <agent>, or choose <tier> <training run>"),
        (("choose", "medium"), "usage: "),
        (("embedded",), "no --tasks: name the tasks to generate"),
        (("embedded", "--tasks=hoper-m"), "unknown task 'hoper-m'; nearest: hopper-m"),
        (("train", "octopus"), "there is no agent 'octopus' to train: choose one of halfcheetah, hopper"),
    ],
)
def test_what_cannot_be_trained_is_one_line(arguments, message):
    result = collect(*arguments)
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: {message}")
    assert result.stderr.count("\n") == 1


def test_an_unwritable_directory_is_told_before_anything_is_trained(tmp_path):
    (tmp_path / "file").touch()
    result = collect("train", "hopper", f"--directory={tmp_path / 'file'}")
    assert result.returncode == 2
    assert result.stderr.startswith(
        f"error: cannot write to {tmp_path / 'file' / 'hopper-s0'}: Not a directory; choose"
    )


# Snapshots every 100 steps and an evaluation every 200, after a warm-up of 100; a tier that every policy reaches.
PROGRAM = """
import functools, runpy, sys
from ssar_jax.behaviour import tiers
from ssar_jax.training import train_behaviour
bounds = tiers.Range(-100.0), tiers.Range(float(sys.argv.pop(1)))
tiers.TIERS["hopper", "medium"] = tiers.Tier("hopper", *bounds, "first", -100.0)
tiers.EPISODES = 2
train_behaviour.train = functools.partial(
    train_behaviour.train, warmup_steps=100, snapshot_interval=100, evaluation_interval=200, evaluation_episodes=2
)
runpy.run_module("experiments.collect", run_name="__main__")
"""


@pytest.mark.slow
@pytest.mark.parametrize("least", [-100.0, 99.0])
def test_a_policy_is_trained_and_chosen(tmp_path, least):
    """400 steps are too few for a useful policy. It is written only if it is good enough."""

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, str(least), *arguments],
            cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300,
        )  # fmt: skip

    (tmp_path / "configs").mkdir()  # by which the command knows a repository
    result = run("train", "hopper", "--max_steps=400", "--decay_steps=100", "--width=8")
    assert (result.returncode, result.stdout) == (0, "wrote behaviour/hopper-s0\n"), result.stderr
    folder = tmp_path / "behaviour" / "hopper-s0"
    assert {path.name for path in folder.iterdir()} == {
        *("run.json", "curve.csv", "step-0000200.npz", "step-0000300.npz", "step-0000400.npz")
    }
    header, *rows = (folder / "curve.csv").read_text().splitlines()
    assert (header, [row.split(",")[0] for row in rows]) == ("steps,sampled,deterministic,seconds", ["200", "400"])
    result = run("train", "hopper")
    assert result.returncode == 2
    assert "error: behaviour/hopper-s0 holds a training already: delete it, or choose" in result.stderr

    result = run("choose", "medium", "behaviour/hopper-s0")
    written = {path.name for path in (tmp_path / "behaviour").iterdir()} - {"hopper-s0"}
    if least > 0.0:
        assert result.returncode == 2
        assert "error: no snapshot of behaviour/hopper-s0 is hopper medium" in result.stderr
        assert written == set()
        return
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("wrote behaviour/hopper-medium.npz: 200 steps")
    assert written == {"hopper-medium.npz", "hopper-replay.npz", "hopper-medium.csv"}


def test_embedded_datasets_are_generated_once(tmp_path, monkeypatch):
    """What is missing, the card of 200 transitions and a table, and the same ones from disk the second time."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    table = tmp_path / "docs" / "suite.md"
    first, second = (collect("embedded", "--tasks=hopper-m", "--num_steps=200", f"--table={table}") for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    assert "generating ssar-embedded/hopper/medium-200-v0: 200 transitions" in first.stderr
    assert second.stderr == ""
    there, missing, *lines = first.stdout.splitlines()
    assert there == "0 of 1 datasets exist"
    assert missing.startswith("to generate: hopper-m; 200 transitions, about ")
    assert lines[0].split() == ["dataset", "ssar-embedded/hopper/medium-200-v0"]
    assert lines[-1].startswith("| hopper-m | 200 | ")
    assert second.stdout.splitlines() == ["1 of 1 datasets exist", *lines]
    page = table.read_text()
    assert lines[-1] in page
    assert "collect embedded --tasks=hopper-m --num_steps=200`" in page


def test_a_table_that_cannot_be_written_is_told_before_anything_is_played(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    (tmp_path / "file").touch()
    result = collect("embedded", "--tasks=hopper-m", "--num_steps=200", f"--table={tmp_path / 'file' / 'suite.md'}")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == f"error: cannot write to {tmp_path / 'file'}: Not a directory; choose another --table\n"
