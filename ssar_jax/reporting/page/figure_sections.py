"""The sections of a report with figures, which are drawn into a folder."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ssar_jax.errors import UserError
from ssar_jax.reporting.figures import scores
from ssar_jax.reporting.figures.adaptation import draw_adaptation
from ssar_jax.reporting.figures.datasets import MazeView
from ssar_jax.reporting.page.adaptation import adaptation_table
from ssar_jax.reporting.page.comparisons import profiles
from ssar_jax.reporting.page.document import Picture, Section
from ssar_jax.reporting.page.run_details import details_name
from ssar_jax.reporting.page.sections import title
from ssar_jax.reporting.read.adaptation import Adaptation, read_adaptation
from ssar_jax.reporting.read.curves import Curve, join
from ssar_jax.reporting.read.groups import Group, offline_phase
from ssar_jax.reporting.statistics.blocks import Block, task_order
from ssar_jax.reporting.statistics.names import label
from ssar_jax.reporting.statistics.published import DOMAINS


def learning_curves(groups: Sequence[Group], folder: Path) -> Section:
    """A figure for every set of comparable groups, with a panel for every task and both phases on one axis.

    Args:
        groups: the finished runs.
        folder: folder of the figures.
    """
    figures: dict[tuple[str, ...], dict[str, dict[str, Curve]]] = defaultdict(lambda: defaultdict(dict))
    continued = [offline_phase(group, groups) for group in groups if group.key.phase == "online"]
    for group in sorted(groups, key=lambda group: (task_order(group.key.task), group.key)):
        if group in continued:
            continue  # its curve is the first part of another one
        key, before = group.key, offline_phase(group, groups) if group.key.phase == "online" else None
        curve = group.curve() if before is None else join(before.curve(), group.curve())
        steps = "updates" if key.phase == "offline" or before is not None else "environment steps"
        names = (key.data_source, key.preset, key.physics, group.runs[0].measure, steps)
        figures[names][key.task][label(group)] = curve
    systems = _systems(groups)
    pictures = []
    for (source, preset, physics, measure, steps), panels in figures.items():
        stem = folder / _slug("curves", source, preset, physics, measure, steps)
        ylabel = "normalized score" if measure == "score" else "return"
        labels = {"ylabel": ylabel, "xlabel": steps}
        svg, _ = scores.learning_curves(stem, panels, np.random.default_rng(0), **labels, systems=systems)
        pictures.append(Picture(svg=svg, caption=f"{source} data, preset {preset}, {physics} physics"))
    sentence = (
        "Mean over seeds with 95 % bootstrap intervals; one seed has no interval. If an online phase continues an "
        "offline one, both are on one axis of updates and then environment steps, and a line marks the start of the "
        "online phase."
    )
    return Section(title="Learning curves", sentences=[sentence], pictures=pictures)


def performance_profiles(blocks: Sequence[Block], folder: Path) -> Section:
    """A figure for every block and domain with the share of runs above every score.

    Args:
        blocks: the results.
        folder: folder of the figures.
    """
    systems = _systems([group for block in blocks for group in block.groups])
    pictures = []
    for block in blocks:
        for domain in DOMAINS:
            thresholds, found = profiles(block, domain)
            if found:
                stem = folder / _slug("profile", domain, block.phase, block.data_source, block.preset, block.physics)
                svg, _ = scores.performance_profiles(stem, thresholds, found, systems=systems)
                pictures.append(Picture(svg=svg, caption=f"{domain}: {block.title}"))
    sentence = (
        "Share of all runs of a system whose last score is above a score, with pointwise 95 % bootstrap intervals."
    )
    return Section(title="Performance profiles", sentences=[sentence], pictures=pictures)


def adaptation(groups: Sequence[Group], mazes: Mapping[str, MazeView], folder: Path) -> Section:
    """A table and figures of beta, its trust region and the selected data, for every group that trained beta.

    Args:
        groups: the finished runs.
        mazes: task -> its maze.
        folder: folder of the figures.
    """
    found: list[Adaptation] = []
    missing = []
    for group in groups:
        if group.key.phase == "offline" and group.adapts:
            try:
                found.append(read_adaptation(group))
            except UserError as error:
                missing.append(f"Left out: {error}.")
    pictures = []
    for each in found:
        group = each.group
        if each.states is None:
            missing.append(f"{title(group)} has no diagnostics: its beta over states is missing.")
        stem = folder / _slug("beta", group.key.task, group.key.algorithm, group.key.variant, details_name(group))
        svg, _ = draw_adaptation(stem, each, np.random.default_rng(0), mazes.get(group.key.task))
        pictures.append(Picture(svg=svg, caption=title(group)))
    sentence = (
        "Beta(s) is the weight of the regularizer in each state. It decreases where the dataset's action is inside the "
        "trust region of size n and increases where it is outside (negative weights); n grows until the selected "
        "actions are inside on average. Curves and table show means over seeds. The maps show the mean of beta over "
        "the states in each cell, and the share of the states in it."
    )
    tables = [adaptation_table(found, "Start and end of training")] if found else []
    return Section(
        title="State-adaptive coefficient", sentences=[sentence], notices=missing, tables=tables, pictures=pictures
    )


def _systems(groups: Sequence[Group]) -> list[str]:
    """All systems of a report, so that each has the same color in all figures."""
    return sorted({label(group) for group in groups})


def _slug(*names: str) -> str:
    """A file name of letters, digits, dots and dashes."""
    kept = "".join(letter if letter.isalnum() or letter in ".-" else "-" for letter in "-".join(names).lower())
    return "-".join(filter(None, kept.split("-")))
