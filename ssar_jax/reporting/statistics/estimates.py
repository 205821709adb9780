"""Aggregate scores over seeds and tasks, with bootstrap confidence intervals.

Scores are arrays [S, T] of seeds and tasks. Every statistic maps [..., S, T] to [...], so that one function computes
the estimate and, on all resamples at once, its interval. Definitions follow Agarwal et al., "Deep Reinforcement
Learning at the Edge of the Statistical Precipice", NeurIPS 2021, https://arxiv.org/abs/2108.13264.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from ssar_jax.errors import UserError

EXPERT_SCORE = 100.0
"""The normalized score of an expert, from which the optimality gap is measured."""

RESAMPLES = 10_000
"""Default number of bootstrap resamples."""


class Interval(NamedTuple):
    """An estimate with its confidence interval.

    Attributes:
        estimate: the estimate, [] or [K].
        low: lower end of the interval, of the same shape; NaN if the interval is unknown.
        high: upper end of the interval, of the same shape; NaN if the interval is unknown.
    """

    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray


def mean(scores: np.ndarray) -> np.ndarray:
    """Returns the mean over tasks of the mean over seeds, [..., S, T] -> [...].

    Args:
        scores: scores of one system, [..., S, T].
    """
    return scores.mean(axis=(-2, -1))


def median(scores: np.ndarray) -> np.ndarray:
    """Returns the median over tasks of the mean over seeds, [..., S, T] -> [...].

    Args:
        scores: scores of one system, [..., S, T].
    """
    return np.median(scores.mean(axis=-2), axis=-1)


def iqm(scores: np.ndarray) -> np.ndarray:
    """Returns the interquartile mean, [..., S, T] -> [...].

    It is the mean of all S T scores without the floor(S T / 4) lowest and the floor(S T / 4) highest.

    Args:
        scores: scores of one system, [..., S, T].
    """
    ordered = np.sort(scores.reshape(*scores.shape[:-2], -1), axis=-1)
    cut = ordered.shape[-1] // 4
    return ordered[..., cut : ordered.shape[-1] - cut].mean(axis=-1)


def optimality_gap(scores: np.ndarray) -> np.ndarray:
    """Returns the mean distance below `EXPERT_SCORE`, [..., S, T] -> [...].

    Scores above it count as equal to it.

    Args:
        scores: scores of one system, [..., S, T].
    """
    return EXPERT_SCORE - np.minimum(scores, EXPERT_SCORE).mean(axis=(-2, -1))


AGGREGATES: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "IQM": iqm,
    "median": median,
    "mean": mean,
    "optimality gap": optimality_gap,
}
"""Name of a statistic -> its function, in the order of the report's columns."""


def aggregates(scores: np.ndarray, rng: np.random.Generator, *, resamples: int = RESAMPLES) -> dict[str, Interval]:
    """Computes every statistic of `AGGREGATES` with its 95 % interval.

    Args:
        scores: scores of one system, [S, T].
        rng: generator that draws the resamples.
        resamples: number of resamples.

    Returns:
        Name of a statistic -> its estimate and interval, each [].

    Raises:
        UserError: if a score is missing.
    """
    checked = _require_scores(scores)
    return {name: bootstrap(statistic, checked, rng=rng, resamples=resamples) for name, statistic in AGGREGATES.items()}


def probability_of_improvement(
    scores: np.ndarray, others: np.ndarray, rng: np.random.Generator, *, resamples: int = RESAMPLES
) -> Interval:
    """Estimates the probability that a run of one system beats a run of another on the same task.

    All pairs of seeds are compared, equal scores count half, and the result is the mean over tasks: 0.5 for equal
    systems.

    Args:
        scores: scores of the first system, [S, T].
        others: scores of the second system, [U, T], with the tasks in the same order.
        rng: generator that draws the resamples, independently for the two systems.
        resamples: number of resamples.

    Returns:
        The probability with its 95 % interval, each [].

    Raises:
        UserError: if a score is missing or the numbers of tasks differ.
    """
    first, second = _require_scores(scores), _require_scores(others)
    if first.shape[1] != second.shape[1]:
        raise UserError(
            f"systems are compared task by task, but one has {first.shape[1]} tasks, the other {second.shape[1]}"
        )
    return bootstrap(_improvement, first, second, rng=rng, resamples=resamples)


def _improvement(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    pairs = np.sign(first[..., :, None, :] - second[..., None, :, :])  # [..., S, U, T]
    return 0.5 + 0.5 * pairs.mean(axis=(-3, -2, -1))


def performance_profile(
    scores: np.ndarray, thresholds: np.ndarray, rng: np.random.Generator, *, resamples: int = RESAMPLES
) -> Interval:
    """Computes the share of all runs that score above each threshold.

    Args:
        scores: scores of one system, [S, T].
        thresholds: scores to compare with, [K].
        rng: generator that draws the resamples.
        resamples: number of resamples.

    Returns:
        The shares with their pointwise 95 % intervals, each [K].

    Raises:
        UserError: if a score is missing.
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
    """Computes a statistic with its percentile bootstrap interval over seeds, stratified by task.

    A resample draws S seeds with replacement for every system and task, independently of other tasks. One seed carries
    no information about the spread, so a system with one seed has no interval.

    Args:
        statistic: function of one array [..., S, T] per system that returns [...] or [..., K].
        *systems: scores of each system, [S, T].
        rng: generator that draws the resamples.
        resamples: number R of resamples.
        confidence: share of the resamples inside the interval.

    Returns:
        The statistic of the scores and its interval.
    """
    estimate = np.asarray(statistic(*systems))
    if min(len(scores) for scores in systems) == 1:
        nothing = np.full_like(estimate, np.nan)
        return Interval(estimate=estimate, low=nothing, high=nothing)
    drawn = statistic(*(_resample(scores, resamples, rng) for scores in systems))
    tail = (1.0 - confidence) / 2.0
    ends = np.quantile(drawn, [tail, 1.0 - tail], axis=0)
    return Interval(estimate=estimate, low=np.asarray(ends[0]), high=np.asarray(ends[1]))


def _resample(scores: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Draws [R, S, T] from scores [S, T]."""
    seeds = rng.integers(len(scores), size=(resamples, *scores.shape))
    return np.take_along_axis(scores[None], seeds, axis=1)


def _require_scores(scores: np.ndarray) -> np.ndarray:
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2 or scores.size == 0:
        raise UserError(f"scores must have shape [seeds, tasks] with at least one of each, not {scores.shape}")
    for seed, task in np.argwhere(~np.isfinite(scores))[:1]:
        raise UserError(
            f"the score of seed number {seed} on task number {task} is {scores[seed, task]}: statistics need every "
            "seed on every task; leave out seeds that diverged and report them"
        )
    return scores
