"""The statistics of embedded datasets, against numbers counted by hand."""

import dataclasses

import numpy as np
import pytest

from ssar_jax.behaviour.statistics import describe, markdown_table, page
from ssar_jax.data.tasks import get_task
from tests.data.helpers import trajectories

HOPPER = dataclasses.replace(get_task("hopper-m"), horizon=4, reference_min=0.0, reference_max=10.0)
MAZE = dataclasses.replace(get_task("antmaze-u"), horizon=4)


def dataset(*rewards, terminal_rows=()):
    """One episode per list of rewards."""
    episodes = trajectories(*rewards, terminal=False)
    masks = np.ones(len(episodes), np.float32)
    masks[list(terminal_rows)] = 0.0
    actions = np.tile(np.float32([[1.0, 0.5], [-1.0, 0.5]]), (len(episodes), 1))[: len(episodes)]
    return dataclasses.replace(episodes, masks=masks, actions=actions)


def test_an_episode_is_whole_at_the_time_limit_or_in_a_terminal_state():
    """Returns 4 (time limit), 2 (terminal) and 100 (cut off after one step): the mean of whole ones is 3 of 10."""
    row = describe(HOPPER, dataset([1, 1, 1, 1], [1, 1], [100], terminal_rows=[5]))
    assert (row.transitions, row.episodes, row.cut_off) == (7, 3, 1)
    assert row.returns == pytest.approx((2.2, 3.0, 3.8))
    assert row.best == 4.0
    assert row.score == pytest.approx(30.0)
    assert row.successes is None
    assert row.mean_length == pytest.approx(7 / 3)
    assert row.terminals == pytest.approx(1 / 7)
    assert row.saturated == pytest.approx(0.5)
    assert row.action_std == pytest.approx(np.std([1, -1, 1, -1, 1, -1, 1]) / 2)


def test_in_a_maze_a_terminal_row_does_not_end_an_episode():
    """Two of three ended at the time limit, one of them at the goal; the third was cut off there."""
    row = describe(MAZE, dataset([0, 0, 1, 1], [0, 0, 0, 0], [0, 1], terminal_rows=[2, 3, 9]))
    assert (row.episodes, row.cut_off) == (3, 1)
    assert row.successes == pytest.approx(0.5)
    assert row.score is None


def test_a_set_of_nothing_but_cut_off_episodes_has_no_score():
    row = describe(HOPPER, dataset([1, 1], [1]))
    assert (row.cut_off, row.returns, row.best, row.score) == (2, None, None, None)
    assert markdown_table([row]).splitlines()[-1] == "| hopper-m | 3 | 2 | 2 | 2 |  |  |  |  | 0.00% | 0.47 | 50.0% |"


def test_the_page_names_the_commands_that_make_it():
    row = describe(HOPPER, dataset([1, 1, 1, 1]))
    text = page([row], tasks=["a", "b"], num_steps=200, command="embedded --tasks=a,b", examination="## Compared\n")
    assert "embedded --tasks=a,b --num_steps=200` generates" in text
    assert "`python -m experiments.collect embedded --tasks=a,b` writes this page" in text
    assert "| hopper-m | 4 | 1 | 0 | 4 | 4 / 4 / 4 | 4 | 40.0 |" in text
    assert text.endswith("0.99.\n\n## Compared\n")
    assert page([row], tasks=["all"], num_steps=None, command="x").endswith("0.99.\n")
