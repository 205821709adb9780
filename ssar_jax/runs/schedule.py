"""When a run leaves its compiled program."""

from collections.abc import Iterator


def stops(first: int, total: int, *intervals: int) -> Iterator[int]:
    """The steps after which a run logs, evaluates or saves: every multiple of an interval, and the end.

    Args:
        first: steps done before.
        total: steps at the end.
        *intervals: numbers of steps.
    """
    step = first
    while step < total:
        step = min([total, *((step // interval + 1) * interval for interval in intervals)])
        yield step
