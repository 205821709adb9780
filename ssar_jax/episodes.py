"""The record of one played episode: environments make it, datasets store it."""

from typing import NamedTuple

import numpy as np


class Episode(NamedTuple):
    """One recorded episode of T steps.

    Attributes:
        observations: from the reset to the last state, [T + 1, O] float32.
        actions: [T, A] float32, in [-1, 1].
        rewards: [T] float32.
        terminations: whether the step ended the episode by its own rules, [T] bool.
        truncations: whether time ran out or the recording was cut, [T] bool.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    terminations: np.ndarray
    truncations: np.ndarray
