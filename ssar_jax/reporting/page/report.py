"""A report on runs: everything that stands in it, in its order."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ssar_jax.reporting.figures.datasets import MazeView
from ssar_jax.reporting.page import figure_sections
from ssar_jax.reporting.page import sections as texts
from ssar_jax.reporting.page.document import Section
from ssar_jax.reporting.read.groups import Group
from ssar_jax.reporting.read.runs import Skipped
from ssar_jax.reporting.statistics.blocks import blocks_of


def sections(
    groups: Sequence[Group], skipped: Sequence[Skipped], mazes: Mapping[str, MazeView], folder: Path
) -> list[Section]:
    """Everything that a report on runs holds.

    Args:
        groups: the finished runs.
        skipped: the folders left out.
        mazes: task -> its walls.
        folder: where the figures go, as SVG and PNG.

    Raises:
        UserError: where matplotlib is not installed.
    """
    blocks = blocks_of(groups)
    found = [
        texts.what_was_read(groups, skipped),
        *texts.beside_the_paper(blocks),
        texts.on_other_data(blocks),
        texts.last_and_best(blocks),
        texts.over_tasks_and_seeds(blocks),
        figure_sections.learning_curves(groups, folder),
        figure_sections.performance_profiles(blocks, folder),
        figure_sections.what_ssar_did(groups, mazes, folder),
        texts.speed(groups),
        texts.origins(groups),
    ]
    return [section for section in found if section.tables or section.pictures or section.details]
