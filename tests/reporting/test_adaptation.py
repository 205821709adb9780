"""What SSAR did: numbers, where n stopped, beta over the states, and their pictures."""

import numpy as np
import pytest

from ssar_jax.reporting.figures.adaptation import _binned, draw_adaptation
from ssar_jax.reporting.figures.datasets import MazeView
from ssar_jax.reporting.read import adaptation
from tests.data.helpers import user_error
from tests.reporting.report_runs import ADAPTIVE, add_adaptation
from tests.reporting.test_groups import groups_of
from tests.reporting.test_plots import texts
from tests.reporting.test_runs import write_run

MAZE = MazeView(np.array([[-2.0, 6.0], [6.0, -2.0]]), 4.0, np.zeros(2), np.array([8.0, 8.0]))


def read(path, **options):
    add_adaptation(write_run(path / "a", config=ADAPTIVE), **options)
    (group,), _ = groups_of(path)
    return adaptation.read_adaptation(group)


def test_what_training_tells(tmp_path):
    """n is 1 and then 2; seed 0 was active for 10,000 updates alone."""
    found = read(tmp_path)
    assert found.training.stops == (20_000, None)
    np.testing.assert_array_equal(found.training.n.values, [[1.0, 2.0], [1.0, 2.0]])
    table = adaptation.adaptation_table([found], "caption")
    cells = {heading: cell.text for heading, cell in zip(table.headings, table.rows[0], strict=True)}
    assert cells == {
        **{"task": "hopper-m", "system": "TD3+BC(SA)", "seeds": "2"},
        **{"beta min": "1.100", "beta mean": "1.200", "beta max": "1.300", "n at first": "1.00", "n at last": "2.00"},
        **{
            "n stopped by": "20,000, never",
            "negative weights at first": "90.0%",
            "at last": "40.0%",
            "selected": "25.0%",
        },
    }


def test_seeds_of_all_runs_stand_together(tmp_path):
    add_adaptation(write_run(tmp_path / "b", config=ADAPTIVE | {"seed": 2}, summary={"seeds": [2, 3]}))
    with user_error("has no metric coefficient/beta_min"):
        write_run(tmp_path / "c", config=ADAPTIVE | {"seed": 4}, summary={"seeds": [4, 5]})
        adaptation.read_adaptation(groups_of(tmp_path)[0][0])


def test_beta_over_the_states(tmp_path):
    states = read(tmp_path).states
    assert (states.plane.shape, states.first.shape, states.last.shape) == ((500, 2), (2, 500), (2, 500))
    assert states.last.mean() > states.first.mean() + 0.03


def test_runs_without_diagnostics_have_no_states(tmp_path):
    assert read(tmp_path, diagnostics=False).states is None


def test_damaged_and_foreign_diagnostics_are_named(tmp_path):
    read(tmp_path)
    file = tmp_path / "a" / "diagnostics" / "20000.npz"
    np.savez_compressed(file, beta=np.zeros((2, 3)))
    (group,), _ = groups_of(tmp_path)
    with user_error(str(tmp_path / "a"), "hold no plane"):
        adaptation.read_adaptation(group)


def test_a_cell_shows_the_mean_over_its_states_and_seeds():
    """Two states in the lower left corner, one in the upper right; nothing in between."""
    plane = np.array([[0.0, 0.0], [0.1, 0.1], [8.0, 8.0]])
    last = np.array([[1.0, 2.0, 7.0], [3.0, 4.0, 9.0]])  # means over seeds 2, 3, 8
    beta, share, extent = _binned(adaptation.States(plane, last, last), None)
    assert (beta[0, 0], beta[-1, -1], extent) == (2.5, 8.0, (0.0, 8.0, 0.0, 8.0))
    assert (share[0, 0], share[-1, -1]) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert beta.mask.sum() == share.mask.sum() == 48 * 48 - 2


def test_pictures_of_a_maze(tmp_path):
    pytest.importorskip("matplotlib", reason="the extra `report` is not installed")
    svg, png = draw_adaptation(tmp_path / "new" / "beta", read(tmp_path), np.random.default_rng(0), MAZE)
    assert png.read_bytes().startswith(b"\x89PNG")
    panels = {"beta over training", "size of the trust region", "shares of the minibatch", "beta over the states"}
    others = {"mean beta(s)", "density of the states", "stopped to grow", "negative weights", "x, m", "y, m"}
    assert texts(svg) >= panels | others


def test_pictures_without_states_have_three_panels(tmp_path):
    pytest.importorskip("matplotlib", reason="the extra `report` is not installed")
    svg, _ = draw_adaptation(tmp_path / "beta", read(tmp_path, diagnostics=False), np.random.default_rng(0))
    assert "beta over the states" not in texts(svg)
