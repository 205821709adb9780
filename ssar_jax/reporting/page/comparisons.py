"""Statistics over tasks and seeds, block by block: aggregates, SSAR against its base, performance profiles."""

from collections.abc import Iterator, Sequence

import numpy as np

from ssar_jax.reporting.page.document import Cell, Table, interval_cell, text
from ssar_jax.reporting.statistics import estimates
from ssar_jax.reporting.statistics.blocks import Block, Scores, in_domain, pairs, scores_of
from ssar_jax.reporting.statistics.estimates import AGGREGATES, Interval
from ssar_jax.reporting.statistics.published import DOMAINS

_THRESHOLDS = 101  # of a profile, from 0 to the highest score
_PROFILE_RESAMPLES = 2_000  # for every threshold; the ends of a band need no more


def aggregates_table(block: Block) -> Table | None:
    """IQM, median, mean and optimality gap of every system on either domain; None where nothing has a scale."""
    rows = []
    for domain, system, scores in _systems(block):
        cells = estimates.aggregates(scores.values, np.random.default_rng(0)).values()
        rows.append([text(domain), text(system), *_counts(scores), *(interval_cell(cell, 1) for cell in cells)])
    return Table(block.title, ["domain", "system", "tasks", "seeds", *AGGREGATES], rows) if rows else None


def improvements_table(block: Block) -> Table | None:
    """The probability that SSAR beats another form of its algorithm; None where there is nothing to compare."""
    rows = []
    for adaptive, base in pairs(block):
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
    return Table(f"{block.title}: SSAR against its base", headings, rows) if rows else None


def profiles(block: Block, domain: str) -> tuple[np.ndarray, dict[str, Interval]]:
    """Thresholds [K] and, for every system with scores in a domain, the share of its runs above each."""
    scores = {system: scores for name, system, scores in _systems(block) if name == domain}
    highest = max((float(each.values.max()) for each in scores.values()), default=0.0)
    thresholds = np.linspace(0.0, max(estimates.EXPERT_SCORE, highest), _THRESHOLDS)
    draws = {"resamples": _PROFILE_RESAMPLES}
    return thresholds, {
        system: estimates.performance_profile(each.values, thresholds, np.random.default_rng(0), **draws)
        for system, each in scores.items()
    }


def _systems(block: Block) -> Iterator[tuple[str, str, Scores]]:
    """Domain, system and its scores there, as far as there are any."""
    for domain in DOMAINS:
        for system, groups in block.systems.items():
            scores = scores_of(in_domain(groups, domain))
            if scores is not None:
                yield domain, system, scores


def _counts(scores: Scores) -> Sequence[Cell]:
    """The numbers of tasks and of seeds; where some have no score on every task, out of how many."""
    seeds, every = len(scores.seeds), len(scores.seeds) + len(scores.left_out)
    shown = str(seeds) if seeds == every else f"{seeds} of {every}"
    return [Cell(str(len(scores.tasks)), len(scores.tasks)), Cell(shown, seeds)]
