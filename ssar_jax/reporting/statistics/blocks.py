"""Numbers that may stand side by side: one phase, one source of data, one preset, one physics.

Embedded data are not D4RL, a short preset is not the paper's, and either physics scores otherwise, so nothing is
compared, added up or averaged across blocks.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ssar_jax.reporting.read.groups import Group
from ssar_jax.reporting.read.names import label
from ssar_jax.reporting.statistics.published import DOMAINS, OFFLINE

PAPER_DATA = "d4rl"
"""The only source of data whose results stand beside the paper's."""


class Block(NamedTuple):
    """Groups whose numbers may stand side by side.

    Attributes:
        phase: `offline` or `online`.
        data_source: of all groups.
        preset: of all groups.
        physics: of all groups.
        groups: in the order of their keys.
    """

    phase: str
    data_source: str
    preset: str
    physics: str
    groups: tuple[Group, ...]

    @property
    def title(self) -> str:
        """What is common to its numbers."""
        return f"{self.phase}, {self.data_source} data, preset {self.preset}, {self.physics} physics"

    @property
    def systems(self) -> dict[str, dict[str, Group]]:
        """Label of a system -> task -> its group; tasks in the paper's order, others behind them."""
        systems: dict[str, dict[str, Group]] = defaultdict(dict)
        for group in sorted(self.groups, key=lambda group: task_order(group.key.task)):
            systems[label(group)][group.key.task] = group
        return dict(sorted(systems.items()))


class Scores(NamedTuple):
    """The last scores of a system on several tasks.

    Attributes:
        tasks: T.
        seeds: those with a score on every task, S.
        left_out: the others.
        values: [S, T].
    """

    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    left_out: tuple[int, ...]
    values: np.ndarray


def blocks_of(groups: Iterable[Group]) -> list[Block]:
    """Sorts groups into blocks, offline before online."""
    blocks: dict[tuple[str, str, str, str], list[Group]] = defaultdict(list)
    for group in groups:
        blocks[group.key.phase, group.key.data_source, group.key.preset, group.key.physics].append(group)
    return [Block(*names, groups=tuple(blocks[names])) for names in sorted(blocks)]


def task_order(task: str) -> tuple[int, str]:
    """Sorts tasks as the paper does, others behind them by name."""
    known = list(OFFLINE.rows)
    return (known.index(task) if task in known else len(known), task)


def in_domain(groups: Mapping[str, Group], domain: str) -> dict[str, Group]:
    """The groups, by task, of a domain's tasks that have a scale."""
    return {task: group for task, group in groups.items() if task in OFFLINE.rows and task.startswith(DOMAINS[domain])}


def scores_of(groups: Mapping[str, Group]) -> Scores | None:
    """The last scores of the seeds that have one on every task; None where there is no task or no such seed."""
    finals = {task: _final_scores(group) for task, group in groups.items()}
    if not finals:
        return None
    every = sorted({seed for group in groups.values() for seed in group.seeds})
    seeds = [seed for seed in every if all(seed in final for final in finals.values())]
    if not seeds:
        return None
    values = np.array([[final[seed] for final in finals.values()] for seed in seeds])
    return Scores(tuple(finals), tuple(seeds), tuple(seed for seed in every if seed not in seeds), values)


def pairs(block: Block) -> list[tuple[str, str]]:
    """Labels of SSAR's systems, each beside the labels of all others of its algorithm."""
    kinds = {label(group): group.key for group in block.groups}
    return [
        (adaptive, base)
        for adaptive, key in sorted(kinds.items())
        for base, other in sorted(kinds.items())
        if key.variant == "sa" and other.variant != "sa" and other.algorithm == key.algorithm
    ]


def seed_counts(groups: Sequence[Group]) -> str:
    """How many seeds groups have, such as `3-5 seeds`."""
    counts = sorted({len(group.seeds) for group in groups})
    most = counts[-1]
    return ("" if len(counts) == 1 else f"{counts[0]}–") + f"{most} seed{'s' * (most > 1)}"


def _final_scores(group: Group) -> dict[int, float]:
    curve = group.curve()
    return {seed: score for seed, score in zip(curve.seeds, curve.final.tolist(), strict=True) if np.isfinite(score)}
