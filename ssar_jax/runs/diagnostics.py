"""What a run keeps for looking at: the algorithm's view of a fixed sample of dataset rows."""

from pathlib import Path
from typing import Any

import numpy as np

from ssar_jax.data.files import write_atomically
from ssar_jax.data.scaling import PreparedData
from ssar_jax.training.trainer import OfflineTrainer

MAX_ROWS = 20_000
"""Rows looked at; evenly spread over the dataset."""


class Diagnostics:
    """Writes `<folder>/<step>.npz`.

    Each file holds `rows` [R], `plane` [R, 2] (the first two principal components of the normalised observations,
    or the position in a maze), `trusted` [S, R] and what the algorithm diagnoses, such as `beta` [S, R].

    Args:
        folder: made if missing.
        data: the prepared dataset.
        trusted: the selected rows, [N] or [S, N].
        maze: whether the first two observations are a position.
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
        """Writes the file of the trainer's present step."""
        arrays: dict[str, Any] = self._constant | trainer.diagnose(self._rows)
        write_atomically(self._folder / f"{trainer.step}.npz", lambda file: np.savez_compressed(file, **arrays))


def principal_components(observations: np.ndarray) -> np.ndarray:
    """The coordinates [R, 2] of observations [R, O] along their two directions of largest variance."""
    centred = observations - observations.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    return centred @ directions[:, :-3:-1]


def _unscale(observations: np.ndarray, data: PreparedData) -> np.ndarray:
    return observations * data.observation_scaling.std + data.observation_scaling.mean
