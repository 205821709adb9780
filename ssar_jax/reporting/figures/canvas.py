"""Files, colors, and curves with intervals, shared by all figures.

Each figure is an SVG and a PNG with reproducible bytes, readable on light and dark pages and with color blindness.
Matplotlib comes with the extra `report` and is imported when a figure is drawn; pyplot and its global state are not
used.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ssar_jax.errors import UserError
from ssar_jax.reporting.read.curves import Curve
from ssar_jax.reporting.statistics.estimates import Interval, bootstrap

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
"""The colors of Okabe and Ito, https://jfly.uni-koeln.de/color, that have a contrast of 3 with white and near-black."""
_DASHES = ("-", "--", ":", "-.")
INK = "#7a7a7a"
"""Gray with equal contrast to white and near-black, so that one file works on both."""
MARK = {"color": INK, "linewidth": 1.0, "linestyle": (0, (4, 2))}
"""Style of a line that marks a step."""
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
_SINGLE = (3.7, 2.8)  # inches, for a figure with one panel: fits on a phone
_LEGEND_ENTRY = 1.4  # inches, minimum
_LEGEND_LINE, _LETTER = 0.5, 0.08  # inches: line and gaps of an entry, one character of its name
_LEGEND_ROWS, _LEGEND_ROW = 2, 0.21  # rows that fit into a figure, height of each further row in inches
_COLUMNS = 3
_DPI = 160  # of the PNG, and of images in the SVG
_RESAMPLES = 2_000  # for every evaluation of a curve; enough for the ends of a band


@contextmanager
def figure_files(stem: Path, panels: int) -> Iterator[tuple[Any, Sequence[Any]]]:
    """Opens a figure and saves it as SVG and PNG at the end of the context.

    Args:
        stem: path of the files without a suffix; its folder is created if missing.
        panels: number of panels.

    Yields:
        The figure and its axes, one per panel.

    Raises:
        UserError: if matplotlib is not installed.
    """
    try:
        from matplotlib import style
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError(f"figures need matplotlib, and it is missing ({error}): pip install -e '.[report]'") from error
    columns = min(panels, _COLUMNS)
    rows = -(-panels // columns)
    # The user's matplotlibrc is ignored, so that figures are the same on every machine.
    with style.context(["default", _STYLE]):
        width, height = _PANEL if panels > 1 else _SINGLE
        figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
        axes = [figure.add_subplot(rows, columns, panel + 1) for panel in range(panels)]
        yield figure, axes
        svg, png = saved_files(stem)
        stem.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(svg, dpi=_DPI, metadata={"Date": None})
        figure.set_layout_engine("none")  # keep the layout of the SVG
        figure.savefig(png, dpi=_DPI, metadata={"Software": None})


def saved_files(stem: Path) -> list[Path]:
    """Returns the paths of the SVG and the PNG of a figure.

    Args:
        stem: path of the files without a suffix.
    """
    return [stem.with_name(f"{stem.name}.{suffix}") for suffix in ("svg", "png")]


def line_styles(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Assigns every name a color, with different dashes when the colors repeat.

    Args:
        names: names of the systems; repetitions do not count.
    """
    count = len(COLORS)
    return {
        name: {"color": COLORS[i % count], "linestyle": _DASHES[i // count % len(_DASHES)]}
        for i, name in enumerate(dict.fromkeys(names))
    }


def mean_over_seeds(curve: Curve, rng: np.random.Generator) -> Interval:
    """Returns the mean over seeds at every step with its 95 % bootstrap interval, each [E].

    Args:
        curve: values over steps, [S, E].
        rng: generator that draws the resamples.
    """
    return bootstrap(lambda values: values.mean(axis=-2), curve.values, rng=rng, resamples=_RESAMPLES)


def draw_band(ax: Any, x: np.ndarray, interval: Interval, line: Mapping[str, Any]) -> None:
    """Draws a curve and its interval.

    Args:
        ax: axes to draw on.
        x: horizontal positions, [K].
        interval: values with their intervals, each [K].
        line: properties of the line, including its color.
    """
    ax.plot(x, interval.estimate, **line)
    ax.fill_between(x, interval.low, interval.high, color=line["color"], alpha=0.2, linewidth=0)


def draw_histogram(ax: Any, samples: Mapping[str, np.ndarray], bins: int = 40) -> None:
    """Draws histograms with common bins, normalized to shares.

    Args:
        ax: axes to draw on.
        samples: label -> values [N].
        bins: number of bins.
    """
    edges = np.histogram_bin_edges(np.concatenate(list(samples.values())), bins)
    lines = line_styles(samples)
    for name, values in samples.items():
        shares = np.histogram(values, edges)[0] / len(values)
        ax.stairs(shares, edges, fill=True, alpha=0.25, color=lines[name]["color"])
        ax.stairs(shares, edges, linewidth=1.6, label=name, **lines[name])


def mark(ax: Any, x: float, label: str) -> None:
    """Draws a vertical line with its label above the axes, and moves the title above the label.

    Args:
        ax: axes to draw on.
        x: horizontal position of the line.
        label: text of the label.
    """
    ax.axvline(x, **MARK)
    ax.set_title(ax.get_title(loc="left"), pad=16.0)
    above = {"xycoords": ("data", "axes fraction"), "xytext": (0, 3), "textcoords": "offset points"}
    ax.annotate(label, (x, 1.0), ha="center", va="bottom", **above)


def add_legend(figure: Any, styles: Mapping[str, Mapping[str, Any]]) -> None:
    """Adds one legend below all panels; the figure grows with it, so that the panels keep their size.

    Args:
        figure: the figure.
        styles: name of a system -> properties of its line.
    """
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], label=name, **line) for name, line in styles.items()]
    width, height = figure.get_size_inches()
    entry = max(_LEGEND_ENTRY, _LEGEND_LINE + _LETTER * max(map(len, styles)))
    columns = max(1, min(len(handles), int(width / entry)))
    further_rows = max(0, -(-len(handles) // columns) - _LEGEND_ROWS)
    figure.set_size_inches(max(width, entry), height + further_rows * _LEGEND_ROW)
    figure.legend(handles=handles, loc="outside lower left", ncols=columns)


def thousands(value: float, _position: int) -> str:
    """Formats a tick label: 1500000 as 1.5M, 250000 as 250k.

    Args:
        value: the number.
    """
    for factor, suffix in ((1_000_000, "M"), (1_000, "k")):
        if abs(value) >= factor:
            return f"{value / factor:g}{suffix}"
    return f"{value:g}"
