"""What scores of a few seeds say about a system, and how sure that is.

Scores are arrays [S, T] of seeds and tasks. A statistic takes any leading axes, [..., S, T] to [...], so that the same
function gives the estimate and, on all resamples at once, its interval. Definitions as in Agarwal et al., "Deep
Reinforcement Learning at the Edge of the Statistical Precipice", NeurIPS 2021, https://arxiv.org/abs/2108.13264.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from ssar_jax.errors import UserError

EXPERT_SCORE = 100.0
"""The score that the optimality gap is measured from."""

RESAMPLES = 10_000


class Interval(NamedTuple):
    """An estimate and the ends of its confidence interval, each [] or [K]; the ends are NaN where none is known."""

    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray


def mean(scores: np.ndarray) -> np.ndarray:
    """The mean over tasks of the mean over seeds."""
    return scores.mean(axis=(-2, -1))


def median(scores: np.ndarray) -> np.ndarray:
    """The median over tasks of the mean over seeds."""
    return np.median(scores.mean(axis=-2), axis=-1)


def iqm(scores: np.ndarray) -> np.ndarray:
    """The interquartile mean: of all S T scores the mean without the floor(S T / 4) lowest and highest."""
    ordered = np.sort(scores.reshape(*scores.shape[:-2], -1), axis=-1)
    cut = ordered.shape[-1] // 4
    return ordered[..., cut : ordered.shape[-1] - cut].mean(axis=-1)


def optimality_gap(scores: np.ndarray) -> np.ndarray:
    """How far scores stay below `EXPERT_SCORE` in the mean; what lies above it makes up for nothing."""
    return EXPERT_SCORE - np.minimum(scores, EXPERT_SCORE).mean(axis=(-2, -1))


AGGREGATES: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "IQM": iqm,
    "median": median,
    "mean": mean,
    "optimality gap": optimality_gap,
}


def aggregates(scores: np.ndarray, rng: np.random.Generator, *, resamples: int = RESAMPLES) -> dict[str, Interval]:
    """Every one of `AGGREGATES` with its 95 % interval.

    Args:
        scores: [S, T].
        rng: draws the resamples.
        resamples: their number.

    Raises:
        UserError: where a score is missing.
    """
    checked = _require_scores(scores)
    return {name: bootstrap(statistic, checked, rng=rng, resamples=resamples) for name, statistic in AGGREGATES.items()}


def probability_of_improvement(
    scores: np.ndarray, others: np.ndarray, rng: np.random.Generator, *, resamples: int = RESAMPLES
) -> Interval:
    """The probability that a run of one system beats a run of another on the same task, in the mean over tasks.

    All pairs of seeds are compared; equal scores count half. 0.5 where the systems are equal.

    Args:
        scores: of the first system, [S, T].
        others: of the second, [U, T], tasks in the same order.
        rng: draws the resamples, of each system by itself.
        resamples: their number.

    Raises:
        UserError: where a score is missing or the numbers of tasks differ.
    """
    first, second = _require_scores(scores), _require_scores(others)
    if first.shape[1] != second.shape[1]:
        raise UserError(f"systems are compared task by task, but one has {first.shape[1]}, the other {second.shape[1]}")
    return bootstrap(_improvement, first, second, rng=rng, resamples=resamples)


def _improvement(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    pairs = np.sign(first[..., :, None, :] - second[..., None, :, :])  # [..., S, U, T]
    return 0.5 + 0.5 * pairs.mean(axis=(-3, -2, -1))


def performance_profile(
    scores: np.ndarray, thresholds: np.ndarray, rng: np.random.Generator, *, resamples: int = RESAMPLES
) -> Interval:
    """The share of all runs that score above each threshold, with pointwise 95 % intervals.

    Args:
        scores: [S, T].
        thresholds: [K].
        rng: draws the resamples.
        resamples: their number.

    Raises:
        UserError: where a score is missing.
    """

    def shares(runs: np.ndarray) -> np.ndarray:
        return np.stack([(runs > threshold).mean(axis=(-2, -1)) for threshold in thresholds], axis=-1)

    return bootstrap(shares, _require_scores(scores), rng=rng, resamples=resamples)


def bootstrap(
    statistic: Callable[..., np.ndarray],
    *systems: np.ndarray,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
) -> Interval:
    """The percentile interval of a statistic when the seeds are drawn again, stratified by task.

    A resample draws for every system and task as many seeds as there are, with replacement and independently of the
    other tasks. One seed tells nothing about the spread, so a system of one seed has no interval.

    Args:
        statistic: takes one array [..., S, T] per system and returns [...] or [..., K].
        *systems: scores [S, T] of each.
        rng: draws the resamples.
        resamples: R, their number.
        confidence: share of the resamples between the ends.

    Returns:
        The statistic of the scores themselves, and the interval.
    """
    estimate = np.asarray(statistic(*systems))
    if min(len(scores) for scores in systems) == 1:
        nothing = np.full_like(estimate, np.nan)
        return Interval(estimate, nothing, nothing)
    drawn = statistic(*(_resample(scores, resamples, rng) for scores in systems))
    tail = (1.0 - confidence) / 2.0
    ends = np.quantile(drawn, [tail, 1.0 - tail], axis=0)
    return Interval(estimate, np.asarray(ends[0]), np.asarray(ends[1]))


def _resample(scores: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Draws [R, S, T] from scores [S, T]."""
    seeds = rng.integers(len(scores), size=(resamples, *scores.shape))
    return np.take_along_axis(scores[None], seeds, axis=1)


def _require_scores(scores: np.ndarray) -> np.ndarray:
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2 or scores.size == 0:
        raise UserError(f"scores must be an array of seeds and tasks with at least one of each, not {scores.shape}")
    for seed, task in np.argwhere(~np.isfinite(scores))[:1]:
        raise UserError(
            f"no score of seed number {seed} on task number {task} (it is {scores[seed, task]}): statistics need every "
            "seed on every task; leave out what diverged and say so"
        )
    return scores
