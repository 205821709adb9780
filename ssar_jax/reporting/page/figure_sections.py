"""The sections of a report that show figures; drawing them fills a folder."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ssar_jax.errors import UserError
from ssar_jax.reporting.figures import scores
from ssar_jax.reporting.figures.adaptation import draw_adaptation
from ssar_jax.reporting.figures.datasets import MazeView
from ssar_jax.reporting.page.comparisons import profiles
from ssar_jax.reporting.page.document import Picture, Section
from ssar_jax.reporting.page.origin import details_name
from ssar_jax.reporting.page.sections import title
from ssar_jax.reporting.read.adaptation import Adaptation, adaptation_table, read_adaptation
from ssar_jax.reporting.read.curves import Curve, join
from ssar_jax.reporting.read.groups import Group, offline_phase
from ssar_jax.reporting.read.names import label
from ssar_jax.reporting.statistics.blocks import Block, task_order
from ssar_jax.reporting.statistics.published import DOMAINS


def learning_curves(groups: Sequence[Group], folder: Path) -> Section:
    """A figure for all that may stand side by side, a panel for every task, both phases on one axis."""
    figures: dict[tuple[str, ...], dict[str, dict[str, Curve]]] = defaultdict(lambda: defaultdict(dict))
    continued = [offline_phase(group, groups) for group in groups if group.key.phase == "online"]
    for group in sorted(groups, key=lambda group: (task_order(group.key.task), group.key)):
        if group in continued:
            continue  # its curve is the first part of another
        key, before = group.key, offline_phase(group, groups) if group.key.phase == "online" else None
        curve = group.curve() if before is None else join(before.curve(), group.curve())
        steps = "updates" if key.phase == "offline" or before is not None else "environment steps"
        names = (key.data_source, key.preset, key.physics, group.runs[0].measure, steps)
        figures[names][key.task][label(group)] = curve
    systems = _systems(groups)
    pictures = []
    for (source, preset, physics, measure, steps), panels in figures.items():
        stem = folder / _slug("curves", source, preset, physics, measure, steps)
        ylabel = "normalised score" if measure == "score" else "return"
        labels = {"ylabel": ylabel, "xlabel": steps}
        svg, _ = scores.learning_curves(stem, panels, np.random.default_rng(0), **labels, systems=systems)
        pictures.append(Picture(svg, f"{source} data, preset {preset}, {physics} physics"))
    sentence = (
        "Mean over seeds with 95 % bootstrap intervals; one seed has none. Where an online phase goes on from an "
        "offline one, both stand on one axis of updates and then environment steps, and a line marks the switch."
    )
    return Section("Learning curves", [sentence], pictures=pictures)


def performance_profiles(blocks: Sequence[Block], folder: Path) -> Section:
    """The share of runs above every score: a figure for every block and domain."""
    systems = _systems([group for block in blocks for group in block.groups])
    pictures = []
    for block in blocks:
        for domain in DOMAINS:
            thresholds, found = profiles(block, domain)
            if found:
                stem = folder / _slug("profile", domain, *block[:4])
                svg, _ = scores.performance_profiles(stem, thresholds, found, systems=systems)
                pictures.append(Picture(svg, f"{domain}: {block.title}"))
    sentence = "The share of all runs of a system that end above a score, with pointwise 95 % bootstrap intervals."
    return Section("Performance profiles", [sentence], pictures=pictures)


def what_ssar_did(groups: Sequence[Group], mazes: Mapping[str, MazeView], folder: Path) -> Section:
    """Beta, its trust region and what was selected, for every group that trained beta."""
    found: list[Adaptation] = []
    missing = []
    for group in groups:
        if group.key.phase == "offline" and all(run.adapts for run in group.runs):
            try:
                found.append(read_adaptation(group))
            except UserError as error:
                missing.append(f"Left out: {error}.")
    pictures = []
    for adaptation in found:
        group = adaptation.group
        if adaptation.states is None:
            missing.append(f"No diagnostics are stored of {title(group)}: beta over its states is missing.")
        stem = folder / _slug("beta", group.key.task, group.key.algorithm, group.key.variant, details_name(group))
        svg, _ = draw_adaptation(stem, adaptation, np.random.default_rng(0), mazes.get(group.key.task))
        pictures.append(Picture(svg, title(group)))
    sentence = (
        "Beta(s) weighs the regulariser in every state. It falls where the dataset's action lies inside the trust "
        "region of size n and rises where it lies outside (a negative weight); n grows until the selected actions lie "
        "inside on average. Means over seeds; the maps show beta averaged over the states in each cell, beside the "
        "share of the states there."
    )
    tables = [adaptation_table(found, "At the beginning and the end of training")] if found else []
    return Section("What SSAR did", [sentence, *missing], tables, pictures)


def _systems(groups: Sequence[Group]) -> list[str]:
    """All systems of a report, so that each has one colour in all its figures."""
    return sorted({label(group) for group in groups})


def _slug(*names: str) -> str:
    """A file name of letters, digits, dots and dashes."""
    kept = "".join(letter if letter.isalnum() or letter in ".-" else "-" for letter in "-".join(names).lower())
    return "-".join(filter(None, kept.split("-")))
