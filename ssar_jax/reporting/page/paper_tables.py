"""Tables of tasks by systems: results on D4RL's data next to published ones, and results on other data alone."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ssar_jax.reporting.page.document import Cell, Span, Table, interval_cell, number, text
from ssar_jax.reporting.page.run_details import details_name
from ssar_jax.reporting.page.tables import published_cell, row_of, score_cell
from ssar_jax.reporting.statistics import estimates
from ssar_jax.reporting.statistics.blocks import PAPER_DATA, Block, in_domain, seed_counts, task_order
from ssar_jax.reporting.statistics.corl import CORL, PAPER, published_tables
from ssar_jax.reporting.statistics.names import system_name
from ssar_jax.reporting.statistics.published import (
    AVERAGES,
    DOMAINS,
    OFFLINE,
    PublishedTable,
    Total,
    discrepancies,
    tasks_of,
)


class _Column(NamedTuple):
    heading: str
    over: str  # the heading above it
    score: Callable[[str], Cell]  # of a task
    total: Callable[[str], Cell]  # of a domain


def block_table(block: Block) -> Table:
    """Makes a table of the last scores of a block: a row for every task, a column for every system, totals below.

    On D4RL's data, published scores are in columns next to ours, under the name of their source.

    Args:
        block: comparable results.
    """
    tasks = {group.key.task for group in block.groups}
    known = {"preset": block.preset, "data": block.data_source, "physics": block.physics}
    if block.data_source == PAPER_DATA:
        shown = tasks | set(published_tables(block.phase)[PAPER].rows)
        return _table(block.title, _columns_with_published(block), shown, known)
    return _table(block.title, [_own_column(block, system) for system in block.systems], tasks, known)


def published_results(phase: str) -> Table:
    """Makes a table of the published results of a phase alone.

    Args:
        phase: `offline` or `online`.
    """
    tables = published_tables(phase)
    columns = [
        _published_column(source, table, name, name) for source, table in tables.items() for name in table.systems
    ]
    return _table(f"{phase}, as published", columns, set(tables[PAPER].rows), {})


def discrepancy_sentence(phase: str) -> str:
    """Lists the paper's numbers of a phase that do not follow from the others, even allowing for rounding.

    Args:
        phase: `offline` or `online`.
    """
    found = [
        f"{each.system} {each.row} is printed as {each.printed}, but its parts give {each.derived}"
        for each in discrepancies(published_tables(phase)[PAPER])
        if not each.within_rounding
    ]
    if not found:
        return "The printed totals agree with the printed scores."
    return f"Some printed numbers do not agree with the others and are shown as printed: {'; '.join(found)}."


def _table(caption: str, columns: list[_Column], tasks: set[str], known: dict[str, str]) -> Table:
    """Makes a table whose last columns have the same content in all rows, under a second row of headings if needed."""
    same = [text(value) for value in known.values()]
    rows = [[text(task), *(column.score(task) for column in columns), *same] for task in sorted(tasks, key=task_order)]
    foot = [
        [text(domain), *(column.total(domain) for column in columns), *same]
        for domain, prefixes in DOMAINS.items()
        if any(task.startswith(prefixes) for task in tasks)
    ]
    headings, spans = [column.over for column in columns], []
    if any(column.heading in (PAPER, CORL) for column in columns):
        headings = [column.heading for column in columns]
        spans = [Span("", 1), *(Span(column.over, 1) for column in columns), *([Span("", len(known))] if known else [])]
    return Table(
        caption=caption, headings=["task", *headings, *known], rows=rows, foot=foot, spans=_merge_neighbors(spans)
    )


def _columns_with_published(block: Block) -> list[_Column]:
    """The paper's systems in its order and then CORL's, each after ours; then systems that neither has."""
    columns, covered = [], set()
    for source, table in published_tables(block.phase).items():
        for name in table.systems:
            own = [system for system in block.systems if _published_name(block, system) == name]
            ours = [_own_column(block, system) for system in own]
            if name in AVERAGES and block.systems.keys() >= set(AVERAGES[name]):
                ours = [_own_average(block, name)]
            columns += [*ours, _published_column(source, table, name, ours[-1].over if ours else name)]
            covered.update(own)
    return columns + [_own_column(block, system) for system in block.systems if system not in covered]


def _own_column(block: Block, system: str) -> _Column:
    groups = block.systems.get(system, {})

    def score(task: str) -> Cell:
        return score_cell(row_of(groups[task]), details_name(groups[task])) if task in groups else Cell("–")

    def total(domain: str) -> Cell:
        inside, all_tasks = in_domain(groups, domain), tasks_of(OFFLINE, domain)
        if len(inside) < len(all_tasks):
            return Cell(f"{len(inside)} of {len(all_tasks)} tasks" if inside else "–")
        finals = [group.curve().final[:, None] for group in inside.values()]  # [S, 1]: each task has its own seeds
        if np.isnan(np.concatenate(finals)).any():
            return Cell("–")
        return interval_cell(estimates.bootstrap(_sum_of_means, *finals, rng=np.random.default_rng(0)), 1)

    over = f"{system}, {seed_counts(list(groups.values()))}" if groups else system
    return _Column(heading="ours", over=over, score=score, total=total)


def _published_column(source: str, published: PublishedTable, system: str, over: str) -> _Column:
    return _Column(
        heading=source,
        over=over,
        score=lambda task: published_cell(published.rows.get(task, {}).get(system)),
        total=lambda domain: _published_total(published.totals.get(domain, {}).get(system)),
    )


def _own_average(block: Block, name: str) -> _Column:
    """The mean of the two systems that the paper averages."""
    parts = [_own_column(block, system) for system in AVERAGES[name]]

    def mean(cells: list[Cell]) -> Cell:
        values = [cell.value for cell in cells if isinstance(cell.value, float)]
        return number(float(np.mean(values)) if len(values) == len(parts) else None, "{:.1f}".format)

    return _Column(
        heading="ours",
        over=name,
        score=lambda task: mean([part.score(task) for part in parts]),
        total=lambda domain: mean([part.total(domain) for part in parts]),
    )


def _published_total(total: Total | None) -> Cell:
    if total is None:
        return Cell("–")
    return Cell(text=f"{total.value} [{total.low}, {total.high}]", value=float(total.value))


def _published_name(block: Block, system: str) -> str:
    return system_name(next(iter(block.systems[system].values())))


def _sum_of_means(*tasks: np.ndarray) -> np.ndarray:
    return np.sum([estimates.mean(scores) for scores in tasks], axis=0)


def _merge_neighbors(spans: list[Span]) -> list[Span]:
    """Merges neighboring spans with the same text."""
    merged: list[Span] = []
    for span in spans:
        if merged and merged[-1].text == span.text:
            merged[-1] = Span(span.text, merged[-1].columns + span.columns)
        else:
            merged.append(span)
    return merged
