"""What all figures share: files, colours, and curves with intervals.

Each figure is an SVG and a PNG, readable on light and dark pages and by the colour-blind, the same bytes every time.
Matplotlib comes with the extra `report` and is imported when a figure is drawn; pyplot and its state are not used.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ssar_jax.errors import UserError
from ssar_jax.reporting.read.curves import Curve
from ssar_jax.reporting.statistics.estimates import Interval, bootstrap

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
"""Okabe and Ito's colours, https://jfly.uni-koeln.de/color: those with a contrast of 3 on white and on near-black."""
_DASHES = ("-", "--", ":", "-.")
INK = "#7a7a7a"
"""As far from white as from near-black, so that one file serves both."""
MARK = {"color": INK, "linewidth": 1.0, "linestyle": (0, (4, 2))}
"""The line of a moment or a limit."""
_STYLE = {
    "svg.hashsalt": "ssar_jax",
    "svg.fonttype": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": "medium",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": INK,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "font.size": 9.0,
    "figure.constrained_layout.w_pad": 0.1,
    "figure.constrained_layout.h_pad": 0.06,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
}
_PANEL = (3.2, 2.4)  # inches
_SINGLE = (3.7, 2.8)  # of a figure of one panel, which a phone shows whole
_LEGEND_ENTRY = 1.4  # inches at least
_LEGEND_LINE, _LETTER = 0.5, 0.08  # inches: the line and the gaps of an entry, a letter of its name
_LEGEND_ROWS, _LEGEND_ROW = 2, 0.21  # rows that a figure has room for, inches of another
_COLUMNS = 3
_DPI = 160  # of the PNG, and of the maps within an SVG
_RESAMPLES = 2_000  # for every evaluation of a curve; the ends of a band need no more


@contextmanager
def figure_files(stem: Path, panels: int) -> Iterator[tuple[Any, Sequence[Any]]]:
    """Opens a figure with a number of panels, and saves it when it is drawn."""
    try:
        from matplotlib import style
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError(f"figures need matplotlib, and it is missing ({error}): pip install -e '.[report]'") from error
    columns = min(panels, _COLUMNS)
    rows = -(-panels // columns)
    # The user's own matplotlibrc counts for nothing: the figures are the same on every machine.
    with style.context(["default", _STYLE]):
        width, height = _PANEL if panels > 1 else _SINGLE
        figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
        axes = [figure.add_subplot(rows, columns, panel + 1) for panel in range(panels)]
        yield figure, axes
        svg, png = saved_files(stem)
        stem.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(svg, dpi=_DPI, metadata={"Date": None})
        figure.set_layout_engine("none")  # laid out once, the panels stay where they are
        figure.savefig(png, dpi=_DPI, metadata={"Software": None})


def saved_files(stem: Path) -> list[Path]:
    """The SVG and the PNG of a figure."""
    return [stem.with_name(f"{stem.name}.{suffix}") for suffix in ("svg", "png")]


def line_styles(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """A colour for every name, and other dashes when the colours begin again."""
    count = len(COLOURS)
    return {
        name: {"color": COLOURS[i % count], "linestyle": _DASHES[i // count % len(_DASHES)]}
        for i, name in enumerate(dict.fromkeys(names))
    }


def mean_over_seeds(curve: Curve, rng: np.random.Generator) -> Interval:
    """The mean over seeds at every step, [E], with its 95 % bootstrap interval."""
    return bootstrap(lambda values: values.mean(axis=-2), curve.values, rng=rng, resamples=_RESAMPLES)


def draw_band(ax: Any, x: np.ndarray, interval: Interval, line: Mapping[str, Any]) -> None:
    """Draws a curve and its interval.

    Args:
        ax: where.
        x: [K].
        interval: of the values, [K].
        line: properties of the line, its colour among them.
    """
    ax.plot(x, interval.estimate, **line)
    ax.fill_between(x, interval.low, interval.high, color=line["color"], alpha=0.2, linewidth=0)


def draw_histogram(ax: Any, samples: Mapping[str, np.ndarray], bins: int = 40) -> None:
    """Draws the shares of samples in shared bins."""
    edges = np.histogram_bin_edges(np.concatenate(list(samples.values())), bins)
    lines = line_styles(samples)
    for name, values in samples.items():
        shares = np.histogram(values, edges)[0] / len(values)
        ax.stairs(shares, edges, fill=True, alpha=0.25, color=lines[name]["color"])
        ax.stairs(shares, edges, linewidth=1.6, label=name, **lines[name])


def mark(ax: Any, x: float, label: str) -> None:
    """Draws a vertical line with its label above the axes, where no curve runs, and the title above that."""
    ax.axvline(x, **MARK)
    ax.set_title(ax.get_title(loc="left"), pad=16.0)
    above = {"xycoords": ("data", "axes fraction"), "xytext": (0, 3), "textcoords": "offset points"}
    ax.annotate(label, (x, 1.0), ha="center", va="bottom", **above)


def add_legend(figure: Any, styles: Mapping[str, Mapping[str, Any]]) -> None:
    """Adds one legend for all panels below them; the figure grows with it, so that the panels keep their size."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], label=name, **line) for name, line in styles.items()]
    width, height = figure.get_size_inches()
    entry = max(_LEGEND_ENTRY, _LEGEND_LINE + _LETTER * max(map(len, styles)))
    columns = max(1, min(len(handles), int(width / entry)))
    further_rows = max(0, -(-len(handles) // columns) - _LEGEND_ROWS)
    figure.set_size_inches(max(width, entry), height + further_rows * _LEGEND_ROW)
    figure.legend(handles=handles, loc="outside lower left", ncols=columns)


def thousands(value: float, _position: int) -> str:
    """1500000 as 1.5M, 250000 as 250k."""
    for factor, suffix in ((1_000_000, "M"), (1_000, "k")):
        if abs(value) >= factor:
            return f"{value / factor:g}{suffix}"
    return f"{value:g}"
