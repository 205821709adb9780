"""Offline runs in this process: several seeds, the variants, custom data, and interrupted runs."""

import csv
import json

import jax
import numpy as np
import pytest

from ssar_jax.networks.actors import DeterministicActor
from ssar_jax.runs import offline
from ssar_jax.runs.load import load_policy
from ssar_jax.runs.storage.checkpoints import Checkpoints
from ssar_jax.training.trainer import OfflineTrainer
from tests.data.helpers import user_error
from tests.smoke import small_run

SHORTER = ("--config.num_updates=40", "--config.evaluation.interval=20", "--config.checkpoint.every=20")


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def run(path, config, **options):
    return offline.run(config, path, **options)


@pytest.mark.slow
def test_two_seeds_in_one_program_equal_two_runs(finished, dataset, tmp_path):
    """Rows of both tables, scores and final states, bit for bit; seed 0 ran alone in a process of its own."""
    both, alone = tmp_path / "both", tmp_path / "alone"
    assert run(both, small_run.make_config(dataset, "--config.num_seeds=2")) == 0
    assert run(alone, small_run.make_config(dataset, "--config.seed=1")) == 0
    together = small_run.states(both)
    for seed, path in ((0, finished.path), (1, alone)):
        for name in ("train.csv", "eval.csv"):
            rows = [row for row in read(both / name) if row["seed"] == str(seed)]
            assert rows == read(path / name)
        single = small_run.states(path)
        jax.tree.map(lambda a, b, s=seed: np.testing.assert_array_equal(a, b[s : s + 1]), single, together)

    summary, scores = small_run.summary(both), [small_run.summary(path) for path in (finished.path, alone)]
    assert summary["seeds"] == [0, 1]
    assert summary["final_score"] == [scores[0]["final_score"][0], scores[1]["final_score"][0]]
    assert summary["final_score_mean"] == pytest.approx(np.mean(summary["final_score"]))
    assert summary["final_score_std"] == pytest.approx(abs(np.diff(summary["final_score"])[0]) / 2)  # of two, ddof 0

    observation = np.ones(11)
    first, second = load_policy(both, 0)(observation), load_policy(both, 1)(observation)
    np.testing.assert_allclose(first, load_policy(finished.path)(observation), atol=1e-6)
    np.testing.assert_allclose(second, load_policy(alone, 1)(observation), atol=1e-6)
    assert not np.allclose(first, second)


@pytest.mark.slow
def test_a_run_that_is_interrupted_before_its_first_checkpoint_starts_again(finished, dataset, tmp_path, monkeypatch):
    def disk_full(*arguments):
        raise OSError("disk full")

    path, config = tmp_path / "run", small_run.make_config(dataset)
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", disk_full)
        with pytest.raises(OSError, match="disk full"):
            run(path, config)
    assert [row["step"] for row in read(path / "eval.csv")] == ["0"]
    assert run(path, config, resume=True) == 0
    small_run.assert_same_numbers(finished.path, path)


@pytest.mark.slow
def test_a_run_that_is_interrupted_at_its_end_is_only_summarized(finished, dataset, tmp_path, monkeypatch):
    """Killed between the last checkpoint and the summary: nothing is trained again."""

    def killed(*arguments):
        raise KeyboardInterrupt

    path, config = tmp_path / "run", small_run.make_config(dataset)
    with monkeypatch.context() as patch:
        patch.setattr(offline._OfflineRun, "_summarize", killed)
        with pytest.raises(KeyboardInterrupt):
            run(path, config)
    with monkeypatch.context() as patch:
        patch.setattr(offline.OfflineTrainer, "advance", killed)
        assert run(path, config, resume=True) == 0
    small_run.assert_same_numbers(finished.path, path)
    assert json.loads((path / "summary.json").read_text())["updates_per_second"] is None


def test_resuming_with_other_data_is_refused(finished, tmp_path):
    """The file has the name that the config gives, and other contents."""
    dataset = small_run.write_dataset(tmp_path / "data.npz")
    path, config = tmp_path / "run", small_run.make_config(dataset, *SHORTER)
    assert run(path, config) == 0
    (path / "summary.json").unlink()
    small_run.write_dataset(dataset, seed=1)
    before = (path / "train.csv").read_bytes()
    with user_error("the dataset changed: dataset_hash was", "selection_threshold was"):
        run(path, config, resume=True)
    assert (path / "train.csv").read_bytes() == before


