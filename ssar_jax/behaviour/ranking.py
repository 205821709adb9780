"""Does the embedded suite rank algorithms as D4RL does? Our scores beside the published ones."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

SYSTEMS: dict[str, str] = {"bc": "BC", "bc:top10": "10 % BC", "td3_bc:base": "TD3+BC", "iql": "IQL"}
"""The systems of the comparison, `<algorithm>` or `<algorithm>:<variant>`, with their names."""

# fmt: off
_PUBLISHED: dict[str, tuple[float, float, float, float]] = {
    "halfcheetah-m": (42.4, 42.5, 48.1, 48.3), "halfcheetah-mr": (35.7, 23.6, 44.8, 44.5),
    "halfcheetah-me": (56.0, 90.1, 90.8, 94.7),
    "hopper-m": (53.5, 55.5, 60.4, 67.5), "hopper-mr": (29.8, 70.4, 64.4, 97.4),
    "hopper-me": (52.3, 111.2, 101.2, 107.4),
    "walker2d-m": (63.2, 67.3, 82.7, 80.9), "walker2d-mr": (21.8, 54.4, 85.6, 82.2),
    "walker2d-me": (99.0, 108.7, 110.0, 111.7),
    "antmaze-u": (55.3, 65.8, 70.8, 77.0), "antmaze-ud": (47.3, 44.0, 44.8, 54.3), "antmaze-mp": (0.0, 2.0, 0.3, 65.8),
    "antmaze-md": (0.8, 5.8, 0.3, 73.8), "antmaze-lp": (0.0, 0.0, 0.0, 42.0), "antmaze-ld": (0.0, 0.8, 0.0, 30.3),
}
# fmt: on

PUBLISHED: dict[str, dict[str, float]] = {
    task: dict(zip(SYSTEMS, scores, strict=True)) for task, scores in _PUBLISHED.items()
}
"""Last scores on D4RL's file of the name, by task and system, from the reports of CORL (Tarasov et al., 2022,
https://arxiv.org/abs/2210.07105)."""


class Cell(NamedTuple):
    """A system on a task.

    Attributes:
        task: the task.
        system: the system.
        ours: score on our dataset.
        published: score on D4RL's.
    """

    task: str
    system: str
    ours: float
    published: float


def compare(scores: Mapping[tuple[str, str], float]) -> list[Cell]:
    """Returns the cells that have both scores, in the order of the published table.

    Args:
        scores: (task, system) -> score on our dataset.
    """
    return [
        Cell(task, system, scores[task, system], published)
        for task, row in PUBLISHED.items()
        for system, published in row.items()
        if (task, system) in scores
    ]


def rank_correlation(cells: Sequence[Cell]) -> float:
    """Returns Spearman's rank correlation of our scores with the published ones over all cells.

    It is high when hard tasks are hard here too; whether systems are ranked alike within a task is `concordance`.

    Args:
        cells: at least two cells.

    Returns:
        The correlation; NaN if all scores of one side are equal.
    """
    sides = np.array([[cell.ours, cell.published] for cell in cells])
    if (np.ptp(sides, axis=0) == 0.0).any():
        return math.nan
    correlation, _ = stats.spearmanr(sides)
    return float(correlation)  # pyright: ignore[reportArgumentType]


def concordance(cells: Sequence[Cell], least: float = 5.0) -> tuple[int, int]:
    """Counts the pairs of systems on a task that are in the published order here too.

    Args:
        cells: the cells.
        least: published difference from which on a pair counts; smaller ones are within the noise of seeds.

    Returns:
        The number of pairs in the published order, and the number of pairs.
    """
    pairs = [
        (one.ours - other.ours) * (one.published - other.published) > 0
        for one, other in itertools.combinations(cells, 2)
        if one.task == other.task and abs(one.published - other.published) >= least
    ]
    return sum(pairs), len(pairs)


def mean_difference(cells: Sequence[Cell]) -> float:
    """Returns the mean absolute difference of our scores from the published ones.

    Args:
        cells: at least one cell.
    """
    return float(np.mean([abs(cell.ours - cell.published) for cell in cells]))


def markdown(cells: Sequence[Cell], updates: int) -> str:
    """Returns a Markdown section with a table of the cells and two figures on all of them.

    Args:
        cells: at least two cells.
        updates: number of updates of our runs.
    """
    systems = [system for system in SYSTEMS if any(cell.system == system for cell in cells)]
    rows = [f"| task | {' | '.join(SYSTEMS[system] for system in systems)} |", "|---" * (len(systems) + 1) + "|"]
    for task in dict.fromkeys(cell.task for cell in cells):
        row = {cell.system: f"{cell.ours:.1f} / {cell.published:.1f}" for cell in cells if cell.task == task}
        rows.append(f"| {task} | {' | '.join(row.get(system, '') for system in systems)} |")
    table = "\n".join(rows)
    alike, pairs = concordance(cells)
    return f"""\
## Does it rank algorithms as D4RL does?

Scores on these datasets after {updates:,} updates of one seed (mean of the last three evaluations of ten episodes) /
published last score on the D4RL file of the name ([CORL's reports](https://arxiv.org/abs/2210.07105), 1,000,000 updates
of four seeds, ten episodes, on AntMaze a hundred).

{table}

- Rank correlation (Spearman) over {len(cells)} cells: {rank_correlation(cells):.2f}.
- Order of two systems on a task whose published scores differ by 5 points or more: as published in {alike} of {pairs}
  pairs.
- Mean absolute difference: {mean_difference(cells):.1f} points.
"""
