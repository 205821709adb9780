"""Parts of a report as HTML: sortable tables, figures as SVG, and details."""

import re
from collections.abc import Sequence

from ssar_jax.reporting.figures.canvas import INK
from ssar_jax.reporting.page.document import Cell, Details, Picture, Table
from ssar_jax.reporting.page.html.markup import Html, attributes_text, element


def table_element(table: Table) -> Html:
    """Makes a table in a frame that scrolls horizontally; `page.js` sorts by the heading that is clicked.

    Args:
        table: the table.
    """
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
    """Makes a figure with its SVG in the page.

    Args:
        picture: the figure; its file is read.
        name: prefix of the names in the SVG, unique in the page.
    """
    svg = inline_svg(picture.svg.read_text(encoding="utf-8"), name)
    labeled = Html(svg.replace("<svg", f"<svg{attributes_text(role='img', aria_label=picture.caption)}", 1))
    return element("figure", element("figcaption", picture.caption), _frame(labeled, picture.caption))


def details_element(details: Details) -> Html:
    """Makes collapsed details with their name as the target of links.

    Args:
        details: the details.
    """
    facts = [part for name, value in details.facts for part in (element("dt", name), element("dd", value))]
    code = [
        part for name, shown in details.code for part in (element("h3", name), element("pre", element("code", shown)))
    ]
    return element("details", element("summary", details.title), element("dl", *facts), *code, id=details.name)


def inline_svg(svg: str, name: str) -> Html:
    """Makes an SVG file of matplotlib part of a page.

    The declaration and the metadata are removed, names get a prefix that is unique in the page, and gray becomes the
    text color of the page.

    Args:
        svg: content of the file.
        name: the prefix.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(url\(|href=")#', rf"\1#{name}-", svg)
    return Html(svg.replace(INK, "currentColor"))


def _heading(table: Table, column: int) -> Html:
    """Makes a heading that is aligned with the cells below it: text on the left, numbers on the right."""
    words = any(isinstance(row[column].value, str) for row in table.rows)
    button = element("button", table.headings[column], type="button")
    return element("th", button, scope="col", class_="word" if words else "number")


def _row(cells: Sequence[Cell]) -> Html:
    first, *others = cells
    return element("tr", _cell("th", first, scope="row"), *(_cell("td", cell) for cell in others))


def _cell(tag: str, cell: Cell, **attributes: str) -> Html:
    """Makes a cell with the value by which it is sorted, and a class for text or numbers."""
    shown = cell.text if cell.link is None else element("a", cell.text, href=f"#{cell.link}")
    kind = "word" if isinstance(cell.value, str) else "number"
    value = None if cell.value is None else str(cell.value)
    return element(tag, shown, data_value=value, class_=kind, **attributes)


def _frame(content: Html, name: str) -> Html:
    """Makes a frame in which wide content scrolls, by keyboard too."""
    return element("div", content, class_="frame", tabindex=0, role="region", aria_label=name)
