"""The sections of a report on runs, in the order in which they are read: scores and curves of the runs first."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ssar_jax.reporting.figures.datasets import MazeView
from ssar_jax.reporting.page import figure_sections, sections
from ssar_jax.reporting.page.document import Section
from ssar_jax.reporting.read.folders import Skipped
from ssar_jax.reporting.read.groups import Group
from ssar_jax.reporting.statistics.blocks import blocks_of


def report_sections(
    groups: Sequence[Group], skipped: Sequence[Skipped], mazes: Mapping[str, MazeView], folder: Path
) -> list[Section]:
    """Makes all sections of a report, and draws its figures.

    Args:
        groups: the finished runs.
        skipped: the folders left out.
        mazes: task -> its maze.
        folder: folder of the figures, as SVG and PNG.

    Returns:
        The sections that have any content or notice.

    Raises:
        UserError: if matplotlib is not installed.
    """
    blocks = blocks_of(groups)
    found = [
        sections.scores(blocks),
        figure_sections.learning_curves(groups, folder),
        *sections.comparisons_with_paper(blocks),
        sections.other_datasets(blocks),
        sections.aggregate_scores(blocks),
        figure_sections.performance_profiles(blocks, folder),
        figure_sections.adaptation(groups, mazes, folder),
        sections.speed(groups),
        sections.folders(groups, skipped),
        sections.run_details(groups),
        sections.published_alone(blocks),
    ]
    return [each for each in found if each.tables or each.pictures or each.details or each.notices]