@pytest.mark.slow
def test_overwriting_replaces_a_finished_run(dataset, tmp_path):
    path = tmp_path / "run"
    assert run(path, small_run.make_config(dataset, *SHORTER)) == 0
    first = small_run.summary(path)
    assert run(path, small_run.make_config(dataset, *SHORTER, "--config.seed=5"), overwrite=True) == 0
    assert (first["seeds"], small_run.summary(path)["seeds"]) == ([0], [5])
    assert {row["seed"] for row in read(path / "train.csv")} == {"5"}
    assert [row["step"] for row in read(path / "eval.csv")] == ["0", "20", "40"]


@pytest.mark.slow
def test_the_baseline(dataset, tmp_path):
    """Without a coefficient to learn, nothing is selected and the weight is 0.4 everywhere."""
    config = "configs/td3_bc.py:hopper-m,variant=base,preset=short"
    assert run(tmp_path / "run", small_run.make_config(dataset, *SHORTER, config=config)) == 0
    summary, rows = small_run.summary(tmp_path / "run"), read(tmp_path / "run" / "train.csv")
    assert (summary["variant"], summary["selection_fraction"], summary["selection_threshold"]) == ("base", 1.0, None)
    assert not any(name.startswith("coefficient/") for name in rows[0])
    assert [float(row["actor/regulariser_weight"]) for row in rows] == pytest.approx([0.4, 0.4])
    assert load_policy(tmp_path / "run")(np.zeros(11)).shape == (3,)


@pytest.mark.slow
def test_a_schedule_that_never_fires_is_a_warning(dataset, tmp_path, caplog):
    """Its period is 500 updates here, the run has 40."""
    run(tmp_path / "run", small_run.make_config(dataset, *SHORTER))
    assert "the threshold schedule never fires: its period is 500 updates, the run has 40" in caplog.text
    assert "the selection has no effect" not in caplog.text


@pytest.mark.slow
def test_a_selection_that_nothing_reads_is_a_warning(dataset, tmp_path, caplog):
    masks = ("--config.coefficient.mask_regularizer=False", "--config.coefficient.mask_coefficient=False")
    assert run(tmp_path / "run", small_run.make_config(dataset, *SHORTER, *masks)) == 0
    assert "the selection has no effect: set --config.selection.rule=none" in caplog.text


@pytest.fixture
def pendulum(tmp_path):
    """Random transitions of the pendulum's shape, torques from -2 to 2."""
    path = small_run.write_dataset(tmp_path / "pendulum.npz", 3, 1)
    with np.load(path) as arrays:
        columns = dict(arrays)
    np.savez(path, **{**columns, "actions": 2.0 * columns["actions"]})
    return path


@pytest.mark.slow
def test_custom_data_with_an_environment(pendulum, tmp_path):
    """Raw returns, because there are no reference returns; torques in the environment's range."""
    path = tmp_path / "run"
    flags = (*SHORTER, "--config.environment.id=Pendulum-v1")
    assert run(path, small_run.make_config(pendulum, *flags, config="configs/td3_bc.py:custom,preset=short")) == 0
    rows, summary = read(path / "eval.csv"), small_run.summary(path)
    assert [(row["score"], row["length"]) for row in rows] == [("", "200.0")] * 3
    assert all(-17.0 * 200 < float(row["return"]) < 0.0 for row in rows)  # at worst pi^2 + 0.1 * 8^2 + 0.001 * 2^2
    assert summary["final_return"] == [float(rows[-1]["return"])]
    assert "final_score" not in summary
    torques = load_policy(path)(np.linspace(-10.0, 10.0, 300).reshape(100, 3))
    assert torques.shape == (100, 1)
    assert (np.abs(torques) <= 2.0).all()


