"""Returns-to-go by hand: terminals, time-outs, the cut-off last episode, and sparse rewards."""

import numpy as np
import pytest

from ssar_jax.ops.returns import returns_to_go


def test_terminals_time_outs_and_the_cut_off_last_episode():
    """Discount 0.5. A terminal, a time-out and the end of the recording all stop the sum.

    Episode 1, ends with a terminal: 4; 2 + 0.5 * 4 = 4; 1 + 0.5 * 4 = 3.
    Episode 2, a time-out, whose mask is 1: 8; 6 + 0.5 * 8 = 10.
    Episode 3, one row. Episode 4, cut off: -2; 0 + 0.5 * -2 = -1.
    """
    rewards = np.array([1, 2, 4, 6, 8, 7, 0, -2], np.float32)
    masks = np.array([1, 1, 0, 1, 1, 1, 1, 1], np.float32)
    ends = np.array([0, 0, 1, 0, 1, 1, 0, 1], bool)
    returns = returns_to_go(rewards, masks, ends, discount=0.5)
    assert returns.dtype == np.float64
    np.testing.assert_array_equal(returns, [3, 4, 4, 10, 8, 7, -1, -2])


def test_a_terminal_within_an_episode_stops_the_sum():
    """Recorded ends may leave a terminal inside: 1 + 0.5 * 2 = 2; 2 and nothing of the 4 after it; 4."""
    returns = returns_to_go(np.float32([1, 2, 4]), np.float32([1, 0, 1]), np.array([False, False, True]), 0.5)
    np.testing.assert_array_equal(returns, [2, 2, 4])


def test_failures_fail_forever():
    """Reward 10 r - 5 with discount 0.9. A failed episode has -5 / (1 - 0.9) = -50 in every row, time-out or cut-off.

    The successful one: 5; -5 + 0.9 * 5 = -0.5; -5 + 0.9 * -0.5 = -5.45.
    """
    rewards = np.array([-5, -5, -5, -5, 5, -5], np.float32)
    masks = np.array([1, 1, 1, 1, 0, 1], np.float32)
    ends = np.array([0, 1, 0, 0, 1, 1], bool)
    returns = returns_to_go(rewards, masks, ends, 0.9, failure_reward=-5.0)
    np.testing.assert_allclose(returns, [-50, -50, -5.45, -0.5, 5, -50], rtol=1e-12)


def test_what_follows_the_last_goal_of_an_episode_fails_forever():
    """An AntMaze episode goes on after its terminal; the published programs cut it there.

    Reward 10 r - 5 with discount 0.9, goals at rows 1 and 2: 5, -5 + 0.9 * 5 = -0.5, then -5 / (1 - 0.9) = -50.
    """
    rewards = np.array([-5, 5, 5, -5, -5, -5], np.float32)
    masks = np.array([1, 0, 0, 1, 1, 1], np.float32)
    ends = np.array([0, 0, 0, 0, 0, 1], bool)
    returns = returns_to_go(rewards, masks, ends, 0.9, failure_reward=-5.0)
    np.testing.assert_allclose(returns, [-0.5, 5, 5, -50, -50, -50], rtol=1e-12)


def test_a_failure_is_found_after_rounding():
    """-0.1 is not a float32; the mapped rewards are its nearest one."""
    rewards = np.float32([-0.1, -0.1])
    returns = returns_to_go(rewards, np.ones(2, np.float32), np.array([False, True]), 0.9, failure_reward=-0.1)
    np.testing.assert_allclose(returns, -1.0, rtol=1e-6)


@pytest.mark.parametrize("discount", [0.0, 0.99, 1.0])
def test_many_episodes_agree_with_a_plain_loop(discount):
    rng = np.random.default_rng(0)
    rewards, masks = rng.normal(size=500).astype(np.float32), (rng.random(500) < 0.95).astype(np.float32)
    ends = rng.random(500) < 0.05
    ends[-1] = True
    expected = np.zeros(500)
    for t in reversed(range(500)):
        following = 0.0 if ends[t] else expected[t + 1]
        expected[t] = float(rewards[t]) + discount * float(masks[t]) * following
    np.testing.assert_allclose(returns_to_go(rewards, masks, ends, discount), expected, rtol=1e-12, atol=1e-12)
