"""Diagnostics of a run: what the algorithm computes for a fixed sample of dataset rows, for plots."""

from pathlib import Path
from typing import Any

import numpy as np

from ssar_jax.data.scaling import PreparedData
from ssar_jax.files import write_atomically
from ssar_jax.training.trainer import OfflineTrainer

MAX_ROWS = 20_000
"""Maximum number of rows in the sample."""


class Diagnostics:
    """Writes the diagnostics of a run to `<folder>/<step>.npz`.

    Each file contains the row numbers `rows` [R], evenly spaced, `plane` [R, 2] (the first two principal components of
    the normalized observations, or the position in a maze), `trusted` [S, R] and the result of the algorithm's
    `diagnose`, such as `beta` [S, R].

    Args:
        folder: folder of the files; created if missing.
        data: the prepared dataset, N rows.
        trusted: the selected rows, [N] or [S, N].
        maze: whether the first two components of an observation are a position.
    """

    def __init__(self, folder: Path, data: PreparedData, trusted: np.ndarray, *, maze: bool) -> None:
        observations = data.transitions.observations
        count = min(MAX_ROWS, len(observations))
        self._folder = folder
        self._rows = np.linspace(0, len(observations) - 1, count).round().astype(int)
        sample = observations[self._rows]
        self._constant = {
            "rows": self._rows,
            "plane": _unscale(sample, data)[:, :2] if maze else principal_components(sample),
            "trusted": np.atleast_2d(trusted)[:, self._rows].astype(bool),
        }

    def write(self, trainer: OfflineTrainer) -> None:
        """Writes the file of the current step.

        Args:
            trainer: the trainer, for its step and states.
        """
        arrays: dict[str, Any] = self._constant | trainer.diagnose(self._rows)
        write_atomically(self._folder / f"{trainer.step}.npz", lambda file: np.savez_compressed(file, **arrays))


def principal_components(observations: np.ndarray) -> np.ndarray:
    """Projects observations onto their two directions of largest variance.

    Args:
        observations: [R, O].

    Returns:
        The coordinates, [R, 2].
    """
    centered = observations - observations.mean(axis=0)
    _, directions = np.linalg.eigh(centered.T @ centered)
    return centered @ directions[:, :-3:-1]


def _unscale(observations: np.ndarray, data: PreparedData) -> np.ndarray:
    return observations * data.observation_scaling.std + data.observation_scaling.mean
