"""Divides the cores of this machine among processes."""

import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence

from ssar_jax.errors import UserError


def divide(jobs: int) -> list[list[int]]:
    """Divides the cores that this process may use into equal shares.

    Args:
        jobs: number of shares.

    Returns:
        The cores of each share.

    Raises:
        UserError: if there is no job, or there are more jobs than cores.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    if not 1 <= jobs <= len(cores):
        raise UserError(f"--jobs={jobs} must be at least 1 and at most {len(cores)}, the number of cores")
    bounds = [len(cores) * i // jobs for i in range(jobs + 1)]
    return [cores[start:stop] for start, stop in itertools.pairwise(bounds)]


@contextlib.contextmanager
def bind(cores: Sequence[int]) -> Iterator[None]:
    """Binds the processes that are started in the context to some cores, on systems that support it.

    Args:
        cores: the cores.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
