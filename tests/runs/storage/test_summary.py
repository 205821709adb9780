"""The summary of a finished run."""

from ssar_jax.runs.storage.summary import area_summary, lacks_scores, score_summary


def summary(*scores):
    """The summary of successive evaluations, each with the scores of seeds 0, 1, ...; cells as in eval.csv."""
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


def test_without_evaluations_all_is_none():
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


def test_a_task_without_reference_returns_has_returns_only():
    assert score_summary([{"seed": "0", "return": "2.0", "score": ""}], (0,)) == {
        "final_return": [2.0],
        "best_return": [2.0],
        "final_return_mean": 2.0,
        "final_return_std": None,
    }


def test_the_area_by_hand():
    """Scores 0, 10 and 30 at steps 0, 100 and 400: (5 * 100 + 20 * 300) / 400 = 16.25. Seed 1 has stopped."""
    points = (("0", "0.0"), ("100", "10.0"), ("400", "30.0"))
    rows = [{"seed": seed, "step": step, "score": score} for step, score in points for seed in ("0", "1")]
    assert area_summary(rows, (0, 1), stopped={1}) == {"area_score": [16.25, None], "area_score_mean": 16.25}


def test_success_rates_are_in_the_summary_where_they_are_reported():
    """Final 1 and 0.5; the first evaluation reported nothing."""
    rows = [{"seed": "0", "return": "2.0", "score": ""}, {"seed": "1", "return": "2.0", "score": ""}]
    rows += [
        {"seed": str(s), "return": "2.0", "score": "", "success_rate": rate} for s, rate in enumerate(("1", "0.5"))
    ]
    whole = score_summary(rows, (0, 1))
    assert (whole["final_success_rate"], whole["final_success_rate_mean"]) == ([1.0, 0.5], 0.75)
    assert score_summary(rows, (0, 1), stopped={1})["final_success_rate"] == [1.0, None]


def test_a_score_that_is_not_finite_is_missing(caplog):
    """Unless its seed diverged, which is known already; JSON has no infinity."""
    broken = summary((1.0, 2.0), (None, 3.0))
    assert lacks_scores(broken, (0, 1), (0, 1))
    assert "the final score of seed 0 is not a finite number" in caplog.text
    assert not lacks_scores(broken, (1,), (0, 1))
    assert summary((float("inf"), 1.0))["final_score"] == [None, 1.0]
