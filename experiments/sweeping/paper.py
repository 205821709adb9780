"""What the paper's two tables need: systems, tasks and seeds."""

from collections.abc import Iterator

from ssar_jax.reporting.statistics.published import AVERAGES, OFFLINE, ONLINE, SYSTEM_NAMES, PublishedTable

NUM_SEEDS = 5
"""Ours: the paper's tables do not say how many seeds they average."""


def systems(phase: str) -> list[str]:
    """Returns the systems of a table as `<algorithm>:<variant>`, in its order, without the averages.

    Args:
        phase: `offline` or `online`.
    """
    names = {name: f"{algorithm}:{variant}" for (algorithm, variant), name in SYSTEM_NAMES.items()}
    return [names[name] for name in _table(phase).systems if name not in AVERAGES]


def tasks(phase: str) -> list[str]:
    """Returns the tasks of a table in its order.

    Args:
        phase: `offline` or `online`.
    """
    return list(_table(phase).rows)


def empty_cells(phase: str) -> set[tuple[str, str]]:
    """Returns the (system, task) pairs for which a table has no result.

    Args:
        phase: `offline` or `online`.
    """
    return set(_empty(_table(phase)))


def _empty(table: PublishedTable) -> Iterator[tuple[str, str]]:
    for (algorithm, variant), name in SYSTEM_NAMES.items():
        for task, row in table.rows.items():
            if name in table.systems and row[name] is None:
                yield f"{algorithm}:{variant}", task


def _table(phase: str) -> PublishedTable:
    return ONLINE if phase == "online" else OFFLINE
