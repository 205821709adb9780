"""Our scores beside the published ones: the cells, and the two figures that compare them."""

import math

import pytest

from ssar_jax.behaviour.ranking import (
    PUBLISHED,
    SYSTEMS,
    Cell,
    compare,
    concordance,
    markdown,
    mean_difference,
    rank_correlation,
)


def cells(*pairs):
    return [Cell("hopper-m", "bc", ours, published) for ours, published in pairs]


def test_the_rank_correlation_by_hand():
    """Ranks 1 2 3 against 1 3 2: 1 - 6 (0 + 1 + 1) / (3 * 8) = 0.5; equal scores share the mean of their ranks."""
    assert rank_correlation(cells((1, 10), (2, 30), (90, 20))) == pytest.approx(0.5)
    assert rank_correlation(cells((1, 5), (2, 7), (3, 50))) == pytest.approx(1.0)
    assert rank_correlation(cells((3, 5), (2, 7), (1, 50))) == pytest.approx(-1.0)


def test_equal_scores_have_no_rank_correlation():
    assert math.isnan(rank_correlation(cells((1, 5), (1, 7))))


def test_pairs_of_systems_are_compared_within_their_task():
    """The published order reversed on one of two tasks; the third pair of a task differs by less than 5 points."""
    scores = {("hopper-mr", "bc"): 1.0, ("hopper-mr", "iql"): 2.0, ("hopper-m", "bc"): 9.0, ("hopper-m", "iql"): 8.0}
    assert concordance(compare(scores)) == (1, 2)
    assert concordance(compare(scores | {("hopper-m", "bc:top10"): 100.0})) == (1, 3)  # 55.5 against 53.5 and 67.5


def test_the_mean_difference_counts_both_signs():
    assert mean_difference(cells((10, 14), (20, 14))) == pytest.approx(5.0)


def test_only_cells_with_both_scores_are_compared():
    found = compare(
        {("hopper-mr", "iql"): 80.0, ("hopper-m", "bc"): 50.0, ("hopper-e", "bc"): 1.0, ("hopper-m", "x"): 2.0}
    )
    assert found == [Cell("hopper-m", "bc", 50.0, 53.5), Cell("hopper-mr", "iql", 80.0, 97.4)]


def test_the_section_shows_both_scores_of_every_cell():
    text = markdown(compare({("hopper-mr", "iql"): 80.0, ("hopper-mr", "bc"): 20.0, ("hopper-m", "bc"): 50.0}), 5_000)
    assert "| task | BC | IQL |" in text
    assert "| hopper-m | 50.0 / 53.5 |  |\n| hopper-mr | 20.0 / 29.8 | 80.0 / 97.4 |" in text
    assert "after 5,000 updates" in text
    assert "over 3 cells: 1.00." in text  # (3.5 + 9.8 + 17.4) / 3


def test_the_section_has_the_other_figures_too():
    text = markdown(compare({("hopper-mr", "iql"): 80.0, ("hopper-mr", "bc"): 20.0, ("hopper-m", "bc"): 50.0}), 5_000)
    assert "as published in 1 of 1\n  pairs" in text
    assert "Mean absolute difference: 10.2 points" in text  # (3.5 + 9.8 + 17.4) / 3


def test_every_published_task_has_every_system():
    assert all(list(row) == list(SYSTEMS) for row in PUBLISHED.values())
    assert len(PUBLISHED) == 15
