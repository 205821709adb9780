"""The state-adaptive coefficient of a group of runs: beta and its trust region over training and over states."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ssar_jax.errors import UserError
from ssar_jax.reporting.read.curves import Curve
from ssar_jax.reporting.read.files import read_arrays
from ssar_jax.reporting.read.groups import Group
from ssar_jax.reporting.read.runs import Run


@dataclass(frozen=True)
class Training:
    """Metrics of `train.csv` for every seed, each over updates.

    Attributes:
        beta: smallest, mean and largest beta of the minibatches, under `min`, `mean` and `max`.
        n: size of the trust region.
        active: share of the updates since the previous row in which n could still grow.
        negative_share: share of the states whose action is outside the trust region, where beta increases.
        selected_fraction: share of selected transitions in the minibatches.
    """

    beta: dict[str, Curve]
    n: Curve
    active: Curve
    negative_share: Curve
    selected_fraction: Curve

    @property
    def stops(self) -> tuple[int | None, ...]:
        """The update by which n had stopped growing, for every seed; None if it never stopped."""
        stopped = self.active.values < 1.0
        return tuple(int(self.active.steps[row.argmax()]) if row.any() else None for row in stopped)


class States(NamedTuple):
    """Beta over a sample of R states of the dataset.

    Attributes:
        plane: two coordinates of the states, [R, 2]: their first two principal components, or the position in the
            maze in m.
        first: beta before training, for every seed, [S, R].
        last: beta at the end of training, [S, R].
    """

    plane: np.ndarray
    first: np.ndarray
    last: np.ndarray


@dataclass(frozen=True)
class Adaptation:
    """The state-adaptive coefficient of a group.

    Attributes:
        group: the runs.
        training: its metrics over training.
        states: its values over states of the dataset; None if the runs stored no diagnostics.
    """

    group: Group
    training: Training
    states: States | None


def read_adaptation(group: Group) -> Adaptation:
    """Reads the metrics and diagnostics of a group.

    Args:
        group: the runs.

    Raises:
        UserError: if a run lacks a metric, or its diagnostics are damaged.
    """
    training = Training(
        beta={name: group.metric(f"coefficient/beta_{name}") for name in ("min", "mean", "max")},
        n=group.metric("coefficient/n"),
        active=group.metric("coefficient/active"),
        negative_share=group.metric("coefficient/negative_share"),
        selected_fraction=group.metric("coefficient/selected_fraction"),
    )
    return Adaptation(group=group, training=training, states=_read_states(group.runs))


def _read_states(runs: tuple[Run, ...]) -> States | None:
    """Reads the states of the first run, which all runs of a group share with its dataset, and beta of all runs."""
    if not all(run.diagnostics for run in runs):
        return None
    firsts, lasts = ([_read_diagnostics(run, at) for run in runs] for at in (0, -1))
    first, last = (np.concatenate([beta for _, beta in files]) for files in (firsts, lasts))
    return States(plane=lasts[0][0], first=first, last=last)


def _read_diagnostics(run: Run, at: int) -> tuple[np.ndarray, np.ndarray]:
    """Reads `plane` [R, 2] and `beta` [S, R] of the first or the last update of a run.

    Raises:
        UserError: if an array is missing, or has another shape or values that are not finite numbers.
    """
    path = list(run.diagnostics.values())[at]
    arrays = read_arrays(path)
    if missing := sorted({"plane", "beta"} - arrays.keys()):
        raise UserError(f"the diagnostics of {run.path} have no {', '.join(missing)}")
    plane, beta = arrays["plane"], arrays["beta"]
    for name, array in (("plane", plane), ("beta", beta)):
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            raise UserError(f"{path}: {name} has values that are not finite numbers")
    if plane.ndim != 2 or plane.shape[1] != 2 or beta.ndim != 2 or beta.shape[1] != len(plane) or not beta.size:
        raise UserError(f"{path}: plane {plane.shape} and beta {beta.shape} are not of shapes [R, 2] and [S, R]")
    return plane, beta
