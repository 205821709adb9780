"""The report in a real browser: figures rendered, no error, tables sorted by keyboard, and screenshots to look at."""

import pytest

from ssar_jax.reporting.page.html import write_page
from ssar_jax.reporting.page.report import report_sections
from ssar_jax.reporting.read.folders import read_runs
from ssar_jax.reporting.read.groups import group_runs
from tests.browser.chromium import open_browser
from tests.reporting.figures.test_adaptation import MAZE
from tests.reporting.report_runs import write_run, write_runs

pytestmark = pytest.mark.browser
ENTER, SPACE, TAB = "\ue007", " ", "\ue004"
WIDTHS = {"desktop": 1280, "phone": 390}


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """The page of the runs of `write_runs`."""
    folder = tmp_path_factory.mktemp("report")
    found, skipped = read_runs(write_runs(folder / "runs"))
    sections = report_sections(group_runs(found)[0], skipped, {"antmaze-u": MAZE}, folder / "figures")
    (folder / "report.html").write_text(write_page("Results", sections), encoding="utf-8")
    return (folder / "report.html").as_uri()


@pytest.fixture(scope="module")
def window():
    with open_browser() as browser:
        yield browser


@pytest.fixture(params=WIDTHS)
def browser(request, window, url):
    """The page at the width of a desktop and of a phone."""
    window.emulate(WIDTHS[request.param])
    window.open(url)
    return window


def test_every_figure_is_rendered(browser):
    """Each has a size, lines, and all its words within it."""
    figures = browser.run("""
        const within = (each, outer) => {
          const inner = each.getBoundingClientRect();
          const across = inner.left >= outer.left - 1 && inner.right <= outer.right + 1;
          const down = inner.top >= outer.top - 1 && inner.bottom <= outer.bottom + 1;
          return inner.width + inner.height > 0 && across && down;
        };
        return [...document.querySelectorAll("figure svg")].map(svg => {
          const outer = svg.getBoundingClientRect(), words = [...svg.querySelectorAll("text")];
          const lines = [...svg.querySelectorAll("path")].filter(each => within(each, outer));
          const outside = words.filter(each => !within(each, outer)).map(each => each.textContent);
          return [outer.width, outer.height, lines.length, words.length, outside];
        });
    """)
    assert len(figures) == 8
    for width, height, lines, words, outside in figures:
        assert (width > 300, height > 200, lines > 10, words > 10, outside) == (True, True, True, True, [])


def test_the_page_has_no_error_and_requests_nothing(browser):
    assert browser.console() == []
    assert browser.run("return performance.getEntriesByType('resource').length") == 0


def test_the_page_itself_does_not_scroll_sideways(browser):
    """Not even with a word as long as the hash of a dataset in every place with texts of the runs."""
    browser.run("""
        document.querySelectorAll("details").forEach(each => each.open = true);
        document.querySelectorAll("p, figcaption, caption span, summary, td, dd, code").forEach(
          each => each.textContent += " " + "x".repeat(100));
    """)
    overhang = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.run(f"return {overhang}") == 0


def column(browser, heading):
    """The texts of the column under a heading, in the table that has it."""
    return browser.run(
        """
        const button = [...document.querySelectorAll("th button")].find(each => each.textContent === arguments[0]);
        const heading = button.closest("th"), rows = button.closest("table").tBodies[0].rows;
        return [heading.getAttribute("aria-sort"), [...rows].map(row => row.cells[heading.cellIndex].textContent)];
        """,
        heading,
    )


def focus(browser, heading):
    script = "[...document.querySelectorAll('th button')].find(each => each.textContent === arguments[0]).focus()"
    browser.run(script, heading)


@pytest.mark.parametrize("key", [ENTER, SPACE])
def test_tables_are_sorted_with_the_keyboard(browser, key):
    """IQM of the base 25 and of SSAR 32.5; again, and it runs the other way."""
    focus(browser, "IQM")
    browser.press(key)
    order, cells = column(browser, "IQM")
    assert (order, [cell.split()[0] for cell in cells]) == ("ascending", ["25.0", "32.5"])
    browser.press(key)
    order, cells = column(browser, "IQM")
    assert (order, [cell.split()[0] for cell in cells]) == ("descending", ["32.5", "25.0"])


def test_the_next_heading_is_a_tab_away_and_only_one_column_is_sorted(browser):
    focus(browser, "IQM")
    browser.press(ENTER + TAB + ENTER)
    assert column(browser, "IQM")[0] is None
    assert column(browser, "median")[0] == "ascending"


def test_text_is_sorted_too_and_cells_without_a_value_stay_last(browser):
    focus(browser, "state")
    browser.press(ENTER + ENTER)
    assert column(browser, "state") == ["descending", ["unfinished", "left out", *["finished"] * 6]]
    focus(browser, "steps/s")
    for order in ("ascending", "descending"):
        browser.press(ENTER)
        assert column(browser, "steps/s") == [order, ["54", *["–"] * 5]]


def test_a_link_opens_the_details_of_a_number(browser):
    opened = browser.run("""
        const link = [...document.querySelectorAll("td a")][0];
        link.click();
        return new Promise(done => setTimeout(() => done(document.querySelector(link.hash).open), 100));
    """)
    assert opened


def test_a_link_opens_a_collapsed_section(window, tmp_path):
    """The published tables, which come last if no run compares with them."""
    write_run(tmp_path / "runs" / "a")
    found, skipped = read_runs(tmp_path / "runs")
    sections = report_sections(group_runs(found)[0], skipped, {}, tmp_path / "figures")
    (tmp_path / "report.html").write_text(write_page("Results", sections), encoding="utf-8")
    window.open((tmp_path / "report.html").as_uri())
    states = window.run("""
        const details = document.querySelector("details.folded"), before = details.open;
        [...document.querySelectorAll("nav a")].at(-1).click();
        return new Promise(done => setTimeout(() => done([before, details.open]), 100));
    """)
    assert states == [False, True]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", WIDTHS)
def test_screenshots(window, url, tmp_path, name, scheme):
    """Printed with their paths, to be looked at; the schemes differ in the colors of page and figures."""
    window.emulate(WIDTHS[name], scheme=scheme)
    window.open(url)
    page_color, figure_color = window.run("""
        const text = [...document.querySelectorAll("figure svg text")].find(each => each.style.fill === "currentcolor");
        return [document.body, text].map((each, i) => getComputedStyle(each)[i ? "fill" : "backgroundColor"]);
    """)
    dark = {"light": ("rgb(255, 255, 255)", "rgb(31, 35, 40)"), "dark": ("rgb(13, 17, 23)", "rgb(230, 237, 243)")}
    assert (page_color, figure_color) == dark[scheme]
    file = tmp_path / f"{name}-{scheme}.png"
    window.screenshot(file)
    print(file)
    assert file.stat().st_size > 50_000
