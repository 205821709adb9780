"""The record of one episode, as environments return it and datasets store it."""

from typing import NamedTuple

import numpy as np


class Episode(NamedTuple):
    """One recorded episode of T steps.

    Attributes:
        observations: Observations from the reset to the last step, [T + 1, O] float32.
        actions: Actions, [T, A] float32, in [-1, 1].
        rewards: Raw rewards, [T] float32.
        terminations: Whether the environment terminated in this step, [T] bool.
        truncations: Whether the time limit or the end of the recording cut the episode here, [T] bool.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    terminations: np.ndarray
    truncations: np.ndarray
