"""Selection by advantage: the masks of every seed are trained once and cached."""

import dataclasses

import numpy as np
import pytest

from ssar_jax.data.scaling import ObservationScaling, RewardMap
from ssar_jax.runs.pretraining import advantage
from ssar_jax.runs.pretraining import cache as pretraining
from ssar_jax.runs.pretraining.advantage import select_by_advantage
from ssar_jax.training.trainer import OfflineTrainer
from tests.data.helpers import user_error

RULE = {"expectile": 0.7, "num_updates": 2}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SSAR_CACHE_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def trained(monkeypatch):
    """Replaces training: the mask of seed s has every (s + 2)-th row. Returns the seeds of every training."""
    trainings = []

    def train(data, seeds, partial_result, interruption, expectile, num_updates):
        trainings.append(seeds)
        return {seed: np.arange(len(data.transitions.rewards)) % (seed + 2) == 0 for seed in seeds}

    monkeypatch.setattr(advantage, "_train", train)
    return trainings


def test_masks_are_those_of_each_seed(rows, trained):
    """Twenty rows do not fill whole bytes, in which the masks are stored."""
    selection = select_by_advantage(rows, "hash", seeds=(0, 1), **RULE)
    np.testing.assert_array_equal(selection.trusted, [np.arange(20) % 2 == 0, np.arange(20) % 3 == 0])
    assert (selection.trusted.dtype, selection.threshold) == (np.float32, None)


def test_only_seeds_that_are_not_in_the_cache_are_trained(rows, trained):
    first = select_by_advantage(rows, "hash", seeds=(0, 1), **RULE)
    again = select_by_advantage(rows, "hash", seeds=(0, 1), **RULE)
    more = select_by_advantage(rows, "hash", seeds=(0, 1, 2), **RULE)
    assert [seed for seeds in trained for seed in seeds] == [0, 1, 2]
    np.testing.assert_array_equal(again.trusted, first.trusted)
    np.testing.assert_array_equal(more.trusted[:2], first.trusted)


def test_everything_that_determines_a_mask_is_in_its_key(rows, trained):
    """Dataset, number of updates, expectile, scaling of observations and rewards, and clipping of actions."""

    def select(data=rows, dataset_hash="hash", **changes):
        select_by_advantage(data, dataset_hash, seeds=(0,), **(RULE | changes))

    select()
    select()
    assert len(trained) == 1
    select(dataset_hash="other")
    select(num_updates=3)
    select(expectile=0.8)
    select(dataclasses.replace(rows, observation_scaling=ObservationScaling(np.ones(3), np.ones(3))))
    select(dataclasses.replace(rows, reward_map=RewardMap(2.0, 0.0)))
    select(dataclasses.replace(rows, reward_map=RewardMap(1.0, -1.0)))
    select(dataclasses.replace(rows, transitions=rows.transitions._replace(actions=0.5 * rows.transitions.actions)))
    assert len(trained) == 8


def test_a_damaged_mask_is_one_line(rows, trained, cache):
    select_by_advantage(rows, "hash", seeds=(0,), **RULE)
    (file,) = (cache / "advantage").iterdir()
    for content in (b"", b"half of a file", file.read_bytes()[:-1]):
        file.write_bytes(content)
        with user_error(str(file), "truncated or damaged", "delete it to train again"):
            select_by_advantage(rows, "hash", seeds=(0,), **RULE)


@pytest.mark.slow
def test_a_seeds_mask_does_not_depend_on_the_other_seeds(rows, cache, monkeypatch):
    """The real value functions; the second call has an empty cache."""
    together = select_by_advantage(rows, "hash", seeds=(0, 1), expectile=0.7, num_updates=20)
    monkeypatch.setenv("SSAR_CACHE_DIR", str(cache / "other"))
    alone = select_by_advantage(rows, "hash", seeds=(1,), expectile=0.7, num_updates=20)
    np.testing.assert_array_equal(alone.trusted[0], together.trusted[1])
    assert 0.0 < together.fraction < 1.0
    assert set(np.unique(together.trusted)) == {0.0, 1.0}


@pytest.mark.slow
def test_pretraining_shares_no_minibatch_with_the_run(rows, monkeypatch):
    """Minibatches depend only on a trainer's seeds, so those of the value functions must be different ones."""
    given = []

    class Recorder(OfflineTrainer):
        def __init__(self, *arguments, seeds, **options):
            given.extend(seeds)
            super().__init__(*arguments, seeds=seeds, **options)

    monkeypatch.setattr(pretraining, "OfflineTrainer", Recorder)
    select_by_advantage(rows, "hash", seeds=(0, 1), expectile=0.7, num_updates=1)
    assert len({0, 1, *given}) == 4
