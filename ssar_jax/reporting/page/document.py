"""What a report consists of, whatever it is written as: sections with sentences, tables, figures and details."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ssar_jax.reporting.statistics.estimates import Interval


class Cell(NamedTuple):
    """A cell of a table.

    Attributes:
        text: what it shows.
        value: what it is sorted by; None sorts behind all others.
        link: name of the details that stand behind it.
    """

    text: str
    value: float | str | None = None
    link: str | None = None


class Span(NamedTuple):
    """A heading over several columns."""

    text: str
    columns: int


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        caption: what it shows.
        headings: of the columns; the first column names the row.
        rows: one cell per column.
        foot: rows that stay below when the others are sorted, such as totals.
        spans: headings above those of the columns, or none at all.
    """

    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    foot: Sequence[Sequence[Cell]] = ()
    spans: Sequence[Span] = ()


class Picture(NamedTuple):
    """A figure on disk.

    Attributes:
        svg: its file; the PNG lies beside it.
        caption: what it shows.
    """

    svg: Path
    caption: str


class Details(NamedTuple):
    """What can be unfolded.

    Attributes:
        name: that links lead to, unique in the document.
        title: seen while it is folded.
        facts: names and values.
        code: title -> text to be shown letter by letter.
    """

    name: str
    title: str
    facts: Sequence[tuple[str, str]]
    code: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Section:
    """A part of a report.

    Attributes:
        title: its heading.
        sentences: a paragraph each.
        tables: in their order.
        pictures: in their order.
        details: in their order.
    """

    title: str
    sentences: Sequence[str] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    details: Sequence[Details] = ()


def number(value: float | None, show: Callable[[float], str], *, link: str | None = None) -> Cell:
    """A number; one that is missing is a dash."""
    if value is None or math.isnan(value):
        return Cell("–", None, link)
    return Cell(show(value), float(value), link)


def text(value: str, link: str | None = None) -> Cell:
    """A word, sorted by itself."""
    return Cell(value or "–", value or None, link)


def interval_cell(interval: Interval, digits: int) -> Cell:
    """An estimate with the ends of its interval; without ends where there is one seed."""
    estimate, low, high = (float(end) for end in interval)
    ends = "" if math.isnan(low) else f" [{low:.{digits}f}, {high:.{digits}f}]"
    return Cell(f"{estimate:.{digits}f}{ends}", estimate)


def markdown(section: Section) -> str:
    """The heading, the sentences and the tables of a section in Markdown, each under its caption."""
    parts = [f"## {section.title}\n", *(f"{sentence}\n" for sentence in section.sentences)]
    for table in section.tables:
        parts += [f"{table.caption}\n", _markdown_table(table)]
    return "\n".join(parts)


def _markdown_table(table: Table) -> str:
    """Markdown has one row of headings and no foot: the spans are put before the headings, totals are rows."""
    over = [span.text for span in table.spans for _ in range(span.columns)] or [""] * len(table.headings)
    headings = [" ".join(filter(None, both)) for both in zip(over, table.headings, strict=True)]
    rows = [[cell.text for cell in row] for row in (*table.rows, *table.foot)]
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |\n" for line in lines)
