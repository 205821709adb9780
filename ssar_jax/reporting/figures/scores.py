"""Figures of scores: learning curves and performance profiles."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ssar_jax.reporting.figures.canvas import (
    add_legend,
    draw_band,
    figure_files,
    line_styles,
    mark,
    mean_over_seeds,
    saved_files,
    thousands,
)
from ssar_jax.reporting.read.curves import Curve
from ssar_jax.reporting.statistics.estimates import Interval


def learning_curves(
    stem: Path,
    panels: Mapping[str, Mapping[str, Curve]],
    rng: np.random.Generator,
    *,
    ylabel: str = "normalized score",
    xlabel: str = "updates",
    systems: Sequence[str] = (),
) -> list[Path]:
    """Draws the mean over seeds against steps with 95 % bootstrap intervals, and marks the start of an online phase.

    Args:
        stem: path of the files without a suffix; its folder is created if missing.
        panels: title of a panel, such as a task -> name of a system -> its curve. A system has one color in all
            panels.
        rng: generator that draws the resamples of the intervals.
        ylabel: label of the vertical axis.
        xlabel: label of the horizontal axis of panels without an online phase after an offline one.
        systems: names of all systems, drawn here or not, that share colors with other figures.

    Returns:
        The paths of the SVG and the PNG.

    Raises:
        UserError: if matplotlib is not installed.
    """
    with figure_files(stem, len(panels)) as (figure, axes):
        names = dict.fromkeys(name for curves in panels.values() for name in curves)
        lines = line_styles([*systems, *names])
        for ax, (title, curves) in zip(axes, panels.items(), strict=True):
            ax.set_title(title)
            for name, curve in curves.items():
                draw_band(ax, curve.steps, mean_over_seeds(curve, rng), lines[name])
            switches = sorted({curve.switch for curve in curves.values() if curve.switch is not None})
            for switch in switches:
                mark(ax, switch, "online")
            ax.set_xlabel("updates, then environment steps" if switches else xlabel)
            ax.set_ylabel(ylabel)
            ax.xaxis.set_major_formatter(thousands)
        add_legend(figure, {name: lines[name] for name in names})
    return saved_files(stem)


def performance_profiles(
    stem: Path, thresholds: np.ndarray, profiles: Mapping[str, Interval], *, systems: Sequence[str] = ()
) -> list[Path]:
    """Draws the share of runs above each threshold for every system.

    Args:
        stem: path of the files without a suffix; its folder is created if missing.
        thresholds: scores on the horizontal axis, [K].
        profiles: name of a system -> its shares, as `estimates.performance_profile` returns them.
        systems: names of all systems, drawn here or not, that share colors with other figures.

    Returns:
        The paths of the SVG and the PNG.

    Raises:
        UserError: if matplotlib is not installed.
    """
    with figure_files(stem, 1) as (figure, axes):
        lines = line_styles([*systems, *profiles])
        for name, profile in profiles.items():
            draw_band(axes[0], thresholds, profile, lines[name])
        axes[0].set(xlabel="normalized score", ylabel="share of runs above the score", ylim=(0.0, 1.02))
        add_legend(figure, {name: lines[name] for name in profiles})
    return saved_files(stem)
