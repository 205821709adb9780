"""Figures, each as SVG and PNG: readable on light and dark pages and by the colour-blind, the same bytes every time.

Matplotlib comes with the extra `report` and is imported when a figure is drawn; pyplot and its state are not used.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ssar_jax.errors import UserError
from ssar_jax.reporting.curves import Curve
from ssar_jax.reporting.statistics import Interval, bootstrap

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
"""Okabe and Ito's colours, https://jfly.uni-koeln.de/color: those with a contrast of 3 on white and on near-black."""
_DASHES = ("-", "--", ":", "-.")
INK = "#7a7a7a"
"""As far from white as from near-black, so that one file serves both."""
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
_COLUMNS = 3
_RESAMPLES = 2_000  # for every evaluation of a curve; the ends of a band need no more


def learning_curves(
    stem: Path,
    panels: Mapping[str, Mapping[str, Curve]],
    rng: np.random.Generator,
    *,
    ylabel: str = "normalised score",
    xlabel: str = "updates",
) -> list[Path]:
    """Draws the mean over seeds against steps, with 95 % bootstrap intervals; a joined curve's switch is marked.

    Args:
        stem: the files' path without a suffix; its folder is made if missing.
        panels: title, such as a task -> name of a system -> its curve. A system has one colour in all panels.
        rng: draws the resamples of the intervals.
        ylabel: what the curves show.
        xlabel: what is counted, where no curve joins two phases.

    Returns:
        The SVG and the PNG.

    Raises:
        UserError: where matplotlib is not installed.
    """
    with figure_files(stem, len(panels)) as (figure, axes):
        styles = _styles(name for curves in panels.values() for name in curves)
        for ax, (title, curves) in zip(axes, panels.items(), strict=True):
            ax.set_title(title)
            for name, curve in curves.items():
                interval = bootstrap(lambda values: values.mean(axis=-2), curve.values, rng=rng, resamples=_RESAMPLES)
                _draw_band(ax, curve.steps, interval, styles[name])
            switches = sorted({curve.switch for curve in curves.values() if curve.switch is not None})
            for switch in switches:
                _mark(ax, switch, "online")
            ax.set_xlabel("updates, then environment steps" if switches else xlabel)
            ax.set_ylabel(ylabel)
            ax.xaxis.set_major_formatter(_thousands)
        _add_legend(figure, styles)
    return saved_files(stem)


def performance_profiles(stem: Path, thresholds: np.ndarray, profiles: Mapping[str, Interval]) -> list[Path]:
    """Draws, for every system, the share of runs above each threshold.

    Args:
        stem: see `learning_curves`.
        thresholds: [K].
        profiles: name of a system -> its `statistics.performance_profile`.

    Returns:
        The SVG and the PNG.

    Raises:
        UserError: where matplotlib is not installed.
    """
    with figure_files(stem, 1) as (figure, axes):
        styles = _styles(profiles)
        for name, profile in profiles.items():
            _draw_band(axes[0], thresholds, profile, styles[name])
        axes[0].set(xlabel="normalised score", ylabel="share of runs with a higher score", ylim=(0.0, 1.02))
        _add_legend(figure, styles)
    return saved_files(stem)


def histograms(
    stem: Path,
    samples: Mapping[str, np.ndarray],
    *,
    xlabel: str = "return of an episode",
    marks: Mapping[str, float] | None = None,
    bins: int = 40,
) -> list[Path]:
    """Draws the distributions of samples in shared bins, such as the returns of a dataset.

    Args:
        stem: see `learning_curves`.
        samples: name -> values [N], each with its own N.
        xlabel: what the values are.
        marks: label -> value where a vertical line stands, such as the threshold of a selection.
        bins: number of bins from the smallest to the largest value.

    Returns:
        The SVG and the PNG.

    Raises:
        UserError: where matplotlib is not installed.
    """
    edges = np.histogram_bin_edges(np.concatenate(list(samples.values())), bins)
    with figure_files(stem, 1) as (figure, axes):
        styles = _styles(samples)
        for name, values in samples.items():
            shares = np.histogram(values, edges)[0] / len(values)
            axes[0].stairs(shares, edges, fill=True, alpha=0.25, color=styles[name]["color"])
            axes[0].stairs(shares, edges, linewidth=1.6, **styles[name])
        for label, value in (marks or {}).items():
            _mark(axes[0], value, label)
        axes[0].set(xlabel=xlabel, ylabel="share")
        _add_legend(figure, styles)
    return saved_files(stem)


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
        width, height = _PANEL if panels > 1 else (1.5 * _PANEL[0], 1.3 * _PANEL[1])
        figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
        axes = [figure.add_subplot(rows, columns, panel + 1) for panel in range(panels)]
        yield figure, axes
        svg, png = saved_files(stem)
        stem.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(svg, metadata={"Date": None})
        figure.savefig(png, dpi=160, metadata={"Software": None})


def saved_files(stem: Path) -> list[Path]:
    """The SVG and the PNG of a figure."""
    return [stem.with_name(f"{stem.name}.{suffix}") for suffix in ("svg", "png")]


def _styles(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """A colour for every name, and other dashes when the colours begin again."""
    count = len(COLOURS)
    return {
        name: {"color": COLOURS[i % count], "linestyle": _DASHES[i // count % len(_DASHES)]}
        for i, name in enumerate(dict.fromkeys(names))
    }


def _draw_band(ax: Any, x: np.ndarray, interval: Interval, line: Mapping[str, Any]) -> None:
    ax.plot(x, interval.estimate, **line)
    ax.fill_between(x, interval.low, interval.high, color=line["color"], alpha=0.2, linewidth=0)


def _mark(ax: Any, x: float, label: str) -> None:
    """Draws a vertical line with its label above the axes, where no curve runs."""
    ax.axvline(x, color=INK, linewidth=1.0, linestyle=(0, (4, 2)))
    above = {"xycoords": ("data", "axes fraction"), "xytext": (0, 3), "textcoords": "offset points"}
    ax.annotate(label, (x, 1.0), ha="center", va="bottom", **above)


def _add_legend(figure: Any, styles: Mapping[str, Mapping[str, Any]]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], label=name, **line) for name, line in styles.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 4))


def _thousands(value: float, _position: int) -> str:
    """1500000 as 1.5M, 250000 as 250k."""
    for factor, suffix in ((1_000_000, "M"), (1_000, "k")):
        if abs(value) >= factor:
            return f"{value / factor:g}{suffix}"
    return f"{value:g}"
