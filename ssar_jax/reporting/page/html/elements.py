"""The parts of a report as HTML: tables that can be sorted, figures as SVG, and details."""

import re
from collections.abc import Sequence

from ssar_jax.reporting.figures.canvas import INK
from ssar_jax.reporting.page.document import Cell, Details, Picture, Table
from ssar_jax.reporting.page.html.markup import Html, attributes_text, element


def table_element(table: Table) -> Html:
    """A table in a frame that scrolls sideways; each heading is a button that `page.js` sorts by."""
    head = []
    if table.spans:
        spans = [element("th", span.text, colspan=span.columns, scope="colgroup") for span in table.spans]
        head.append(element("tr", *spans, class_="spans"))
    head.append(element("tr", *(_heading(table, column) for column in range(len(table.headings)))))
    parts = [
        element("caption", element("span", table.caption)),
        element("thead", *head),
        element("tbody", *map(_row, table.rows)),
    ]
    if table.foot:
        parts.append(element("tfoot", *map(_row, table.foot)))
    return _frame(element("table", *parts), table.caption)


def picture_element(picture: Picture, name: str) -> Html:
    """A figure as SVG within the page.

    Args:
        picture: the figure; its file is read.
        name: unique in the page.
    """
    svg = inline_svg(picture.svg.read_text(encoding="utf-8"), name)
    labelled = Html(svg.replace("<svg", f"<svg{attributes_text(role='img', aria_label=picture.caption)}", 1))
    return element("figure", element("figcaption", picture.caption), _frame(labelled, picture.caption))


def details_element(details: Details) -> Html:
    """What can be unfolded; links lead to its name."""
    facts = [part for name, value in details.facts for part in (element("dt", name), element("dd", value))]
    code = [
        part for name, shown in details.code for part in (element("h3", name), element("pre", element("code", shown)))
    ]
    return element("details", element("summary", details.title), element("dl", *facts), *code, id=details.name)


def inline_svg(svg: str, name: str) -> Html:
    """An SVG file of matplotlib as part of a page.

    The declaration and the metadata go, names that other figures have too get one of their own, and what is grey on
    any page takes the colour of this one's text.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(url\(|href=")#', rf"\1#{name}-", svg)
    return Html(svg.replace(INK, "currentColor"))


def _heading(table: Table, column: int) -> Html:
    """A heading set like the cells below it: words to the left, numbers to the right."""
    words = any(isinstance(row[column].value, str) for row in table.rows)
    button = element("button", table.headings[column], type="button")
    return element("th", button, scope="col", class_="word" if words else "number")


def _row(cells: Sequence[Cell]) -> Html:
    first, *others = cells
    return element("tr", _cell("th", first, scope="row"), *(_cell("td", cell) for cell in others))


def _cell(tag: str, cell: Cell, **attributes: str) -> Html:
    """A cell with the value it is sorted by; numbers are told from words by their class."""
    shown = cell.text if cell.link is None else element("a", cell.text, href=f"#{cell.link}")
    kind = "word" if isinstance(cell.value, str) else "number"
    value = None if cell.value is None else str(cell.value)
    return element(tag, shown, data_value=value, class_=kind, **attributes)


def _frame(content: Html, name: str) -> Html:
    """What is wider than the page scrolls by itself, by keyboard too."""
    return element("div", content, class_="frame", tabindex=0, role="region", aria_label=name)
