"""Statistics: every number by hand, degenerate scores, and rliable 1.2.0 as an independent program."""

import numpy as np
import pytest

from ssar_jax.reporting.statistics import estimates
from ssar_jax.reporting.statistics.estimates import bootstrap, iqm, mean, median, optimality_gap
from tests.data.helpers import user_error

SCORES = np.array([[10.0, 30.0, 50.0, 200.0], [40.0, 20.0, 110.0, 120.0]])  # [S, T] = [2, 4]


def rng():
    return np.random.default_rng(0)


def test_the_aggregates_by_hand():
    """Sorted: 10 20 30 40 50 110 120 200; the sum is 580.

    IQM: without two at each end (30 + 40 + 50 + 110) / 4 = 57.5. Task means 25 25 80 160, of which the median is
    (25 + 80) / 2 = 52.5. Cut at 100 the sum is 10 + 20 + 30 + 40 + 50 + 300 = 450, the gap 100 - 450 / 8 = 43.75.
    """
    assert (iqm(SCORES), median(SCORES), mean(SCORES), optimality_gap(SCORES)) == (57.5, 52.5, 72.5, 43.75)


def test_the_iqm_drops_whole_scores():
    """Of 6 scores floor(6 / 4) = 1 at each end: (2 + 3 + 4 + 9) / 4 = 4.5; of 3 scores none."""
    assert iqm(np.array([[1.0, 9.0, 3.0], [4.0, 2.0, 100.0]])) == 4.5
    assert iqm(np.array([[1.0, 2.0, 6.0]])) == 3.0


@pytest.mark.parametrize("statistic", estimates.AGGREGATES.values(), ids=estimates.AGGREGATES)
def test_leading_axes_are_kept(statistic):
    several = np.stack([SCORES, 2 * SCORES, SCORES[::-1]])
    np.testing.assert_array_equal(statistic(several), [statistic(scores) for scores in several])


def test_the_interval_of_two_seeds_by_hand():
    """The resampled mean of 0 and 1 is 0, 1/2 or 1 with probability 1/4, 1/2, 1/4.

    So 95 % reach from 0 to 1, and the middle 40 %, from the 30th to the 70th percentile, are 1/2 alone.
    """
    scores = np.array([[0.0], [1.0]])
    assert bootstrap(mean, scores, rng=rng()) == (0.5, 0.0, 1.0)
    assert bootstrap(mean, scores, rng=rng(), confidence=0.4) == (0.5, 0.5, 0.5)


def test_tasks_are_drawn_independently():
    """The seeds' means over tasks are equal, and whole seeds would give 1/2 always.

    Task by task the mean is 0, 1/4, 1/2, 3/4, 1 with probabilities 1, 4, 6, 4, 1 in 16: 95 % reach from 0 to 1.
    """
    assert bootstrap(mean, np.array([[0.0, 1.0], [1.0, 0.0]]), rng=rng()) == (0.5, 0.0, 1.0)


def test_scores_stay_in_their_task():
    """Between tasks there is all the spread, within them none, and only seeds are drawn."""
    assert bootstrap(mean, np.array([[0.0, 100.0], [0.0, 100.0]]), rng=rng()) == (50.0, 50.0, 50.0)


def test_one_seed_has_no_interval():
    for name, interval in estimates.aggregates(SCORES[:1], rng()).items():
        assert interval.estimate == estimates.AGGREGATES[name](SCORES[:1])
        assert np.isnan([interval.low, interval.high]).all()
    interval = estimates.probability_of_improvement(SCORES, SCORES[:1], rng())
    assert np.isnan([interval.low, interval.high]).all()
    assert np.isnan(estimates.performance_profile(SCORES[:1], np.array([0.0, 1.0]), rng()).low).all()


def test_equal_scores_have_an_interval_of_no_width():
    equal = np.full((3, 4), 60.0)
    intervals = estimates.aggregates(equal, rng())
    assert {name: tuple(map(float, interval)) for name, interval in intervals.items()} == {
        **dict.fromkeys(("IQM", "median", "mean"), (60.0, 60.0, 60.0)),
        "optimality gap": (40.0, 40.0, 40.0),
    }
    assert estimates.probability_of_improvement(equal, equal, rng()) == (0.5, 0.5, 0.5)


def test_the_probability_of_improvement_by_hand():
    """Task 1: of the pairs (1,2) (1,3) (3,2) (3,3) one wins, one is even: 1.5 / 4 = 0.375. Task 2: all win, 1."""
    first, second = np.array([[1.0, 9.0], [3.0, 8.0]]), np.array([[2.0, 0.0], [3.0, 1.0]])
    assert estimates.probability_of_improvement(first, second, rng()).estimate == (0.375 + 1.0) / 2
    assert estimates.probability_of_improvement(second, first, rng()).estimate == (0.625 + 0.0) / 2
    more_seeds = np.concatenate([second, [[4.0, 10.0]]])  # task 1: 1.5 of 6 pairs, task 2: 4 of 6
    assert estimates.probability_of_improvement(first, more_seeds, rng()).estimate == pytest.approx((0.25 + 4 / 6) / 2)


def test_the_systems_are_drawn_independently_of_each_other():
    """First 0 or 2, second 1 in both seeds: 1/2; drawn again the first is better in 0, 1/2 or 1 of the pairs."""
    interval = estimates.probability_of_improvement(np.array([[0.0], [2.0]]), np.array([[1.0], [1.0]]), rng())
    assert interval == (0.5, 0.0, 1.0)


