"""Table of the state-adaptive coefficient: beta and its trust region at the start and the end of training."""

from collections.abc import Sequence

from ssar_jax.reporting.page.document import Cell, Table, number, text
from ssar_jax.reporting.page.run_details import details_name
from ssar_jax.reporting.read.adaptation import Adaptation
from ssar_jax.reporting.read.curves import Curve
from ssar_jax.reporting.statistics.names import label

_HEADINGS = (
    *("task", "system", "seeds", "beta min", "beta mean", "beta max", "n, first", "n, last", "n stopped by"),
    *("negative weights, first", "negative weights, last", "selected"),
)


def adaptation_table(found: Sequence[Adaptation], caption: str) -> Table:
    """Makes a table with a row for every group: means over its seeds, and the update by which n stopped growing.

    Args:
        found: the groups.
        caption: caption of the table.
    """
    return Table(caption=caption, headings=_HEADINGS, rows=[_row(adaptation) for adaptation in found])


def _row(adaptation: Adaptation) -> list[Cell]:
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
        Cell(text=when, value=min(known, default=None)),
        *(number(_mean(training.negative_share, row), "{:.1%}".format) for row in (0, -1)),
        number(_mean(training.selected_fraction, -1), "{:.1%}".format),
    ]


def _mean(curve: Curve, row: int) -> float:
    return float(curve.values[:, row].mean())
