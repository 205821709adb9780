"""What a run reports: rows of metrics and evaluations, and the summary."""

import numpy as np
import pytest

from ssar_jax.data import custom_task, get_task
from ssar_jax.reporting.writers import CsvTable
from ssar_jax.training import results
from ssar_jax.training.evaluation import EvaluationResult

HOPPER = get_task("hopper-m")
UNSCALED = custom_task(11, 3, environment_id="Hopper-v5")


@pytest.fixture
def table(tmp_path):
    return CsvTable(tmp_path / "table.csv")


def evaluation(*returns):
    """One row of returns per seed; every episode of length 10, 20, ... steps."""
    returns = np.array(returns, dtype=np.float64)
    return EvaluationResult(returns, np.broadcast_to(10 * np.arange(1, returns.shape[1] + 1), returns.shape))


def test_metrics_make_one_row_per_seed(table):
    results.add_metrics(table, 100, (3, 4), {"critic/loss": np.float32([0.1, 0.2]), "x/rare": np.array([np.nan, 1.0])})
    assert table.rows == [
        {"step": "100", "seed": "3", "critic/loss": "0.1", "x/rare": ""},
        {"step": "100", "seed": "4", "critic/loss": "0.2", "x/rare": "1.0"},
    ]


def test_evaluations_by_hand(table):
    """Returns 1000 and 2000: mean 1500, population standard deviation 500.

    Hopper's scale is 100 (R + 20.272305) / (3234.3 + 20.272305), so 1500 scores 46.712...
    """
    scores = results.add_evaluation(
        table, "offline", 50, (0, 1), HOPPER, evaluation([1000.0, 2000.0], [3234.3, 3234.3])
    )
    expected = 100.0 * (1500.0 + 20.272305) / (3234.3 + 20.272305)
    np.testing.assert_allclose(scores, [expected, 100.0])
    first, second = table.rows
    assert list(first) == [
        *("phase", "step", "seed", "return", "return_std", "score", "length", "episodes", "environment_steps")
    ]
    assert (first["phase"], first["step"], first["seed"]) == ("offline", "50", "0")
    assert [float(first[name]) for name in ("return", "return_std", "length")] == [1500.0, 500.0, 15.0]
    assert float(first["score"]) == pytest.approx(expected)
    assert (first["episodes"], first["environment_steps"]) == ("2", "0")
    assert (second["seed"], float(second["score"])) == ("1", pytest.approx(100.0))


def test_a_task_without_a_scale_has_returns_alone(table):
    returned = results.add_evaluation(table, "offline", 0, (0,), UNSCALED, evaluation([1.0, 3.0]))
    np.testing.assert_array_equal(returned, [2.0])
    assert (table.rows[0]["score"], table.rows[0]["return"]) == ("", "2.0")
    assert results.score_summary(table, (0,)) == {
        "final_return": [2.0],
        "best_return": [2.0],
        "final_return_mean": 2.0,
        "final_return_std": None,
    }


def add(table, step, scores):
    for seed, score in enumerate(scores):
        table.add({"step": step, "seed": seed, "return": 0.0, "score": score})


def test_the_summary_has_final_and_best_scores_of_every_seed(table):
    """Final 20 and 30: mean 25, population standard deviation 5; best 90 and 30."""
    for step, scores in ((0, (1.0, 2.0)), (50, (90.0, 10.0)), (100, (20.0, 30.0))):
        add(table, step, scores)
    assert results.score_summary(table, (0, 1)) == {
        "final_score": [20.0, 30.0],
        "best_score": [90.0, 30.0],
        "final_score_mean": 25.0,
        "final_score_std": 5.0,
    }


def test_one_seed_has_no_spread(table):
    add(table, 0, (7.0,))
    assert results.score_summary(table, (0,))["final_score_std"] is None


def test_without_evaluations_nothing_is_claimed(table):
    assert results.score_summary(table, (0, 1)) == {
        "final_return": [None, None],
        "best_return": [None, None],
        "final_return_mean": None,
        "final_return_std": None,
    }


def test_a_seed_that_diverged_has_no_final_score(table):
    """Its last return is NaN, an empty cell: null in the summary, and left out of the mean."""
    for step, scores in ((0, (1.0, 2.0)), (50, (float("nan"), 3.0))):
        add(table, step, scores)
    assert results.score_summary(table, (0, 1)) == {
        "final_score": [None, 3.0],
        "best_score": [1.0, 3.0],
        "final_score_mean": 3.0,
        "final_score_std": None,
    }
