"""The columns of a dataset that an algorithm declares in addition to the five of every transition."""

from collections.abc import Sequence

import numpy as np

from ssar_jax.errors import UserError
from ssar_jax.transitions import EpisodeColumn, Transitions


def with_columns(
    transitions: Transitions[np.ndarray], ends: np.ndarray, columns: Sequence[EpisodeColumn]
) -> Transitions[np.ndarray]:
    """Return transitions with further columns.

    Args:
        transitions: Rows of whole episodes, [N, ...], scaled as the networks get them.
        ends: Whether a row is the last one of its episode, [N] bool.
        columns: The columns to compute.

    Returns:
        The transitions with `extras`, each [N] or [N, D] float32.
    """
    extras = {column.name: np.asarray(column.compute(transitions, ends), np.float32) for column in columns}
    return transitions._replace(extras=extras)


def keep_columns(transitions: Transitions[np.ndarray], columns: Sequence[EpisodeColumn]) -> Transitions[np.ndarray]:
    """Return transitions with the columns of an algorithm alone; those prepared for another one are left out.

    Args:
        transitions: Rows of the dataset.
        columns: The columns that the algorithm declares.

    Raises:
        UserError: One is missing.
    """
    for column in columns:
        if column.name not in transitions.extras:
            raise UserError(
                f"the prepared data lack the column {column.name!r} that this algorithm needs: "
                "prepare(dataset, columns=algorithm.columns)"
            )
    return transitions._replace(extras={column.name: transitions.extras[column.name] for column in columns})