@pytest.mark.slow
def test_custom_data_without_an_environment(pendulum, tmp_path):
    """No evaluation and no score; the policy acts within the given bounds."""
    path = tmp_path / "run"
    flags = (*SHORTER, "--config.dataset.action_low=-2", "--config.dataset.action_high=(2,)")
    assert run(path, small_run.make_config(pendulum, *flags, config="configs/td3_bc.py:custom,preset=short")) == 0
    assert not (path / "eval.csv").exists()
    assert small_run.summary(path)["final_return"] == [None]
    policy = load_policy(path)
    observations = np.random.default_rng(0).normal(size=(50, 3))
    assert (np.abs(policy(observations)) <= 2.0).all()
    # The actor's output in [-1, 1], scaled to the bounds.
    params = jax.tree.map(lambda leaf: leaf[0], small_run.states(path).actor.params)
    with np.load(path / "preparation.npz") as arrays:
        scaled = np.float32((observations - arrays["mean"]) / arrays["std"])
    expected = 2.0 * np.asarray(DeterministicActor((8,), 1).apply({"params": params}, scaled))
    np.testing.assert_allclose(policy(observations), expected, atol=1e-6)


def test_the_last_update_is_evaluated_and_saved_for_all_intervals(dataset, tmp_path):
    """45 updates with evaluations every 20 and checkpoints every 30: both also at 45, at most 1,000 to a chunk."""
    flags = ("--config.num_updates=45", "--config.evaluation.interval=20", "--config.checkpoint.every=30")
    run(tmp_path / "run", small_run.make_config(dataset, *flags))
    assert [row["step"] for row in read(tmp_path / "run" / "eval.csv")] == ["0", "20", "40", "45"]
    assert [row["step"] for row in read(tmp_path / "run" / "train.csv")] == ["20", "30", "40", "45"]
    assert {folder.name for folder in (tmp_path / "run" / "checkpoints").iterdir()} == {"30", "45"}


def test_a_seed_that_diverges_stops_and_the_others_continue(dataset, tmp_path, monkeypatch, caplog):
    """A weight of seed 1 becomes NaN after update 20: seed 0 is unaffected, seed 1 keeps its state of update 20."""
    config = small_run.make_config(dataset, *SHORTER, "--config.num_seeds=2", "--config.num_updates=60")
    untouched, broken = tmp_path / "untouched", tmp_path / "broken"
    assert run(untouched, config) == 0
    advance = OfflineTrainer.advance

    def breaking(trainer, num_updates):
        if trainer.step == 20:
            states = jax.tree.map(np.array, trainer.states())
            jax.tree.leaves(states.critics)[0][1] = np.nan
            trainer.load(states, 20)
        return advance(trainer, num_updates)

    with monkeypatch.context() as patch:
        patch.setattr(OfflineTrainer, "advance", breaking)
        assert run(broken, config) == 0
    assert "seed 1 stopped: actor/loss was nan by update 40; its last good checkpoint, 20, is kept" in caplog.messages
    for name in ("train.csv", "eval.csv"):
        of_seed = [[row for row in read(path / name) if row["seed"] == "0"] for path in (untouched, broken)]
        assert of_seed[0] == of_seed[1]
    assert [row["step"] for row in read(broken / "eval.csv") if row["seed"] == "1"] == ["0", "20"]
    assert [row["step"] for row in read(broken / "train.csv") if row["seed"] == "1"] == ["20", "40"]

    whole, summary = small_run.summary(untouched), small_run.summary(broken)
    assert summary["final_score"] == [whole["final_score"][0], None]
    assert summary["final_score_mean"] == whole["final_score"][0]
    assert summary["stopped_seeds"]["1"]["checkpoint"] == 20
    states, good = small_run.states(broken), small_run.states(untouched)
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[0], b[0]), states, good)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(states) if leaf.dtype.kind == "f")
    assert np.all(np.isfinite(load_policy(broken, seed=1)(np.ones(11))))


def test_a_run_whose_seeds_all_diverge_ends(dataset, tmp_path, monkeypatch, caplog):
    """Status 1 and no summary."""
    config = small_run.make_config(dataset, *SHORTER)
    monkeypatch.setattr(
        OfflineTrainer, "states_on_devices", lambda trainer: jax.tree.map(lambda x: x * np.nan, trainer.policies())
    )
    assert run(tmp_path / "run", config) == 1
    assert "seed 0 stopped: a parameter was nan by update 20; it had no checkpoint yet" in caplog.messages
    assert not (tmp_path / "run" / "summary.json").exists()