def test_the_profile_by_hand():
    """Of 8 scores 8, 7, 4, 3, 0 lie above 0, 10, 45, 50, 200; a score at the threshold does not count."""
    profile = estimates.performance_profile(SCORES, np.array([0.0, 10.0, 45.0, 50.0, 200.0]), rng())
    np.testing.assert_array_equal(profile.estimate, [1.0, 7 / 8, 4 / 8, 3 / 8, 0.0])
    assert (profile.low <= profile.estimate).all()
    assert (profile.estimate <= profile.high).all()
    assert (profile.low[0], profile.high[0], profile.low[-1], profile.high[-1]) == (1.0, 1.0, 0.0, 0.0)


def test_the_generator_decides_alone():
    assert estimates.aggregates(SCORES, rng()) == estimates.aggregates(SCORES, rng())
    draw = rng()
    wide = np.arange(40.0).reshape(5, 8) ** 1.5
    first, second = (bootstrap(mean, wide, rng=draw, resamples=100) for _ in range(2))
    assert first.estimate == second.estimate
    assert first.low != second.low


def test_missing_scores_are_refused():
    broken = SCORES.copy()
    broken[1, 2] = np.nan
    message = ("the score of seed number 1 on task number 2 is nan", "leave out seeds that diverged")
    for call in (
        lambda: estimates.aggregates(broken, rng()),
        lambda: estimates.probability_of_improvement(SCORES, broken, rng()),
        lambda: estimates.performance_profile(broken, np.zeros(1), rng()),
    ):
        with user_error(*message):
            call()


def test_shapes_are_checked():
    with user_error("[seeds, tasks]", "(4,)"):
        estimates.aggregates(SCORES[0], rng())
    with user_error("(0, 4)"):
        estimates.aggregates(SCORES[:0], rng())
    with user_error("one has 4 tasks, the other 3"):
        estimates.probability_of_improvement(SCORES, SCORES[:, :3], rng())


# rliable 1.2.0 with arch 6.3.0 and numpy 1.26.4, in a separate environment, on X and Y as below:
#   python -m venv rliable && rliable/bin/pip install 'numpy<2' 'arch<7' 'scipy<1.14' 'pandas<2.3' absl-py
#   rliable/bin/pip install --no-deps rliable==1.2.0
#   aggregates = lambda s: np.array([metrics.aggregate_iqm(s), metrics.aggregate_median(s),
#                                    metrics.aggregate_mean(s), metrics.aggregate_optimality_gap(s, 100)])
#   np.random.seed(0)  # rliable draws from NumPy's global state
#   library.get_interval_estimates({"x": X}, aggregates, reps=50_000)
#   library.get_interval_estimates(
#       {"xy": (X, Y)}, lambda a, b: np.array([metrics.probability_of_improvement(a, b)]), reps=5_000)
#   library.create_performance_profile({"x": X}, THRESHOLDS, reps=50_000)
X = 100 * np.abs(np.sin(1 + np.arange(30))).reshape(5, 6) + 20
Y = 100 * np.abs(np.cos(1 + np.arange(24))).reshape(4, 6)
Y[0] = X[0]
THRESHOLDS = np.array([10.0, 40.0, 80.0, 115.0])
RLIABLE = {
    # estimate and ends
    "IQM": (91.28940084, 78.52384986, 101.27233122),
    "median": (84.57143549, 70.49678865, 100.20381256),
    "mean": (85.07138047, 76.75798136, 93.18228935),
    "optimality gap": (20.58479684, 13.47673258, 27.91214637),
}


@pytest.mark.parametrize("name", RLIABLE)
def test_rliable_has_the_same_aggregates(name):
    """The estimates to the printed digits; two bootstraps' ends to 2 % of the interval's width.

    Among 10,000 resamples the 2.5th percentile of a normal distribution has a standard error of 0.027 of its
    standard deviation, which is 0.7 % of the width.
    """
    estimate, low, high = RLIABLE[name]
    interval = estimates.aggregates(X, rng())[name]
    assert interval.estimate == pytest.approx(estimate, abs=1e-8)
    np.testing.assert_allclose([interval.low, interval.high], [low, high], rtol=0, atol=0.02 * (high - low))


def test_rliable_has_the_same_probability_of_improvement():
    """One pair of one task, 1 / (5 * 4 * 6), is the smallest step that an end can make."""
    interval = estimates.probability_of_improvement(X, Y, rng())
    assert interval.estimate == pytest.approx(0.6, abs=1e-12)
    np.testing.assert_allclose([interval.low, interval.high], [0.48333333, 0.70833333], rtol=0, atol=1.01 / 120)


def test_rliable_has_the_same_profile():
    profile = estimates.performance_profile(X, THRESHOLDS, rng())
    np.testing.assert_allclose(profile.estimate, [1.0, 0.86666667, 0.63333333, 0.23333333], atol=1e-8)
    np.testing.assert_allclose(profile.low, [1.0, 0.76666667, 0.5, 0.1], atol=1e-8)
    np.testing.assert_allclose(profile.high, [1.0, 0.96666667, 0.76666667, 0.36666667], atol=1e-8)
