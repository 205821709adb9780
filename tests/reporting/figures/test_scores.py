"""Figures: their files, their texts, reproducible bytes, and colors that are visible on any page."""

import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

from ssar_jax.reporting.figures import canvas
from ssar_jax.reporting.figures.scores import learning_curves, performance_profiles
from ssar_jax.reporting.read.curves import Curve, join
from ssar_jax.reporting.statistics.estimates import performance_profile
from tests.data.helpers import user_error

WHITE, NEAR_BLACK = "#ffffff", "#0d1117"


@pytest.fixture
def needs_matplotlib():
    return pytest.importorskip("matplotlib", reason="the extra `report` is not installed")


def curve(*values):
    """One row of values per seed, an evaluation every 5,000 steps."""
    return Curve(tuple(range(len(values))), 5_000 * np.arange(len(values[0])), np.array(values))


def draw_curves(stem):
    offline = curve([0.0, 10.0, 20.0], [2.0, 16.0, 22.0])
    both = join(offline, curve([21.0, 40.0], [23.0, 44.0]))
    panels = {"hopper-m": {"TD3+BC": offline, "TD3+BC(SA)": both}, "walker2d-m": {"TD3+BC": curve([1.0, 2.0, 3.0])}}
    return learning_curves(stem, panels, np.random.default_rng(0))


def draw_profiles(stem):
    thresholds, rng = np.linspace(0.0, 100.0, 11), np.random.default_rng(0)
    scores = {"CQL": np.arange(12.0).reshape(3, 4) * 5, "CQL(SA)": np.arange(12.0).reshape(3, 4) * 8}
    profiles = {name: performance_profile(values, thresholds, rng, resamples=100) for name, values in scores.items()}
    return performance_profiles(stem, thresholds, profiles)


DRAWINGS = pytest.mark.parametrize("draw", [draw_curves, draw_profiles])


def texts(svg):
    """All words of a figure, each text as a whole."""
    return {"".join(element.itertext()).strip() for element in ElementTree.parse(svg).iter() if "text" in element.tag}


@DRAWINGS
@pytest.mark.usefixtures("needs_matplotlib")
def test_a_figure_is_an_svg_and_a_png_of_the_same_bytes_every_time(draw, tmp_path):
    svg, png = draw(tmp_path / "new" / "hopper-m.v2")
    assert [file.name for file in (svg, png)] == ["hopper-m.v2.svg", "hopper-m.v2.png"]
    assert png.read_bytes().startswith(b"\x89PNG")
    again = draw(tmp_path / "again")
    assert [file.read_bytes() for file in again] == [svg.read_bytes(), png.read_bytes()]


@pytest.mark.usefixtures("needs_matplotlib")
def test_learning_curves_name_systems_once_and_mark_the_switch(tmp_path):
    svg, _ = draw_curves(tmp_path / "curves")
    assert texts(svg) >= {
        *("hopper-m", "walker2d-m", "TD3+BC", "TD3+BC(SA)", "normalized score", "online"),
        *("updates", "updates, then environment steps", "10k"),
    }
    assert svg.read_text().count(">TD3+BC<") == 1


@pytest.mark.usefixtures("needs_matplotlib")
def test_a_seed_that_diverged_ends_the_curve_without_a_warning(tmp_path):
    panels = {"hopper-m": {"TD3+BC": curve([1.0, 2.0, np.nan], [1.0, 3.0, 4.0])}}
    assert all(file.exists() for file in learning_curves(tmp_path / "a", panels, np.random.default_rng(0)))


@pytest.mark.usefixtures("needs_matplotlib")
def test_profiles_name_what_they_show(tmp_path):
    assert texts(draw_profiles(tmp_path / "a")[0]) >= {"CQL", "CQL(SA)", "share of runs above the score"}


@pytest.mark.usefixtures("needs_matplotlib")
def test_the_page_shows_through_and_the_users_own_style_does_not(tmp_path, needs_matplotlib):
    svg, png = draw_profiles(tmp_path / "a")
    with needs_matplotlib.rc_context({"lines.linewidth": 9.0, "axes.facecolor": "red", "svg.fonttype": "path"}):
        assert draw_profiles(tmp_path / "b")[0].read_bytes() == svg.read_bytes()
    from matplotlib.image import imread

    corner = imread(png)[0, 0]
    assert corner[3] == 0.0  # fully transparent


def test_colors_show_on_white_and_on_near_black():
    """Contrast 3 for graphics, as https://www.w3.org/TR/WCAG21/#non-text-contrast asks, and 4 for text."""
    for color in canvas.COLORS:
        assert min(contrast(color, WHITE), contrast(color, NEAR_BLACK)) >= 3.0
    assert min(contrast(canvas.INK, WHITE), contrast(canvas.INK, NEAR_BLACK)) >= 4.0
    assert contrast("#000000", WHITE) == pytest.approx(21.0)


def contrast(first, second):
    """The ratio of WCAG 2.1, from 1 to 21."""
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def luminance(color):
    channels = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.usefixtures("needs_matplotlib")
def test_a_system_has_one_color_in_all_figures_of_a_report(tmp_path):
    """Alone it would have the first color; the system that is not drawn has no place in the legend."""
    panels, rng = {"hopper-m": {"CQL(SA)": curve([1.0, 2.0, 3.0])}}, np.random.default_rng(0)
    svg, _ = learning_curves(tmp_path / "a", panels, rng, systems=["CQL", "CQL(SA)"])
    assert canvas.COLORS[1].lower() in svg.read_text()
    assert canvas.COLORS[0].lower() not in svg.read_text()
    assert "CQL" not in texts(svg)


@pytest.mark.usefixtures("needs_matplotlib")
@pytest.mark.parametrize("number", [2, 30])
def test_a_figure_grows_with_its_legend(tmp_path, number):
    """All names are within it, and the panel keeps its size."""
    names = [f"TD3+BC(SA), coefficient.n_period={i}0000, coefficient.delta=0.2" for i in range(number)]
    with canvas.figure_files(tmp_path / "a", 1) as (figure, (panel,)):
        canvas.add_legend(figure, canvas.line_styles(names))
        figure.draw_without_rendering()
        (legend,) = figure.legends
        box = legend.get_window_extent()
        assert min(box.x0, box.y0) >= 0.0
        assert box.x1 <= figure.bbox.width
        assert box.y1 <= panel.get_window_extent().y0
        assert panel.get_window_extent().height / figure.dpi > 1.8  # inches


def test_lines_differ_in_color_and_then_in_dashes():
    styles = canvas.line_styles([*"abcdefg", "a"])
    assert list(styles) == [*"abcdefg"]
    assert len({tuple(style.values()) for style in styles.values()}) == 7
    assert [style["linestyle"] for style in styles.values()] == ["-"] * 4 + ["--"] * 3


def test_large_steps_are_written_short():
    assert [canvas.thousands(step, 0) for step in (0, 500, 250_000, 1_500_000)] == ["0", "500", "250k", "1.5M"]


@DRAWINGS
def test_without_matplotlib_one_line_says_what_to_install(draw, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with user_error("figures need matplotlib", "pip install -e '.[report]'"):
        draw(tmp_path / "new" / "a")
    assert list(tmp_path.iterdir()) == []


def test_importing_does_not_import_matplotlib():
    code = "import sys, ssar_jax.reporting.figures.scores; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
