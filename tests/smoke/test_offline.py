"""Offline training from the command line: its files and output."""

import csv
import json

import jax
import numpy as np
import pytest

from ssar_jax.algorithms import registry
from ssar_jax.data.dataset import OfflineDataset
from ssar_jax.data.scaling import prepare
from ssar_jax.data.tasks import get_task
from ssar_jax.runs.load import load_policy
from tests.data.helpers import user_error
from tests.smoke import small_run
from tests.smoke.small_run import CHECKPOINTS, EVALUATIONS, NUM_UPDATES


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_run_folder_contains_the_documented_files(finished):
    names = {file.name for file in finished.path.iterdir()} - {".lock"}
    assert names == {
        *("config.json", "versions.json", "data.json", "preparation.npz", "train.csv", "eval.csv", "summary.json"),
        *("metrics.jsonl", "diagnostics", "checkpoints"),
    }
    last_two = {str(NUM_UPDATES - CHECKPOINTS), str(NUM_UPDATES)}
    assert {folder.name for folder in (finished.path / "checkpoints").iterdir()} == last_two
    steps = {int(file.stem) for file in (finished.path / "diagnostics").iterdir()}
    assert steps == set(range(0, NUM_UPDATES + 1, CHECKPOINTS))


def test_the_command_prints_what_it_does(finished):
    lines = finished.output.splitlines()
    assert lines[0].split() == ["dataset", "random.npz"]
    card = {line.split()[0] for line in lines[:7]}
    assert card == {"dataset", "source", "transitions", "episodes", "returns", "terminals", "content"}
    (selected,) = [line for line in lines if line.startswith("selected ")]
    assert "by return (return above " in selected
    assert selected.endswith("; selection.threshold=1800 is for D4RL's file, selection.fraction for other data)")
    assert any(line.startswith("update 0: score ") for line in lines)
    assert any(line.startswith(f"2,000 of {NUM_UPDATES:,} updates, ") and "updates/s" in line for line in lines)
    assert lines[-2] == f"results: {finished.path}"
    assert lines[-1].startswith("final normalized score ")
    assert lines[-1].endswith("(td3_bc sa, preset short, path data, d4rl-v2 physics, 1 seed)")
    assert "\r" not in finished.output  # plain lines without a terminal
    assert finished.messages == ""


def test_train_csv_has_a_row_of_metrics_for_every_chunk(finished):
    """Chunks end at checkpoints, evaluations and every 1,000 updates, which here are all multiples of 250."""
    rows = read(finished.path / "train.csv")
    assert [int(row["step"]) for row in rows] == list(range(CHECKPOINTS, NUM_UPDATES + 1, CHECKPOINTS))
    assert {row["seed"] for row in rows} == {"0"}
    assert {
        *("critic/loss", "critic/q_mean", "actor/loss", "actor/q_scale", "coefficient/loss"),
        *("coefficient/beta_min", "coefficient/beta_mean", "coefficient/beta_max", "coefficient/n"),
        *("coefficient/active", "coefficient/selected_fraction", "coefficient/negative_share"),
    } <= rows[0].keys()
    assert all(np.isfinite(float(value)) for row in rows for value in row.values())
    for row in rows:
        low, mean, high = (float(row[f"coefficient/beta_{name}"]) for name in ("min", "mean", "max"))
        assert 0.0 < low < mean < high < 0.6  # max_ratio * base = 1.5 * 0.4
    n = [float(row["coefficient/n"]) for row in rows]
    assert n[0] == 1.0
    assert n[-1] > 1.0  # random actions are outside the trust region, so the schedule grows it


def test_eval_csv_has_a_row_for_every_evaluation(finished):
    rows = read(finished.path / "eval.csv")
    assert list(rows[0]) == [
        *("phase", "step", "seed", "return", "return_std", "score", "length", "episodes", "environment_steps")
    ]
    assert [int(row["step"]) for row in rows] == list(range(0, NUM_UPDATES + 1, EVALUATIONS))
    task = get_task("hopper-m")
    for row in rows:
        assert (row["phase"], row["seed"], row["episodes"], row["environment_steps"]) == ("offline", "0", "2", "0")
        assert float(row["score"]) == pytest.approx(task.normalized_score(float(row["return"])))
        assert float(row["length"]) >= 1.0


