"""What a run reports: rows of metrics and evaluations, and the summary."""

import numpy as np
import pytest

from ssar_jax.data import custom_task, get_task
from ssar_jax.logs.run_log import RunLog
from ssar_jax.runs.summary import add_evaluation, add_metrics, score_summary
from ssar_jax.training.evaluation import EvaluationResult

HOPPER = get_task("hopper-m")
UNSCALED = custom_task(11, 3, environment_id="Hopper-v5")


@pytest.fixture
def log(tmp_path):
    return RunLog(tmp_path, (), keep=-1)


def evaluation(*returns):
    """One row of returns per seed; every episode of length 10, 20, ... steps."""
    returns = np.array(returns, dtype=np.float64)
    return EvaluationResult(returns, np.broadcast_to(10 * np.arange(1, returns.shape[1] + 1), returns.shape))


def test_metrics_make_one_row_per_seed(log):
    add_metrics(log, 100, (3, 4), {"critic/loss": np.float32([0.1, 0.2]), "x/rare": np.array([np.nan, 1.0])})
    assert log.rows("train") == [
        {"step": "100", "seed": "3", "critic/loss": "0.1", "x/rare": ""},
        {"step": "100", "seed": "4", "critic/loss": "0.2", "x/rare": "1.0"},
    ]


def test_evaluations_by_hand(log):
    """Returns 1000 and 2000: mean 1500, population standard deviation 500.

    Hopper's scale is 100 (R + 20.272305) / (3234.3 + 20.272305), so 1500 scores 46.712...
    """
    scores = add_evaluation(log, "offline", 50, (0, 1), HOPPER, evaluation([1000.0, 2000.0], [3234.3, 3234.3]))
    expected = 100.0 * (1500.0 + 20.272305) / (3234.3 + 20.272305)
    np.testing.assert_allclose(scores, [expected, 100.0])
    first, second = log.rows("eval")
    assert list(first) == [
        *("phase", "step", "seed", "return", "return_std", "score", "length", "episodes", "environment_steps")
    ]
    assert (first["phase"], first["step"], first["seed"]) == ("offline", "50", "0")
    assert [float(first[name]) for name in ("return", "return_std", "length")] == [1500.0, 500.0, 15.0]
    assert float(first["score"]) == pytest.approx(expected)
    assert (first["episodes"], first["environment_steps"]) == ("2", "0")
    assert (second["seed"], float(second["score"])) == ("1", pytest.approx(100.0))


def test_a_task_without_a_scale_has_returns_alone(log):
    returned = add_evaluation(log, "offline", 0, (0,), UNSCALED, evaluation([1.0, 3.0]))
    np.testing.assert_array_equal(returned, [2.0])
    (row,) = log.rows("eval")
    assert (row["score"], row["return"]) == ("", "2.0")
    assert score_summary([row], (0,)) == {
        "final_return": [2.0],
        "best_return": [2.0],
        "final_return_mean": 2.0,
        "final_return_std": None,
    }


def summary(*scores):
    """The summary of one evaluation after the other, each of the scores of seeds 0, 1, ...; cells as in eval.csv."""
    rows = [
        {"seed": str(seed), "return": "0.0", "score": "" if score is None else str(score)}
        for evaluation in scores
        for seed, score in enumerate(evaluation)
    ]
    return score_summary(rows, tuple(range(len(scores[0]) if scores else 2)))


def test_the_summary_has_final_and_best_scores_of_every_seed():
    """Final 20 and 30: mean 25, population standard deviation 5; best 90 and 30."""
    assert summary((1.0, 2.0), (90.0, 10.0), (20.0, 30.0)) == {
        "final_score": [20.0, 30.0],
        "best_score": [90.0, 30.0],
        "final_score_mean": 25.0,
        "final_score_std": 5.0,
    }


def test_one_seed_has_no_spread():
    assert summary((7.0,))["final_score_std"] is None


def test_without_evaluations_nothing_is_claimed():
    assert summary() == {
        "final_return": [None, None],
        "best_return": [None, None],
        "final_return_mean": None,
        "final_return_std": None,
    }


def test_a_seed_that_diverged_has_no_final_score():
    """Its last return is NaN, an empty cell: null in the summary, and left out of the mean."""
    assert summary((1.0, 2.0), (None, 3.0)) == {
        "final_score": [None, 3.0],
        "best_score": [1.0, 3.0],
        "final_score_mean": 3.0,
        "final_score_std": None,
    }
