"""What SSAR did in a group of runs: beta and its trust region over training, and beta over the dataset's states."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ssar_jax.errors import UserError
from ssar_jax.reporting.page.document import Cell, Table, number, text
from ssar_jax.reporting.page.origin import details_name
from ssar_jax.reporting.read.curves import Curve
from ssar_jax.reporting.read.groups import Group
from ssar_jax.reporting.read.names import label
from ssar_jax.reporting.read.runs import Run, read_diagnostics


@dataclass(frozen=True)
class Training:
    """What `train.csv` tells of every seed, each over updates.

    Attributes:
        beta: smallest, mean and largest beta of the minibatches.
        n: size of the trust region.
        active: whether n may still grow, as a share of the updates since the row before.
        negative_share: share of the states whose action lies outside the trust region: there beta rises.
        selected_fraction: share of selected transitions in the minibatches.
    """

    beta: dict[str, Curve]
    n: Curve
    active: Curve
    negative_share: Curve
    selected_fraction: Curve

    @property
    def stops(self) -> tuple[int | None, ...]:
        """The update by which n had stopped to grow, of every seed; None where it never did."""
        stopped = self.active.values < 1.0
        return tuple(int(self.active.steps[row.argmax()]) if row.any() else None for row in stopped)


class States(NamedTuple):
    """Beta over a sample of the dataset's states.

    Attributes:
        plane: where the states lie, [R, 2]: their first two principal components, or the position in the maze.
        first: beta before training, of every seed, [S, R].
        last: beta at its end, [S, R].
    """

    plane: np.ndarray
    first: np.ndarray
    last: np.ndarray


@dataclass(frozen=True)
class Adaptation:
    """What SSAR did in a group.

    Attributes:
        group: the runs.
        training: over training.
        states: over the dataset; None where the runs have stored no diagnostics.
    """

    group: Group
    training: Training
    states: States | None


def read_adaptation(group: Group) -> Adaptation:
    """Reads what the runs of a group have stored.

    Raises:
        UserError: where a run lacks a metric, or its diagnostics are damaged.
    """
    beta = {name: group.metric(f"coefficient/beta_{name}") for name in ("min", "mean", "max")}
    others = [group.metric(f"coefficient/{name}") for name in ("n", "active", "negative_share", "selected_fraction")]
    return Adaptation(group, Training(beta, *others), _read_states(group.runs))


def adaptation_table(found: list[Adaptation], caption: str) -> Table:
    """A line for every group: the means over its seeds at the end of training, and where n stopped to grow."""
    headings = [
        "task",
        "system",
        "seeds",
        "beta min",
        "beta mean",
        "beta max",
        "n at first",
        "n at last",
        "n stopped by",
    ]
    headings += ["negative weights at first", "at last", "selected"]
    return Table(caption, headings, [_line(adaptation) for adaptation in found])


def _line(adaptation: Adaptation) -> list[Cell]:
    group, training = adaptation.group, adaptation.training
    stops = training.stops
    known = [stop for stop in stops if stop is not None]
    when = ", ".join("never" if stop is None else f"{stop:,}" for stop in dict.fromkeys(stops))
    return [
        text(group.key.task, details_name(group)),
        text(label(group)),
        number(len(group.seeds), "{:.0f}".format),
        *(number(_mean(curve, -1), "{:.3f}".format) for curve in training.beta.values()),
        *(number(_mean(training.n, row), "{:.2f}".format) for row in (0, -1)),
        Cell(when, min(known, default=None)),
        *(number(_mean(training.negative_share, row), "{:.1%}".format) for row in (0, -1)),
        number(_mean(training.selected_fraction, -1), "{:.1%}".format),
    ]


def _mean(curve: Curve, row: int) -> float:
    return float(curve.values[:, row].mean())


def _read_states(runs: tuple[Run, ...]) -> States | None:
    """The states of the first run: a group's runs share the dataset, and with it the sample."""
    if not all(run.diagnostics for run in runs):
        return None
    firsts, lasts = ([read_diagnostics(list(run.diagnostics.values())[at]) for run in runs] for at in (0, -1))
    needed = {"plane", "beta"}
    for run, arrays in zip(runs, lasts, strict=True):
        if missing := needed - arrays.keys():
            raise UserError(f"the diagnostics of {run.path} hold no {', '.join(sorted(missing))}")
    betas = (np.concatenate([arrays["beta"] for arrays in files]) for files in (firsts, lasts))
    return States(lasts[0]["plane"], *betas)
