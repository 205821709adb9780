"""Selection rules on hand-made trajectories."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssar_jax.data.dataset import OfflineDataset
from ssar_jax.data.selection import (
    keep_best,
    keep_top_fraction,
    segments,
    select_all,
    select_by_return,
    select_successful,
    select_top_fraction,
)
from tests.data.helpers import trajectories, user_error


def test_returns_strictly_above_the_threshold() -> None:
    dataset = trajectories([1.0, 2.0], [2.0], [4.0, 0.0, -0.5])  # returns 3, 2, 3.5
    np.testing.assert_array_equal(select_by_return(dataset, 2.5).trusted, [1, 1, 0, 1, 1, 1])
    np.testing.assert_array_equal(select_by_return(dataset, 3.0).trusted, [0, 0, 0, 1, 1, 1])
    selection = select_by_return(dataset, 2.0)
    assert selection.trusted.dtype == np.float32
    assert selection.fraction == pytest.approx(5 / 6)
    assert selection.threshold == 2.0


def test_recorded_ends_decide_and_not_the_jumps_between_rows() -> None:
    """Episodes of three rows: one after the other without a jump, and with a jump after every row."""
    rows = np.arange(6.0)[:, None]
    for next_observations in (rows + 1.0, rows + 1.5):
        dataset = OfflineDataset.from_arrays(
            observations=rows,
            actions=np.zeros((6, 1)),
            rewards=[1.0, 1.0, 1.0, 0.0, 0.0, 2.0],  # the best row is not of the best episode
            masks=np.ones(6),
            next_observations=next_observations,
            episode_ends=[0, 0, 1, 0, 0, 1],
        )
        np.testing.assert_array_equal(select_top_fraction(dataset, 0.5).trusted, [1, 1, 1, 0, 0, 0])
        np.testing.assert_array_equal(select_successful(dataset).trusted, np.ones(6))
        np.testing.assert_array_equal(keep_best(dataset, 1), [0, 1, 2])


def test_a_trajectory_ends_at_every_terminal() -> None:
    """Also within an episode, since D4RL's AntMaze continues after them; jumps in its files give the same ends."""
    dataset = OfflineDataset.from_arrays(
        observations=np.arange(4.0)[:, None],
        actions=np.zeros((4, 1)),
        rewards=[0.0, 1.0, 0.0, 0.0],
        masks=[1, 0, 1, 1],
        next_observations=np.arange(4.0)[:, None] + 1.0,
        episode_ends=[0, 0, 0, 1],
    )
    np.testing.assert_array_equal(segments(dataset).stops, [2, 4])
    np.testing.assert_array_equal(segments(dataset, tolerance=1e-6).stops, [2, 4])
    np.testing.assert_array_equal(select_successful(dataset).trusted, [1, 1, 0, 0])


def test_infinite_thresholds_select_everything_and_nothing() -> None:
    dataset = trajectories([-1e6], [1e6])
    assert select_by_return(dataset, -np.inf).fraction == select_all(dataset).fraction == 1.0
    assert select_by_return(dataset, np.inf).fraction == 0.0


def test_a_step_limit_cuts_trajectories() -> None:
    dataset = trajectories([1.0, 1.0, 5.0, 5.0], terminal=False)
    np.testing.assert_array_equal(select_by_return(dataset, 3.0, max_steps=2).trusted, [0, 0, 1, 1])
    np.testing.assert_array_equal(select_by_return(dataset, 3.0).trusted, [1, 1, 1, 1])


def test_top_fraction_counts_trajectories() -> None:
    dataset = trajectories(*[[float(i)] for i in range(10)])  # returns 0 .. 9: the best three are 7, 8, 9
    selection = select_top_fraction(dataset, 0.3)
    np.testing.assert_array_equal(selection.trusted, [0] * 7 + [1] * 3)
    assert selection.threshold == 6.0


def test_top_fraction_selects_at_least_one_and_at_most_all() -> None:
    dataset = trajectories([1.0], [2.0], [3.0])
    np.testing.assert_array_equal(select_top_fraction(dataset, 0.01).trusted, [0, 0, 1])
    everything = select_top_fraction(dataset, 1.0)
    assert everything.fraction == 1.0
    assert everything.threshold < 1.0
    assert everything.threshold == pytest.approx(1.0)


def test_top_fraction_takes_ties_along() -> None:
    dataset = trajectories([5.0], [5.0], [5.0], [1.0])
    selection = select_top_fraction(dataset, 0.25)
    np.testing.assert_array_equal(selection.trusted, [1, 1, 1, 0])
    assert selection.threshold == 1.0


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=5), min_size=1, max_size=12),
    st.floats(0.01, 1.0),
)
def test_the_threshold_of_a_fraction_selects_the_same_rows(rewards: list[list[float]], fraction: float) -> None:
    dataset = trajectories(*rewards)
    selection = select_top_fraction(dataset, fraction)
    assert selection.fraction > 0.0
    again = select_by_return(dataset, selection.threshold)
    np.testing.assert_array_equal(again.trusted, selection.trusted)
    for segment in np.split(selection.trusted, np.cumsum([len(part) for part in rewards])[:-1]):
        assert segment.min() == segment.max()  # constant within a trajectory


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.5])
def test_fractions_that_make_no_sense(fraction: float) -> None:
    with user_error(f"(0, 1], not {fraction}"):
        select_top_fraction(trajectories([1.0]), fraction)


