"""The paper's two tables with our numbers beside the published ones; results on other data in tables of their own."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ssar_jax.reporting.page.document import Cell, Span, Table, interval_cell, number, text
from ssar_jax.reporting.page.origin import details_name
from ssar_jax.reporting.page.tables import published_cell, row_of, score_cell
from ssar_jax.reporting.read.names import system_name
from ssar_jax.reporting.statistics import estimates
from ssar_jax.reporting.statistics.blocks import PAPER_DATA, Block, in_domain, seed_counts, task_order
from ssar_jax.reporting.statistics.published import (
    AVERAGES,
    DOMAINS,
    OFFLINE,
    ONLINE,
    PublishedTable,
    Total,
    slips,
    tasks_of,
)


class _Column(NamedTuple):
    heading: str
    over: str  # the heading above it
    score: Callable[[str], Cell]  # of a task
    total: Callable[[str], Cell]  # of a domain


def block_table(block: Block) -> Table:
    """The last scores of a block: a line for every task, a column for every system, totals below.

    On D4RL's data every number of ours stands beside the paper's, and the paper's stand there without ours too; on
    other data ours stand alone.
    """
    if block.data_source == PAPER_DATA:
        columns, tasks = _columns_beside(block, published_table(block.phase)), set(published_table(block.phase).rows)
    else:
        columns, tasks = [_own_column(block, system) for system in block.systems], set()
    tasks |= {group.key.task for group in block.groups}
    known = [text(block.preset), text(block.data_source), text(block.physics)]
    rows = [[text(task), *(column.score(task) for column in columns), *known] for task in sorted(tasks, key=task_order)]
    foot = [
        [text(domain), *(column.total(domain) for column in columns), *known]
        for domain, starts in DOMAINS.items()
        if any(task.startswith(starts) for task in tasks)
    ]
    if block.data_source == PAPER_DATA:
        headings = [column.heading for column in columns]
        spans = _joined([Span("", 1), *(Span(column.over, 1) for column in columns), Span("", len(known))])
    else:
        headings, spans = [column.over for column in columns], []
    headings = ["task", *headings, "preset", "data", "physics"]
    caption = block.title if block.groups else f"{block.phase}: no run on D4RL's data was read"
    return Table(caption, headings, rows, foot, spans)


def published_table(phase: str) -> PublishedTable:
    """The paper's table of a phase."""
    return ONLINE if phase == "online" else OFFLINE


def slip_sentence(phase: str) -> str:
    """Where the printed numbers of a table do not follow from each other, by more than rounding."""
    found = [
        f"{slip.system} {slip.row} is printed {slip.printed}, its parts give {slip.derived}"
        for slip in slips(published_table(phase))
        if not slip.within_rounding
    ]
    if not found:
        return "The printed numbers follow from each other."
    return f"Printed numbers that do not follow from the others, and stand here as printed: {'; '.join(found)}."


def _columns_beside(block: Block, published: PublishedTable) -> list[_Column]:
    """The paper's systems in its order, each with ours; then those that it does not have."""
    columns = []
    for name in published.systems:
        own = [system for system in block.systems if _published_name(block, system) == name]
        ours = [_own_column(block, system) for system in own]
        if name in AVERAGES and block.systems.keys() >= set(AVERAGES[name]):
            ours = [_own_average(block, name)]
        columns += [*ours, _paper_column(published, name, ours[-1].over if ours else name)]
    others = [system for system in block.systems if _published_name(block, system) not in published.systems]
    return columns + [_own_column(block, system) for system in others]


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
    return _Column("ours", over, score, total)


def _paper_column(published: PublishedTable, system: str, over: str) -> _Column:
    return _Column(
        "paper",
        over,
        lambda task: published_cell(published.rows.get(task, {}).get(system)),
        lambda domain: _published_total(published.totals[domain].get(system)),
    )


def _own_average(block: Block, name: str) -> _Column:
    """The mean of the two systems that the paper averages."""
    parts = [_own_column(block, system) for system in AVERAGES[name]]

    def mean(cells: list[Cell]) -> Cell:
        values = [cell.value for cell in cells if isinstance(cell.value, float)]
        return number(float(np.mean(values)) if len(values) == len(parts) else None, "{:.1f}".format)

    return _Column(
        "ours",
        name,
        lambda task: mean([part.score(task) for part in parts]),
        lambda domain: mean([part.total(domain) for part in parts]),
    )


def _published_total(total: Total | None) -> Cell:
    return Cell("–") if total is None else Cell(f"{total.value} [{total.low}, {total.high}]", float(total.value))


def _published_name(block: Block, system: str) -> str:
    group = next(iter(block.systems[system].values()))
    return system_name(group.key.algorithm, group.key.variant)


def _sum_of_means(*tasks: np.ndarray) -> np.ndarray:
    return np.sum([estimates.mean(scores) for scores in tasks], axis=0)


def _joined(spans: list[Span]) -> list[Span]:
    """Neighbours of one text as one span."""
    joined: list[Span] = []
    for span in spans:
        if joined and joined[-1].text == span.text:
            joined[-1] = Span(span.text, joined[-1].columns + span.columns)
        else:
            joined.append(span)
    return joined
