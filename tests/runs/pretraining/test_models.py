"""Pretrained models, for SPOT's density models: one per seed, trained once, cached, saved by the run."""

import dataclasses
import re
from contextlib import closing

import jax
import numpy as np
import pytest

from ssar_jax.algorithms import spot
from ssar_jax.coefficients.constant import constant
from ssar_jax.data.scaling import ObservationScaling, RewardMap
from ssar_jax.runs import offline
from ssar_jax.runs.load import load_policy
from ssar_jax.runs.pretraining import models
from ssar_jax.runs.pretraining.models import pretrain
from ssar_jax.runs.storage.folder import RunFolder
from ssar_jax.training.trainer import OfflineTrainer
from tests.data.helpers import user_error
from tests.smoke import small_run
from tests.training import small_sa

SIZES = spot.SPOTConfig(
    critic_hidden_sizes=(4,),
    actor_hidden_sizes=(4,),
    density_hidden_sizes=(4,),
    density_num_updates=2,
    density_batch_size=4,
)
ALGORITHM = spot.spot(2, constant(0.1), SIZES)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SSAR_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def trained(monkeypatch):
    """Replaces training: all parameters of seed s are s. Returns the seeds of every training."""
    trainings = []
    network = spot.VAE((4,), 2)

    def train(wanted, data, seeds, partial_result, interruption):
        trainings.append(seeds)
        columns = data.transitions.observations[:1], data.transitions.actions[:1]
        shapes = jax.eval_shape(lambda key: spot.initial_density(network, key, *columns), jax.random.key(0))
        return {s: jax.tree.map(lambda leaf, s=s: np.full(leaf.shape, s, leaf.dtype), shapes) for s in seeds}

    monkeypatch.setattr(models, "_train", train)
    return trainings


def load(rows, *seeds, dataset_hash="hash", **changes):
    """The density models of these seeds, with changed hyperparameters."""
    numbers = {f"density_{name}": value for name, value in changes.items()}
    return pretrain(spot.spot(2, constant(0.1), SIZES._replace(**numbers)), rows, dataset_hash, seeds=seeds)


def test_every_seed_has_its_model(rows, trained):
    for leaf in jax.tree.leaves(load(rows, 3, 1)):
        np.testing.assert_array_equal(leaf[0], np.full(leaf.shape[1:], 3.0))
        np.testing.assert_array_equal(leaf[1], np.full(leaf.shape[1:], 1.0))


def test_nothing_else_in_the_states_changes(rows, trained):
    trainer = OfflineTrainer(ALGORITHM, rows, seeds=(0, 1), batch_size=4)
    before = trainer.states()
    trained_models = load(rows, 0, 1)
    trainer.install_pretrained(trained_models)
    after = trainer.states()
    jax.tree.map(np.testing.assert_array_equal, after.density, trained_models)
    others = [state._replace(density=()) for state in (after, before)]
    jax.tree.map(np.testing.assert_array_equal, *others)
    assert jax.tree.structure(after) == jax.tree.structure(before)
    assert trainer.step == 0


def test_without_its_model_the_algorithm_refuses_to_train(rows, trained):
    trainer = OfflineTrainer(ALGORITHM, rows, seeds=(0, 1), batch_size=4)
    with user_error("the density model is missing", "trainer.install_pretrained(pretrain("):
        trainer.advance(2)
    trainer.install_pretrained(load(rows, 0, 1))
    assert np.isfinite(trainer.advance(2)["actor/loss"]).all()


def test_only_an_algorithm_that_needs_a_model_has_one_trained(rows):
    base = small_sa.make_base()
    with user_error("needs no pretrained model"):
        pretrain(base, rows, "hash", seeds=(0,))
    with user_error("needs no pretrained model"):
        OfflineTrainer(base, rows, batch_size=4).install_pretrained({})


def test_only_seeds_that_are_not_in_the_cache_are_trained(rows, trained):
    load(rows, 0, 1)
    load(rows, 0, 1)
    load(rows, 0, 1, 2)
    assert [seed for seeds in trained for seed in seeds] == [0, 1, 2]


def test_finished_models_are_kept_when_the_rest_is_interrupted(rows, trained, monkeypatch):
    """One device trains one seed at a time; the second is interrupted, and the next run trains only that."""
    train, killed = models._train, []

    def interrupt(wanted, data, seeds, *others):
        if seeds == [1] and not killed:
            killed.append(seeds)
            raise KeyboardInterrupt
        return train(wanted, data, seeds, *others)

    monkeypatch.setattr(models, "_train", interrupt)
    monkeypatch.setattr(jax, "devices", lambda: jax.local_devices()[:1])
    with pytest.raises(KeyboardInterrupt):
        load(rows, 0, 1)
    load(rows, 0, 1)
    assert trained == [[0], [1]]


