"""Statistics over tasks and seeds for a block: aggregates, SSAR against its baseline, performance profiles."""

from collections.abc import Iterator, Sequence

import numpy as np

from ssar_jax.reporting.page.document import Cell, Table, interval_cell, text
from ssar_jax.reporting.statistics import estimates
from ssar_jax.reporting.statistics.blocks import Block, Scores, adaptive_pairs, in_domain, scores_of
from ssar_jax.reporting.statistics.estimates import AGGREGATES, Interval
from ssar_jax.reporting.statistics.published import DOMAINS

_THRESHOLDS = 101  # of a profile, from 0 to the highest score
_PROFILE_RESAMPLES = 2_000  # for every threshold; enough for the ends of a band


def aggregates_table(block: Block) -> Table | None:
    """Makes a table of IQM, median, mean and optimality gap of every system and domain; None without scores.

    Args:
        block: comparable results.
    """
    rows = []
    for domain, system, scores in _systems(block):
        cells = estimates.aggregates(scores.values, np.random.default_rng(0)).values()
        rows.append([text(domain), text(system), *_counts(scores), *(interval_cell(cell, 1) for cell in cells)])
    headings = ["domain", "system", "tasks", "seeds", *AGGREGATES]
    return Table(caption=block.title, headings=headings, rows=rows) if rows else None


def improvements_table(block: Block) -> Table | None:
    """Makes a table of the probabilities that SSAR beats its baselines; None if there is nothing to compare.

    Args:
        block: comparable results.
    """
    rows = []
    for adaptive, base in adaptive_pairs(block):
        for domain in DOMAINS:
            mine, theirs = (in_domain(block.systems[system], domain) for system in (adaptive, base))
            common = mine.keys() & theirs.keys()
            first, second = (
                scores_of({task: group for task, group in groups.items() if task in common})
                for groups in (mine, theirs)
            )
            if first is None or second is None:
                continue
            chance = estimates.probability_of_improvement(first.values, second.values, np.random.default_rng(0))
            rows.append([text(domain), text(adaptive), text(base), *_counts(first), interval_cell(chance, 2)])
    headings = ["domain", "system", "against", "tasks", "seeds", "probability of improvement"]
    return Table(caption=f"{block.title}: SSAR against its baseline", headings=headings, rows=rows) if rows else None


def profiles(block: Block, domain: str) -> tuple[np.ndarray, dict[str, Interval]]:
    """Computes the performance profiles of a domain.

    Args:
        block: the results.
        domain: a name in `DOMAINS`.

    Returns:
        The thresholds [K], and label of a system -> the share of its runs above each threshold.
    """
    scores = {system: scores for name, system, scores in _systems(block) if name == domain}
    highest = max((float(each.values.max()) for each in scores.values()), default=0.0)
    thresholds = np.linspace(0.0, max(estimates.EXPERT_SCORE, highest), _THRESHOLDS)
    draws = {"resamples": _PROFILE_RESAMPLES}
    return thresholds, {
        system: estimates.performance_profile(each.values, thresholds, np.random.default_rng(0), **draws)
        for system, each in scores.items()
    }


def _systems(block: Block) -> Iterator[tuple[str, str, Scores]]:
    """Yields domain, label of a system and its scores, where it has any."""
    for domain in DOMAINS:
        for system, groups in block.systems.items():
            scores = scores_of(in_domain(groups, domain))
            if scores is not None:
                yield domain, system, scores


def _counts(scores: Scores) -> Sequence[Cell]:
    """The numbers of tasks and seeds, with the number of all seeds if some have no score on every task."""
    seeds, every = len(scores.seeds), len(scores.seeds) + len(scores.left_out)
    shown = str(seeds) if seeds == every else f"{seeds} of {every}"
    return [Cell(text=str(len(scores.tasks)), value=len(scores.tasks)), Cell(text=shown, value=seeds)]