def test_success_by_our_rule() -> None:
    # A reward on the way does not count, the last one does.
    dataset = trajectories([0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0], [0.0, 0.0])
    np.testing.assert_array_equal(select_successful(dataset).trusted, [0, 0, 0, 1, 1, 1, 1, 0, 0])


def test_success_by_the_authors_rule_differs_where_rewards_are_negative() -> None:
    dataset = trajectories([0.0, -0.5], [0.0, 1.0], [0.0, 0.0])
    np.testing.assert_array_equal(select_successful(dataset).trusted, [0, 0, 1, 1, 0, 0])
    authors = select_successful(dataset, stored_rewards=dataset.rewards - 1.0, no_reward=-1.0)
    np.testing.assert_array_equal(authors.trusted, [1, 1, 1, 1, 0, 0])
    with pytest.raises(ValueError, match="both stored_rewards and no_reward"):
        select_successful(dataset, no_reward=-1.0)


def test_keep_best_by_our_rule_and_by_the_authors() -> None:
    dataset = trajectories([1.0, 1.0], [9.0], [3.0, 4.0], [5.0])  # rows 0-1, 2, 3-4, 5; returns 2, 9, 7, 5
    np.testing.assert_array_equal(keep_best(dataset, 2), [2, 3, 4])
    np.testing.assert_array_equal(keep_best(dataset, 99), [2, 3, 4, 5, 0, 1])
    # The authors' scan never completes the trajectory with the last row.
    np.testing.assert_array_equal(keep_best(dataset, 99, keep_open_tail=False), [2, 3, 4, 0, 1])
    # With a large tolerance, and no terminals, the borders disappear.
    joined = trajectories([1.0, 1.0], [9.0], terminal=False)
    np.testing.assert_array_equal(keep_best(joined, 1, tolerance=1000.0), [0, 1, 2])
    np.testing.assert_array_equal(keep_best(joined, 1), [2])


def test_keep_best_keeps_the_order_of_equal_returns() -> None:
    np.testing.assert_array_equal(keep_best(trajectories([2.0], [1.0], [2.0]), 3), [0, 2, 1])


def test_keep_best_of_none() -> None:
    with user_error("at least 1, not 0"):
        keep_best(trajectories([1.0]), 0)


def test_rules_refuse_impossible_numbers() -> None:
    dataset = trajectories([1.0, 2.0])
    with user_error("the return threshold of the selection must be a number, not nan"):
        select_by_return(dataset, float("nan"))
    with user_error("stored_rewards has shape (2, 1); [2] is needed"):
        select_successful(dataset, stored_rewards=np.zeros((2, 1)), no_reward=0.0)


def test_the_best_episodes_alone_are_a_dataset() -> None:
    """Returns 3, 2 and 3.5; two thirds of three episodes are two, and at least one is kept."""
    dataset = trajectories([1.0, 2.0], [2.0], [4.0, 0.0, -0.5])
    kept = keep_top_fraction(dataset, 0.67)
    np.testing.assert_array_equal(kept.rewards, [1.0, 2.0, 4.0, 0.0, -0.5])
    np.testing.assert_array_equal(kept.observations, dataset.observations[[0, 1, 3, 4, 5]])
    np.testing.assert_array_equal(kept.episode_ends, [0, 1, 0, 0, 1])
    assert keep_top_fraction(dataset, 1.0).content_hash == dataset.content_hash
    assert keep_top_fraction(dataset, 0.1).rewards.sum() == 3.5
    with user_error("the fraction of the trajectories to keep must be in (0, 1], not 0.0"):
        keep_top_fraction(dataset, 0.0)


def test_of_equal_episodes_no_more_than_the_fraction_is_kept() -> None:
    """In a maze most returns are equal; a terminal inside an episode, such as a row at the goal, does not cut it."""
    dataset = OfflineDataset.from_arrays(
        observations=np.arange(8.0)[:, None],
        actions=np.zeros((8, 1)),
        rewards=[0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0],
        masks=[1, 0, 1, 1, 0, 1, 1, 1],
        next_observations=np.arange(8.0)[:, None] + 1.0,
        episode_ends=[0, 1, 0, 1, 0, 1, 0, 1],
    )
    np.testing.assert_array_equal(keep_top_fraction(dataset, 0.25).observations[:, 0], [0, 1])
    np.testing.assert_array_equal(keep_top_fraction(dataset, 0.75).observations[:, 0], [0, 1, 2, 3, 4, 5])
