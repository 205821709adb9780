"""The content of a report, independent of its format: sections with sentences, tables, figures and details."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ssar_jax.reporting.statistics.estimates import Interval


class Cell(NamedTuple):
    """A cell of a table.

    Attributes:
        text: the text shown.
        value: the value by which the cell is sorted; None sorts last.
        link: name of the details that the cell links to.
    """

    text: str
    value: float | str | None = None
    link: str | None = None


class Span(NamedTuple):
    """A heading above several columns.

    Attributes:
        text: the heading.
        columns: number of columns below it.
    """

    text: str
    columns: int


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        caption: what the table shows.
        headings: heading of every column; the first column names the row.
        rows: rows of one cell per column.
        foot: rows that stay at the bottom when the table is sorted, such as totals.
        spans: headings above those of the columns; empty if there are none.
    """

    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    foot: Sequence[Sequence[Cell]] = ()
    spans: Sequence[Span] = ()


class Picture(NamedTuple):
    """A figure on disk.

    Attributes:
        svg: path of the SVG; the PNG is next to it.
        caption: what the figure shows.
    """

    svg: Path
    caption: str


class Details(NamedTuple):
    """Details that are collapsed at first.

    Attributes:
        name: target of links, unique in the report.
        title: title that is always visible.
        facts: names and values.
        code: titles and preformatted texts.
    """

    name: str
    title: str
    facts: Sequence[tuple[str, str]]
    code: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Section:
    """A section of a report.

    Attributes:
        title: the heading.
        sentences: paragraphs below the heading.
        tables: tables in their order.
        pictures: figures in their order.
        details: details in their order.
        collapsed: whether only the heading is visible at first.
        notices: what is left out and why, paragraphs after the sentences. A section with a notice is shown even if it
            has no content.
    """

    title: str
    sentences: Sequence[str] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    details: Sequence[Details] = ()
    collapsed: bool = False
    notices: Sequence[str] = ()


def number(value: float | None, show: Callable[[float], str], *, link: str | None = None) -> Cell:
    """Makes a cell of a number; a missing number or NaN is shown as a dash.

    Args:
        value: the number.
        show: formats the number.
        link: name of the details that the cell links to.
    """
    if value is None or math.isnan(value):
        return Cell(text="–", link=link)
    return Cell(text=show(value), value=float(value), link=link)


def text(value: str, link: str | None = None) -> Cell:
    """Makes a cell of a text, by which it is sorted; an empty text is shown as a dash.

    Args:
        value: the text; a dash is shown if it is empty.
        link: name of the details that the cell links to.
    """
    return Cell(text=value or "–", value=value or None, link=link)


def interval_cell(interval: Interval, digits: int) -> Cell:
    """Makes a cell of an estimate and the ends of its interval, if they are known.

    Args:
        interval: the estimate and its interval, each [].
        digits: number of decimals.
    """
    estimate, low, high = (float(end) for end in interval)
    ends = "" if math.isnan(low) else f" [{low:.{digits}f}, {high:.{digits}f}]"
    return Cell(text=f"{estimate:.{digits}f}{ends}", value=estimate)


def markdown(section: Section) -> str:
    """Writes the heading, the sentences and the tables of a section as Markdown, each table below its caption.

    Args:
        section: the section.
    """
    parts = [f"## {section.title}\n", *(f"{text}\n" for text in (*section.sentences, *section.notices))]
    for table in section.tables:
        parts += [f"{table.caption}\n", _markdown_table(table)]
    return "\n".join(parts)


def _markdown_table(table: Table) -> str:
    """Writes a table; Markdown has one row of headings and no foot, so spans become prefixes and totals rows."""
    over = [span.text for span in table.spans for _ in range(span.columns)] or [""] * len(table.headings)
    headings = [" ".join(filter(None, both)) for both in zip(over, table.headings, strict=True)]
    rows = [[cell.text for cell in row] for row in (*table.rows, *table.foot)]
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |\n" for line in lines)
