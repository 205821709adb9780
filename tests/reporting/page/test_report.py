"""The page: its sections in order, escaped, self-contained, with every table and figure."""

import shutil
from html.parser import HTMLParser

import pytest

from ssar_jax.reporting.figures.canvas import INK, saved_files
from ssar_jax.reporting.page import document, figure_sections, html
from ssar_jax.reporting.page.html.elements import inline_svg
from ssar_jax.reporting.page.html.markup import Html, element
from ssar_jax.reporting.page.report import report_sections
from ssar_jax.reporting.read.folders import read_runs
from ssar_jax.reporting.read.groups import group_runs
from tests.reporting.report_runs import ADAPTIVE, groups_of, write_run, write_runs

VOID = {"meta"}


class Parsed(HTMLParser):
    """The page's elements, each with its text, and the tables as rows of cells."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.ids, self.links = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        found = {"tag": tag, "text": "", **dict(attributes)}
        self.elements.append(found)
        if tag not in VOID:
            self.open.append(found)

    def handle_startendtag(self, tag, attributes):
        self.elements.append({"tag": tag, "text": "", **dict(attributes)})

    def handle_endtag(self, tag):
        assert self.open.pop()["tag"] == tag

    def handle_data(self, data):
        for each in self.open:
            each["text"] += data

    def all(self, tag, **attributes):
        wanted = {"tag": tag, **attributes}.items()
        return [each for each in self.elements if wanted <= each.items()]

    def texts(self, tag):
        return [each["text"] for each in self.all(tag)]


def draw_quickly(stem, *arguments, **options):
    """Writes a small figure instead of drawing one with matplotlib, which other tests do."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    svg, png = saved_files(stem)
    svg.write_text('<?xml?><svg id="figure"><defs><path id="a"/></defs><use xlink:href="#a"/><text>x</text></svg>')
    png.write_bytes(b"")
    return [svg, png]