def test_summary_json_describes_the_run(finished, dataset):
    summary = json.loads((finished.path / "summary.json").read_text())
    expected = {
        "task": "hopper-m",
        "algorithm": "td3_bc",
        "variant": "sa",
        "preset": "short",
        "phase": "offline",
        "data_source": "path",
        "data_name": "random.npz",
        "dataset_hash": OfflineDataset.from_npz(dataset).content_hash,
        "num_transitions": 400,
        "physics": "d4rl-v2",
        "num_updates": NUM_UPDATES,
        "seeds": [0],
        "final_score_std": None,  # undefined for one seed
    }
    assert {name: summary[name] for name in expected} == expected
    scores = [float(row["score"]) for row in read(finished.path / "eval.csv")]
    assert summary["final_score"] == [scores[-1]]
    assert summary["best_score"] == [max(scores)]
    assert summary["final_score_mean"] == scores[-1]
    assert summary["selection_fraction"] == 0.25  # two of eight episodes
    assert isinstance(summary["selection_threshold"], float)
    assert summary["updates_per_second"] > 0.0
    assert summary["wall_seconds"] > 0.0


def test_diagnostics_show_the_coefficient_at_all_rows(finished):
    with np.load(finished.path / "diagnostics" / f"{NUM_UPDATES}.npz") as arrays:
        assert arrays["beta"].shape == arrays["trusted"].shape == (1, 400)
        assert arrays["plane"].shape == (400, 2)
        assert arrays["trusted"].mean() == 0.25
        assert ((arrays["beta"] > 0.0) & (arrays["beta"] < 0.6)).all()
        last = arrays["beta"]
    with np.load(finished.path / "diagnostics" / "0.npz") as arrays:
        assert not np.array_equal(arrays["beta"], last)


def test_load_policy_returns_the_final_policy(finished, dataset):
    """The actor of the last checkpoint on observations scaled as the data were."""
    policy = load_policy(finished.path)
    observations = np.random.default_rng(1).normal(size=(5, 11))
    actions = policy(observations)
    assert actions.shape == (5, 3)
    np.testing.assert_allclose(policy(observations[2]), actions[2], atol=1e-6)

    algorithm = registry.build(small_run.make_config(dataset), 3)
    params = jax.tree.map(lambda leaf: leaf[0], algorithm.policy_params(small_run.states(finished.path)))
    scaled = prepare(OfflineDataset.from_npz(dataset)).observation_scaling(observations).astype(np.float32)
    np.testing.assert_allclose(actions, algorithm.act(params, scaled, None), atol=1e-6)


def test_load_policy_says_what_is_missing(finished, tmp_path):
    with user_error(f"{finished.path} did not train seed 3: choose one of 0"):
        load_policy(finished.path, 3)
    with user_error("config.json cannot be read", "check that its folder is a run"):
        load_policy(tmp_path)


def assert_refused(finished, *arguments):
    status, output, messages = small_run.finish(small_run.start(*arguments))
    assert (status, messages.count("\n")) == (2, 1), messages
    assert messages.startswith("error: ")
    return output, messages


def test_a_finished_folder_is_refused(finished, dataset):
    before = {file: file.read_bytes() for file in finished.path.iterdir() if file.is_file()}
    _, messages = assert_refused(finished, *small_run.flags(dataset), f"--workdir={finished.path}")
    assert "finished run" in messages
    assert "--overwrite" in messages
    assert {file: file.read_bytes() for file in finished.path.iterdir() if file.is_file()} == before


def test_an_unknown_task_is_one_line(finished):
    output, messages = assert_refused(finished, "--config=configs/td3_bc.py:hoper-m")
    assert "unknown task 'hoper-m'; nearest: hopper-m" in messages
    assert output == ""


@pytest.mark.slow
def test_config_json_repeats_the_run(finished, tmp_path):
    status, _, messages = small_run.finish(
        small_run.start(f"--config={finished.path / 'config.json'}", f"--workdir={tmp_path / 'again'}")
    )
    assert status == 0, messages
    small_run.assert_same_numbers(finished.path, tmp_path / "again")


def test_a_run_without_its_preparation_is_one_line(finished, tmp_path):
    """Killed between its config and its preparation."""
    (tmp_path / "config.json").write_bytes((finished.path / "config.json").read_bytes())
    with user_error(f"{tmp_path / 'preparation.npz'}: no such file"):
        load_policy(tmp_path)