@pytest.mark.slow
def test_a_model_that_diverges_is_one_line_and_not_cached(rows, cache):
    observations = np.full_like(rows.transitions.observations, np.inf)
    broken = dataclasses.replace(rows, transitions=rows.transitions._replace(observations=observations))
    with user_error("density/loss of seeds [3] is not finite at update 2", "--config.density.learning_rate"):
        load(broken, 3)
    assert not list(cache.rglob("*.npz"))


def test_everything_that_determines_a_model_is_in_its_key(rows, trained):
    """Dataset, scaling of observations, clipping of actions and hyperparameters; rewards do not matter."""
    load(rows, 0)
    load(dataclasses.replace(rows, reward_map=RewardMap(2.0, -1.0)), 0)
    assert len(trained) == 1
    load(rows, 0, dataset_hash="other")
    load(dataclasses.replace(rows, observation_scaling=ObservationScaling(np.ones(3), np.ones(3))), 0)
    load(dataclasses.replace(rows, transitions=rows.transitions._replace(actions=0.5 * rows.transitions.actions)), 0)
    load(rows, 0, num_updates=3)
    load(rows, 0, batch_size=5)
    load(rows, 0, learning_rate=0.1)
    assert len(trained) == 7


def test_a_damaged_file_is_one_line(rows, trained, cache):
    load(rows, 0)
    (file,) = (cache / "density").iterdir()
    file.write_bytes(b"half of a file")
    with user_error(str(file), "not a .npz file", "delete it to train again"):
        load(rows, 0)


@pytest.mark.slow  # compares bits, so it needs the default compilation
def test_a_seeds_model_does_not_depend_on_the_other_seeds(rows, monkeypatch, tmp_path, capsys):
    """The real training; the second call has an empty cache."""
    together = load(rows, 0, 1, num_updates=20)
    title = r"density model: 20 updates of the conditional VAE, seed(s \[0, 1\]| 0)"  # one device trains one at a time
    assert re.match(rf"{title}\n20 of 20 updates, ", capsys.readouterr().out)
    monkeypatch.setenv("SSAR_CACHE_DIR", str(tmp_path / "other"))
    alone = load(rows, 1, num_updates=20)
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[0], b[1]), alone, together)
    assert not np.array_equal(together["decoder"]["layer0"]["kernel"][0], alone["decoder"]["layer0"]["kernel"][0])


CONFIG = "configs/spot.py:hopper-m,preset=short"
SMALL = (
    *("--config.density.hidden_sizes=(8,)", "--config.density.num_updates=10", "--config.num_seeds=2"),
    *("--config.num_updates=40", "--config.evaluation.interval=20", "--config.checkpoint.every=20"),
)


def test_an_error_in_pretraining_replaces_no_run(tmp_path, monkeypatch):
    """The cache is not writable, so --overwrite does not replace the finished run."""
    config = small_run.make_config(small_run.write_dataset(tmp_path / "random.npz"), *SMALL, config=CONFIG)
    path = tmp_path / "finished"
    with closing(RunFolder(path, config.to_dict(), resume=False, overwrite=False)) as folder:
        folder.start()
        folder.write_json("summary.json", {})
    (tmp_path / "file").touch()
    monkeypatch.setenv("SSAR_CACHE_DIR", str(tmp_path / "file"))
    with user_error("cannot write to", "set SSAR_CACHE_DIR to another folder"):
        offline.run(config, path, overwrite=True)
    assert (path / "summary.json").exists()


@pytest.mark.slow  # three runs
def test_a_whole_run_is_resumed_with_its_density_models(tmp_path, monkeypatch):
    """The second run is interrupted at its end and resumes from update 20 without the cache, to the same numbers."""
    config = small_run.make_config(small_run.write_dataset(tmp_path / "random.npz"), *SMALL, config=CONFIG)
    whole, interrupted = tmp_path / "whole", tmp_path / "interrupted"
    assert offline.run(config, whole) == 0
    last = {"evaluations": 0}
    evaluate = offline._OfflineRun._evaluate

    def killed_at_the_third(run, *arguments):
        last["evaluations"] += 1
        if last["evaluations"] == 3:
            raise KeyboardInterrupt
        return evaluate(run, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(offline._OfflineRun, "_evaluate", killed_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            offline.run(config, interrupted)
    with monkeypatch.context() as patch:
        patch.setattr(offline, "pretrain", None)
        assert offline.run(config, interrupted, resume=True) == 0
    small_run.assert_same_numbers(whole, interrupted)

    assert small_run.summary(whole)["algorithm"] == "spot"
    observation = np.ones(11)
    first, second = load_policy(whole, 0)(observation), load_policy(whole, 1)(observation)
    assert first.shape == (3,)
    assert not np.allclose(first, second)