@pytest.fixture(scope="module", autouse=True)
def _quick_figures():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ssar_jax.reporting.figures.scores.learning_curves", draw_quickly)
        patch.setattr("ssar_jax.reporting.figures.scores.performance_profiles", draw_quickly)
        patch.setattr("ssar_jax.reporting.page.figure_sections.draw_adaptation", draw_quickly)
        yield


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The sections and the page of the runs of `write_runs`, with the folder of the figures."""
    folder = tmp_path_factory.mktemp("report")
    found, skipped = read_runs(write_runs(folder / "runs"))
    groups, _ = group_runs(found)
    sections = report_sections(groups, skipped, {}, folder / "figures")
    return sections, Parsed(html.write_page("A title", sections)), folder / "figures"


def test_sections_in_their_order(built):
    """The scores and curves of the runs come first."""
    sections, parsed, _ = built
    assert parsed.texts("h1") == ["A title"]
    assert parsed.texts("h2") == [section.title for section in sections] == [
        *("Scores", "Learning curves", "Comparison with the paper: offline training"),
        *("Comparison with the paper: online fine-tuning", "Results on other datasets", "Aggregate scores"),
        *("Performance profiles", "State-adaptive coefficient", "Training speed", "Folders", "Run details"),
    ]  # fmt: skip


def test_a_coefficient_that_cannot_be_read_is_named(tmp_path):
    """Also where it is the only one; a report without adaptive runs does not have the section."""
    for number, config in enumerate((ADAPTIVE, {})):
        folder = tmp_path / str(number)
        run = write_run(folder / "run", config=config)
        groups, skipped = groups_of(folder)
        sections = report_sections(groups, skipped, {}, tmp_path / "figures")
        found = [each.notices for each in sections if each.title == "State-adaptive coefficient"]
        assert len(found) == (1 if config else 0)
        if config:
            assert found[0][-1].startswith(f"Left out: {run} has no metric coefficient/beta")


@pytest.mark.parametrize(("source", "number"), [("embedded", 2), ("d4rl", 1)])
def test_published_tables_without_runs_come_last_and_collapsed(tmp_path, source, number):
    write_run(tmp_path / "runs" / "a", summary={"data_source": source})
    groups, skipped = groups_of(tmp_path / "runs")
    sections = report_sections(groups, skipped, {}, tmp_path / "figures")
    assert [section.title for section in sections if section.collapsed] == [sections[-1].title]
    assert sections[-1].title == "Published results without runs to compare"
    assert len(sections[-1].tables) == number
    parsed = Parsed(html.write_page("A title", sections))
    (folded,) = parsed.all("details", **{"class": "folded"})
    assert "open" not in folded
    assert all(table.caption in folded["text"] for table in sections[-1].tables)
    assert folded["text"].startswith(sections[-1].title)
    assert parsed.texts("caption")[-number:] == [table.caption for table in sections[-1].tables]


def test_every_table_is_there_with_all_its_cells(built):
    sections, parsed, _ = built
    tables = [table for section in sections for table in section.tables]
    assert parsed.texts("caption") == [table.caption for table in tables]
    assert len(tables) == 13
    buttons = [heading for table in tables for heading in table.headings]
    assert parsed.texts("button") == buttons
    cells = [cell.text for table in tables for row in (*table.rows, *table.foot) for cell in row[1:]]
    assert parsed.texts("td") == cells


def test_unfinished_and_foreign_folders_are_named_and_escaped(built):
    sections, parsed, _ = built
    (folders,) = (section for section in sections if section.title == "Folders")
    states = {row[0].text.rpartition("/")[2]: [cell.text for cell in row[1:]] for row in folders.tables[0].rows}
    assert states["killed <b>"] == ["unfinished", "interrupted or still running, at update 20,000 of 20,000"]
    assert states["foreign"][0] == "left out"
    assert states["maze"][0] == "finished"
    assert "6 finished, 1 unfinished, 0 diverged, 1 left out" in folders.sentences[0]
    assert any(text.endswith("killed <b>") for text in parsed.texts("th"))
    assert parsed.all("b") == []


def test_the_page_is_self_contained(built):
    _, parsed, _ = built
    for each in parsed.elements:
        for name in ("src", "href", "xlink:href", "srcset", "action"):
            link = each.get(name) or "#"
            assert link.startswith(("#", "data:image/png;base64,")), link
    assert parsed.all("link") == []
    assert not any("@import" in text or "url(" in text for text in parsed.texts("style"))
    assert all("://" not in text for text in parsed.texts("script"))


def test_names_are_unique_and_links_lead_somewhere(built):
    _, parsed, _ = built
    names = [each["id"] for each in parsed.elements if "id" in each]
    assert len(names) == len(set(names))
    links = {(each.get("href") or each.get("xlink:href") or "#").removeprefix("#") for each in parsed.elements}
    assert links - {""} <= set(names) | {link for link in links if link.startswith("data:")}
    assert len(parsed.all("details")) == 6


def test_every_figure_is_in_the_page_and_on_disk(built):
    sections, parsed, folder = built
    pictures = [picture for section in sections for picture in section.pictures]
    assert parsed.texts("figcaption") == [picture.caption for picture in pictures]
    assert [each["aria-label"] for each in parsed.all("svg", role="img")] == parsed.texts("figcaption")
    files = {file.name for file in folder.iterdir()}
    assert files == {picture.svg.with_suffix(end).name for picture in pictures for end in (".svg", ".png")}
    assert len(pictures) == 2 + 3 + 3  # curves of either data; profiles of three blocks; beta on three tasks


def drawn_curves(tmp_path, monkeypatch):
    """Returns the panels of every figure of learning curves, under the label of its horizontal axis and its tasks."""
    figures = {}

    def draw(stem, panels, rng, *, xlabel, **options):
        figures[xlabel, *sorted(panels)] = panels
        return draw_quickly(stem)

    monkeypatch.setattr("ssar_jax.reporting.figures.scores.learning_curves", draw)
    groups, _ = group_runs(read_runs(tmp_path / "runs")[0])
    figure_sections.learning_curves(groups, tmp_path / "figures")
    return figures


def test_both_phases_are_on_one_axis(tmp_path, monkeypatch):
    """The offline phase that is continued has no second curve."""
    write_runs(tmp_path / "runs")
    figures = drawn_curves(tmp_path, monkeypatch)
    assert figures.keys() == {("updates", "hopper-m", "walker2d-m"), ("updates", "antmaze-u")}
    curves = figures["updates", "hopper-m", "walker2d-m"]["hopper-m"]
    assert {name: curve.switch for name, curve in curves.items()} == {"TD3+BC": None, "TD3+BC(SA)": 20_000}
    assert curves["TD3+BC(SA)"].steps.tolist() == [0, 20_000, 20_000, 25_000]


def test_an_online_phase_alone_counts_environment_steps(tmp_path, monkeypatch):
    shutil.rmtree(write_runs(tmp_path / "runs") / "hopper-m-sa")
    figures = drawn_curves(tmp_path, monkeypatch)
    assert figures["environment steps", "hopper-m"]["hopper-m"]["TD3+BC(SA)"].steps.tolist() == [0, 5_000]


def test_the_command_config_seeds_and_commit_are_behind_every_number(built):
    sections, _, _ = built
    details = {each.title: each for each in sections[-1].details}
    base = details["TD3+BC on hopper-m, offline, d4rl data, preset short, d4rl-v2"]
    facts, code = dict(base.facts), dict(base.code)
    assert (facts["seeds"], facts["commit"]) == ("0, 1", "9fc5-dirty")
    assert code["commands to repeat the runs"].startswith("ssar-jax offline --config=")
    assert '"tau": 0.005' in code["config"]
    links = {cell.link for section in sections for table in section.tables for row in table.rows for cell in row}
    assert {each.name for each in details.values()} <= links


def test_missing_diagnostics_are_named(tmp_path):
    folder = write_runs(tmp_path / "runs")
    for file in (folder / "maze" / "diagnostics").iterdir():
        file.unlink()
    (folder / "hopper-m-sa" / "train.csv").unlink()
    groups, _ = group_runs(read_runs(folder)[0])
    section = figure_sections.adaptation(groups, {}, tmp_path / "figures")
    assert len(section.pictures) == 2
    assert any("has no diagnostics" in line and "antmaze-u" in line for line in section.notices)
    assert any("hopper-m-sa has no metric" in line for line in section.notices)


def test_html_escapes_text():
    assert element("p", "a < b", Html("<i>c</i>"), title='"') == '<p title="&quot;">a &lt; b<i>c</i></p>'
    assert element("meta", class_="x", aria_label=None) == '<meta class="x">'


def test_a_figure_within_a_page():
    clipped, used = '<g clip-path="url(#p)"/>', f'<use xlink:href="#m" fill="{INK}"/>'
    svg = f'<?xml?><!DOCTYPE svg><svg id="a"><metadata>http://x</metadata>{clipped}{used}</svg>'
    assert inline_svg(svg, "f1") == (
        '<svg id="f1-a"><g clip-path="url(#f1-p)"/><use xlink:href="#f1-m" fill="currentColor"/></svg>'
    )


def test_markdown_has_all_tables_and_sentences():
    cells = [document.Cell("a|b"), document.Cell("1.0", 1.0)]
    foot = [document.text("sum"), document.number(float("nan"), "{:.1f}".format)]
    spans = [document.Span("", 1), document.Span("TD3", 1)]
    table = document.Table("A caption", ["task", "ours"], [cells], [foot], spans)
    section = document.Section("A title", ["A sentence."], [table], notices=["Left out: b."])
    assert document.markdown(section) == (
        "## A title\n\nA sentence.\n\nLeft out: b.\n\nA caption\n\n"
        "| task | TD3 ours |\n| --- | --- |\n| a&#124;b | 1.0 |\n| sum | – |\n"
    )
