"""Figures of the state-adaptive coefficient: beta over training, over states of the dataset, and as a map."""

from pathlib import Path
from typing import Any

import numpy as np

from ssar_jax.reporting.figures.canvas import (
    COLORS,
    MARK,
    draw_band,
    draw_histogram,
    figure_files,
    mean_over_seeds,
    saved_files,
    thousands,
)
from ssar_jax.reporting.figures.datasets import MazeView, draw_walls
from ssar_jax.reporting.read.adaptation import Adaptation, States, Training

_BINS = 48  # along each axis of a map


def draw_adaptation(
    stem: Path, adaptation: Adaptation, rng: np.random.Generator, maze: MazeView | None = None
) -> list[Path]:
    """Draws the state-adaptive coefficient of a group: three panels over training, and three over states if known.

    Args:
        stem: path of the files without a suffix; its folder is created if missing.
        adaptation: metrics and diagnostics of the group.
        rng: generator that draws the resamples of the intervals over seeds.
        maze: the maze, if the plane of the states is its ground.

    Returns:
        The paths of the SVG and the PNG.

    Raises:
        UserError: if matplotlib is not installed.
    """
    states = adaptation.states
    with figure_files(stem, 3 if states is None else 6) as (_, axes):
        _draw_training(axes[:3], adaptation.training, rng)
        if states is not None:
            draw_histogram(axes[3], {"before": states.first.ravel(), "after": states.last.ravel()})
            axes[3].set(title="beta over the states", xlabel="beta(s)", ylabel="share of the states")
            _add_legend(axes[3])
            _draw_maps(axes[4:], states, maze)
    return saved_files(stem)


def _draw_training(axes: Any, training: Training, rng: np.random.Generator) -> None:
    shares = {"negative weights": training.negative_share, "selected": training.selected_fraction}
    for ax, curves in zip(axes, (training.beta, {"n": training.n}, shares), strict=True):
        for i, (name, curve) in enumerate(curves.items()):
            draw_band(ax, curve.steps, mean_over_seeds(curve, rng), {"color": COLORS[i], "label": name})
        ax.set(xlabel="updates")
        ax.xaxis.set_major_formatter(thousands)
    for i, stop in enumerate(sorted({stop for stop in training.stops if stop is not None})):
        axes[1].axvline(stop, label=None if i else "n stops growing", **MARK)
    axes[0].set(title="beta over training", ylabel="beta")
    axes[1].set(title="size of the trust region", ylabel="n")
    axes[2].set(title="shares of the minibatch", ylabel="share", ylim=(0.0, 1.0), yticks=np.linspace(0.0, 1.0, 6))
    for ax in axes:
        _add_legend(ax)


def _add_legend(ax: Any) -> None:
    """Adds a legend above the curves and extends the axis to make room for it."""
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.2 * (high - low))
    ax.legend(loc="upper left", ncols=3, fontsize="small", handlelength=1.2, columnspacing=1.0)


def _draw_maps(axes: Any, states: States, maze: MazeView | None) -> None:
    """Draws the mean of beta in each cell of the plane, and the share of the states in it."""
    from matplotlib.colors import LinearSegmentedColormap, to_rgba

    beta, share, extent = _binned(states, maze)
    hues = LinearSegmentedColormap.from_list("beta", [COLORS[0], COLORS[1]])
    alphas = LinearSegmentedColormap.from_list("density", [to_rgba(COLORS[2], 0.1), to_rgba(COLORS[2])])
    for ax, values, style, title in (
        (axes[0], beta, {"cmap": hues}, "mean beta(s)"),
        (axes[1], share, {"cmap": alphas, "norm": "log"}, "density of the states"),
    ):
        image = ax.imshow(values.T, origin="lower", extent=extent, aspect="auto", interpolation="nearest", **style)
        ax.figure.colorbar(image, ax=ax, format="%g")
        ax.grid(visible=False)
        if maze is None:
            ax.set(xlabel="1st principal component", ylabel="2nd principal component")
        else:
            draw_walls(ax, maze)
            ax.set(xlabel="x, m", ylabel="y, m")
        ax.set(title=title)


def _binned(states: States, maze: MazeView | None) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
    """Returns the mean of beta over seeds and states and the share of the states, for every cell.

    Returns:
        Mean and share [X, Y], masked in cells without states, and the extent (left, right, bottom, top) of the map.
    """
    x, y = states.plane.T
    limits = None if maze is None else list(zip(*maze.limits, strict=True))
    counts, x_edges, y_edges = np.histogram2d(x, y, _BINS, range=limits)
    sums, *_ = np.histogram2d(x, y, [x_edges, y_edges], weights=states.last.mean(axis=0))
    empty = counts == 0
    beta = np.ma.masked_array(sums / np.maximum(counts, 1), empty)
    extent = (x_edges[0], x_edges[-1], y_edges[0], y_edges[-1])
    return beta, np.ma.masked_array(counts / len(x), empty), extent
