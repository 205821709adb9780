"""Columns that an algorithm declares: in the dataset, in minibatches, and online when an episode has ended."""

import itertools

import jax
import numpy as np
import pytest

from ssar_jax.data.dataset import OfflineDataset
from ssar_jax.data.scaling import prepare
from ssar_jax.training.layout import choose_layout
from ssar_jax.training.running_episodes import RunningEpisodes
from ssar_jax.training.trainer import OfflineTrainer
from ssar_jax.transitions import EpisodeColumn, Transitions
from tests.data.helpers import user_error
from tests.training import recorder
from tests.training.small_tuner import fine_tuner, make_dataset, make_diary


def count_down(transitions, ends):
    """The number of rows from here to the end of the episode: 3, 2, 1, 2, 1 for episodes of 3 and 2 rows."""
    stops = np.flatnonzero(ends) + 1
    return stops[np.searchsorted(stops, np.arange(len(ends)), side="right")] - np.arange(len(ends))


def pairs(transitions, ends):
    """Twice the first observation, and the reward: a column of width 2."""
    return np.stack([2 * transitions.observations[:, 0], transitions.rewards], axis=1)


COLUMNS = (EpisodeColumn("count_down", count_down, -1.0), EpisodeColumn("pairs", pairs, -2.0))


def tuner(**options):
    algorithm = make_diary(8)._replace(columns=COLUMNS)
    return fine_tuner(make_dataset(), algorithm=algorithm, **options)


def test_a_dataset_has_the_columns_of_its_episodes():
    """Two episodes of three rows with observations 0, 2, 4 and 106, 108, 110."""
    extras = prepare(make_dataset(), normalize_states=False, columns=COLUMNS).transitions.extras
    np.testing.assert_array_equal(extras["count_down"], [3, 2, 1, 3, 2, 1])
    np.testing.assert_array_equal(extras["pairs"][:, 0], [0, 4, 8, 212, 216, 220])
    np.testing.assert_array_equal(extras["pairs"][:, 1], [-1, -2, -3, -4, -5, -6])
    assert {column.dtype for column in extras.values()} == {np.dtype(np.float32)}


def test_a_minibatch_has_them_row_by_row():
    """The recorder keeps the observation of a row as `rows`; here it keeps the column as trust flags."""
    dataset, algorithm = make_dataset(), recorder.make()._replace(columns=COLUMNS)

    def update(state, batch, draws, **options):
        return recorder_update(state, batch._replace(trusted=batch.extras["pairs"][:, 0]), draws, **options)

    recorder_update = algorithm.update
    data = prepare(dataset, normalize_states=False, columns=COLUMNS)
    trainer = OfflineTrainer(algorithm._replace(update=update), data, batch_size=4)
    trainer.advance(recorder.CAPACITY)
    states = trainer.states()
    np.testing.assert_array_equal(states.trusted, 2 * states.rows)
    assert len(np.unique(states.rows)) == 6


def test_data_without_the_columns_are_refused():
    algorithm = recorder.make()._replace(columns=COLUMNS)
    with user_error("lack the column 'count_down'", "prepare(dataset, columns=algorithm.columns)"):
        OfflineTrainer(algorithm, prepare(make_dataset()))


def test_rows_in_no_order_have_no_columns():
    observations = np.random.default_rng(0).normal(size=(8, 2))
    dataset = OfflineDataset.from_arrays(
        observations=observations, actions=np.zeros((8, 1)), rewards=np.zeros(8), masks=np.ones(8),
        next_observations=observations + 1.0,
    )  # fmt: skip
    with user_error("in no order of episodes and count_down, pairs cannot be computed: sort the rows, or choose"):
        prepare(dataset, columns=COLUMNS)


def test_columns_of_another_algorithm_are_left_out():
    """Data that were prepared for an algorithm with columns also serve one without, in both phases."""
    data = prepare(make_dataset(), normalize_states=False, columns=COLUMNS)
    OfflineTrainer(recorder.make(), data, batch_size=4).advance(1)
    tuners = [fine_tuner(make_dataset(), columns=columns) for columns in (COLUMNS, ())]
    for each in tuners:
        each.advance(6)
    jax.tree.map(np.testing.assert_array_equal, *(each.states() for each in tuners))


def expected(rows, steps, ended):
    """The columns of the online rows: time t is the first observation, and an episode begins where it is 0."""
    times, rewards = rows.observations[:, :, 0], rows.rewards
    count, pair = np.full(times.shape, -1.0), np.full((*times.shape, 2), -2.0)
    for s in range(len(times)):
        starts = [*np.flatnonzero(times[s, :steps] == 0), steps]
        for first, stop in itertools.pairwise(starts):
            if stop < steps or ended[s]:
                count[s, first:stop] = np.arange(stop - first, 0, -1)
                pair[s, first:stop] = np.stack([2 * times[s, first:stop], rewards[s, first:stop]], axis=1)
    return count, pair


@pytest.mark.parametrize("vmapped", [pytest.param(False, marks=pytest.mark.slow), True])
def test_online_they_are_known_when_an_episode_has_ended(vmapped):
    """After every step, for three seeds with episodes of 2 to 5 steps; -1 and -2 in the rows of the running ones."""
    whole = tuner(seeds=(3, 5, 9), layout=choose_layout(3, vmapped), mode="half")
    endings = 0
    for steps in range(1, 15):
        whole.advance(1)
        _, memory, _ = whole.save()
        ended = [bool(returns) for returns in whole.finished_returns]
        count, pair = expected(memory.rows, steps, ended)
        np.testing.assert_array_equal(memory.rows.extras["count_down"], count[:, :steps])
        np.testing.assert_array_equal(memory.rows.extras["pairs"], pair[:, :steps])
        endings += sum(ended)
    assert endings > 6


def test_a_saved_fine_tuner_knows_its_running_episodes():
    """Saved after 7 steps, with a ring of 4 rows that wraps."""
    whole, first, second = (tuner(seeds=(0, 1), mode="none", capacity=4) for _ in range(3))
    whole.advance(16)
    first.advance(7)
    assert any(entry["actions"] for entry in first.save()[2])
    second.load(*first.save(), 7)
    second.advance(9)
    for a, b in zip(jax.tree.leaves(second.save()[:2]), jax.tree.leaves(whole.save()[:2]), strict=True):
        np.testing.assert_array_equal(a, b)


def test_long_episodes_are_filled_in_by_blocks(monkeypatch):
    """An episode of 5 rows and one of 2, which are transitions 3 to 7 and 6 to 7, in blocks of 3."""
    monkeypatch.setattr(RunningEpisodes, "BLOCK", 3)
    episodes = RunningEpisodes(COLUMNS[:1], num_seeds=3)
    row = np.zeros((3, 1), np.float32)
    for step in range(5):
        episodes.add(Transitions(row, row, row[:, 0], row[:, 0], row))
        if step == 2:
            episodes.end([1], steps=6)
    fillings = episodes.end([0, 1], steps=8)
    assert [filling.first.tolist() for filling in fillings] == [[3, 6, 0], [6, 9, 0]]
    assert [filling.stop.tolist() for filling in fillings] == [[6, 8, 0], [8, 9, 0]]
    np.testing.assert_array_equal(fillings[0].values["count_down"], [[5, 4, 3], [2, 1, 0], [0, 0, 0]])
    np.testing.assert_array_equal(fillings[1].values["count_down"], [[2, 1, 0], [0, 0, 0], [0, 0, 0]])
