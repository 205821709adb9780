"""Figures of the state-adaptive coefficient: their panels, and the map of beta."""

import numpy as np
import pytest

from ssar_jax.reporting.figures.adaptation import _binned, draw_adaptation
from ssar_jax.reporting.figures.datasets import MazeView
from ssar_jax.reporting.read.adaptation import States, read_adaptation
from tests.reporting.figures.test_scores import texts
from tests.reporting.report_runs import ADAPTIVE, add_adaptation, groups_of, write_run

MAZE = MazeView(walls=np.array([[-2.0, 6.0], [6.0, -2.0]]), cell_size=4.0, start=np.zeros(2), goal=np.array([8.0, 8.0]))


def read(path, **options):
    add_adaptation(write_run(path / "a", config=ADAPTIVE), **options)
    (group,), _ = groups_of(path)
    return read_adaptation(group)


def test_a_cell_shows_the_mean_over_its_states_and_seeds():
    """Two states in the lower left corner, one in the upper right; nothing in between."""
    plane = np.array([[0.0, 0.0], [0.1, 0.1], [8.0, 8.0]])
    last = np.array([[1.0, 2.0, 7.0], [3.0, 4.0, 9.0]])  # means over seeds 2, 3, 8
    beta, share, extent = _binned(States(plane=plane, first=last, last=last), None)
    assert (beta[0, 0], beta[-1, -1], extent) == (2.5, 8.0, (0.0, 8.0, 0.0, 8.0))
    assert (share[0, 0], share[-1, -1]) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert beta.mask.sum() == share.mask.sum() == 48 * 48 - 2


def test_figure_of_a_maze(tmp_path):
    pytest.importorskip("matplotlib", reason="the extra `report` is not installed")
    svg, png = draw_adaptation(tmp_path / "new" / "beta", read(tmp_path), np.random.default_rng(0), MAZE)
    assert png.read_bytes().startswith(b"\x89PNG")
    panels = {"beta over training", "size of the trust region", "shares of the minibatch", "beta over the states"}
    others = {"mean beta(s)", "density of the states", "n stops growing", "negative weights", "x, m", "y, m"}
    assert texts(svg) >= panels | others


def test_figures_without_states_have_three_panels(tmp_path):
    pytest.importorskip("matplotlib", reason="the extra `report` is not installed")
    svg, _ = draw_adaptation(tmp_path / "beta", read(tmp_path, diagnostics=False), np.random.default_rng(0))
    assert "beta over the states" not in texts(svg)
