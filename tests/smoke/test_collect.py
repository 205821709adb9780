"""The training of behaviour policies as a command: what it refuses, and a run too short to succeed."""

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
        (("embedded",), "no --tasks: name those to generate"),
        (("embedded", "--tasks=hoper-m"), "unknown task 'hoper-m'; nearest: hopper-m"),
        (("train", "octopus", "medium"), "there is no recipe to train 'octopus' 'medium': choose one of halfcheetah"),
    ],
)
def test_what_cannot_be_trained_is_one_line(arguments, message):
    result = collect(*arguments)
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: {message}")
    assert result.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_run_that_does_not_reach_its_band_writes_its_curve_and_no_policy(tmp_path):
    """200 steps of random actions, before the first update: no evaluation, no policy, status 2."""
    result = collect("train", "hopper", "medium", "--max_steps=200", f"--directory={tmp_path}", "--width=8")
    assert result.returncode == 2
    assert "error: --max_steps=200 did not reach a mark in [40.0, 55.0]" in result.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["hopper-medium.csv"]
    assert (tmp_path / "hopper-medium.csv").read_text() == "steps,return\n"


def test_embedded_datasets_are_generated_once(tmp_path, monkeypatch):
    """What is missing, the card of 200 transitions and a table, and the same ones from disk the second time."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    first, second = (collect("embedded", "--tasks=hopper-m", "--num_steps=200") for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    assert "generating ssar-embedded/hopper/medium-200-v0: 200 transitions" in first.stderr
    assert second.stderr == ""
    there, missing, *lines = first.stdout.splitlines()
    assert there == "0 of 1 datasets are there"
    assert missing.startswith("missing: hopper-m; 200 transitions, about ")
    assert lines[0].split() == ["dataset", "ssar-embedded/hopper/medium-200-v0"]
    assert lines[-1].startswith("| hopper-m | 200 | ")
    assert second.stdout.splitlines() == ["1 of 1 datasets are there", *lines]
