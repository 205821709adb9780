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
        ((), "usage: python -m experiments.collect train <agent> <tier>"),
        (("train", "hopper"), "usage: "),
        (("embedded",), "no --tasks: name the tasks to generate"),
        (("embedded", "--tasks=hoper-m"), "unknown task 'hoper-m'; nearest: hopper-m"),
        (("train", "octopus", "medium"), "there is no tier 'octopus' 'medium' to train: choose one of halfcheetah"),
    ],
)
def test_what_cannot_be_trained_is_one_line(arguments, message):
    result = collect(*arguments)
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: {message}")
    assert result.stderr.count("\n") == 1


def test_an_unwritable_directory_is_told_before_anything_is_trained(tmp_path):
    (tmp_path / "file").touch()
    result = collect("train", "hopper", "medium", f"--directory={tmp_path / 'file'}")
    assert result.returncode == 2
    assert result.stderr == f"error: cannot write to {tmp_path / 'file'}: Not a directory; choose another --directory\n"


# Evaluates every 100 steps from the 200th on, two episodes, by any mark that is at least argv[1].
PROGRAM = """
import functools, runpy, sys
from ssar_jax.behaviour import tiers
from ssar_jax.training import train_behaviour
tiers.TIERS["hopper", "medium"] = tiers.Tier("hopper", float(sys.argv.pop(1)), 100.0, -100.0)
tiers.EPISODES = 2
train_behaviour.train = functools.partial(
    train_behaviour.train, warmup_steps=100, evaluation_interval=100, evaluation_episodes=2
)
runpy.run_module("experiments.collect", run_name="__main__")
"""


@pytest.mark.slow
@pytest.mark.parametrize("least", [-100.0, 99.0])
def test_policies_and_their_curve_are_written_together_below_the_working_directory(tmp_path, least):
    """200 steps are too few for a useful policy. It is written only if it is good enough."""
    (tmp_path / "configs").mkdir()  # by which the command knows a repository
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(least), "train", "hopper", "medium", "--max_steps=200", "--width=8"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    written = {path.name for path in (tmp_path / "behaviour").iterdir()}
    if least > 0.0:
        assert result.returncode == 2
        assert "error: no policy scored in [99.0, 100.0] within --max_steps=200" in result.stderr
        assert written == set()
        return
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("wrote behaviour/hopper-medium.npz: ")
    assert written == {"hopper-medium.npz", "hopper-replay.npz", "hopper-medium.csv"}
    header, row = (tmp_path / "behaviour" / "hopper-medium.csv").read_text().splitlines()
    assert (header, row.split(",")[0]) == ("steps,return", "200")


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
