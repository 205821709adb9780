"""Discounted returns of recorded episodes, in NumPy: they are computed once, on the host."""

import numpy as np


def returns_to_go(
    rewards: np.ndarray,
    masks: np.ndarray,
    ends: np.ndarray,
    discount: float,
    failure_reward: float | None = None,
) -> np.ndarray:
    """Computes the discounted return from every row to the end of its episode, G_t = r_t + discount * mask_t * G_{t+1}.

    After the last row of an episode nothing follows, whether it is a terminal, a time-out or where the recording stops.
    Nakamoto et al., 2023, section 4.2, https://arxiv.org/abs/2303.05479; time-outs and failures as in their program.

    Args:
        rewards: rewards of whole episodes, [T].
        masks: 1 - terminated, [T].
        ends: whether a row is the last one of its episode, [T] bool.
        discount: discount factor, below 1 with `failure_reward`.
        failure_reward: with sparse rewards, the reward of a step that does not reach the goal. An attempt, the rows up
            to a terminal or the end of the episode, with this reward alone is taken to fail forever:
            failure_reward / (1 - discount) in all of its rows. None for dense rewards. AntMaze's episodes go on after
            a terminal, so one of them can hold several attempts.

    Returns:
        Returns, [T] float64.
    """
    stops = np.flatnonzero(ends) + 1
    lengths = np.diff(stops, prepend=0)
    returns = rewards.astype(np.float64)
    factors = discount * masks.astype(np.float64)
    for offset in range(2, int(lengths.max(initial=0)) + 1):  # the rows at this distance from their end, together
        rows = stops[lengths >= offset] - offset
        returns[rows] += factors[rows] * returns[rows + 1]
    if failure_reward is not None:
        succeeds = rewards != rewards.dtype.type(failure_reward)
        attempt_stops = np.flatnonzero(ends | (masks == 0)) + 1
        attempt_lengths = np.diff(attempt_stops, prepend=0)
        failed = np.add.reduceat(succeeds, attempt_stops - attempt_lengths) == 0
        returns[np.repeat(failed, attempt_lengths)] = failure_reward / (1.0 - discount)
    return returns
