"""Blocks of comparable results: one phase, one data source, one preset, one physics.

Nothing is compared, summed or averaged across blocks, because embedded data are not D4RL's, a short preset is not the
paper's, and the two versions of the physics give different scores.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ssar_jax.reporting.read.groups import Group
from ssar_jax.reporting.statistics.names import label
from ssar_jax.reporting.statistics.published import DOMAINS, OFFLINE

PAPER_DATA = "d4rl"
"""The only data source whose results are comparable with the paper's."""


class Block(NamedTuple):
    """Groups whose results are comparable.

    Attributes:
        phase: `offline` or `online`.
        data_source: data source of all groups.
        preset: preset of all groups.
        physics: physics of all groups.
        groups: the groups, in the order of their keys.
    """

    phase: str
    data_source: str
    preset: str
    physics: str
    groups: tuple[Group, ...]

    @property
    def title(self) -> str:
        """What its results have in common, in one line."""
        return f"{self.phase}, {self.data_source} data, preset {self.preset}, {self.physics} physics"

    @property
    def systems(self) -> dict[str, dict[str, Group]]:
        """Label of a system -> task -> its group; tasks in the paper's order, then others."""
        systems: dict[str, dict[str, Group]] = defaultdict(dict)
        for group in sorted(self.groups, key=lambda group: task_order(group.key.task)):
            systems[label(group)][group.key.task] = group
        return dict(sorted(systems.items()))


class Scores(NamedTuple):
    """The last scores of a system on several tasks.

    Attributes:
        tasks: the T tasks.
        seeds: the S seeds with a score on every task.
        left_out: the other seeds.
        values: the scores, [S, T].
    """

    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    left_out: tuple[int, ...]
    values: np.ndarray


def blocks_of(groups: Iterable[Group]) -> list[Block]:
    """Sorts groups into blocks, offline before online.

    Args:
        groups: the finished runs, grouped.
    """
    blocks: dict[tuple[str, str, str, str], list[Group]] = defaultdict(list)
    for group in groups:
        blocks[group.key.phase, group.key.data_source, group.key.preset, group.key.physics].append(group)
    return [
        Block(phase=phase, data_source=source, preset=preset, physics=physics, groups=tuple(inside))
        for (phase, source, preset, physics), inside in sorted(blocks.items(), key=lambda item: item[0])
    ]


def task_order(task: str) -> tuple[int, str]:
    """Sorts tasks as the paper does, then others by name.

    Args:
        task: short name of a task.
    """
    known = list(OFFLINE.rows)
    return (known.index(task) if task in known else len(known), task)


def in_domain(groups: Mapping[str, Group], domain: str) -> dict[str, Group]:
    """Returns the groups on the paper's tasks of a domain.

    Args:
        groups: task -> group.
        domain: a name in `DOMAINS`.
    """
    return {task: group for task, group in groups.items() if task in OFFLINE.rows and task.startswith(DOMAINS[domain])}


def scores_of(groups: Mapping[str, Group]) -> Scores | None:
    """Returns the last scores of the seeds that have one on every task.

    Args:
        groups: task -> group of one system.

    Returns:
        The scores, or None if there is no task or no such seed.
    """
    finals = {task: _final_scores(group) for task, group in groups.items()}
    if not finals:
        return None
    every = sorted({seed for group in groups.values() for seed in group.seeds})
    seeds = [seed for seed in every if all(seed in final for final in finals.values())]
    if not seeds:
        return None
    return Scores(
        tasks=tuple(finals),
        seeds=tuple(seeds),
        left_out=tuple(seed for seed in every if seed not in seeds),
        values=np.array([[final[seed] for final in finals.values()] for seed in seeds]),
    )


def adaptive_pairs(block: Block) -> list[tuple[str, str]]:
    """Pairs the labels of systems with a state-adaptive coefficient with those of the same algorithm without one.

    Args:
        block: comparable results.
    """
    groups = {label(group): group for group in block.groups}
    return [
        (adaptive, base)
        for adaptive, first in sorted(groups.items())
        for base, second in sorted(groups.items())
        if first.adapts and not second.adapts and second.key.algorithm == first.key.algorithm
    ]


def seed_counts(groups: Sequence[Group]) -> str:
    """Returns the number of seeds of some groups as text, such as `3–5 seeds`.

    Args:
        groups: at least one group.
    """
    counts = sorted({len(group.seeds) for group in groups})
    most = counts[-1]
    return ("" if len(counts) == 1 else f"{counts[0]}–") + f"{most} seed{'s' * (most > 1)}"


def _final_scores(group: Group) -> dict[int, float]:
    curve = group.curve()
    return {seed: score for seed, score in zip(curve.seeds, curve.final.tolist(), strict=True) if np.isfinite(score)}
