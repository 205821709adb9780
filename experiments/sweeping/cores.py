"""Divides the cores of this machine among processes."""

import contextlib
import itertools
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

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
        cores: the cores; none if they are not to be bound.
    """
    if not cores or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def claim(count: int) -> Iterator[tuple[list[int], list[int]]]:
    """Chooses cores that no other process on this machine has claimed, for engines that place runs by themselves.

    A claim is a lock on a file in the folder of temporary files. It ends when the context and every process that
    inherited the lock have ended. If too few cores are free, the rest is shared with others.

    Args:
        count: number of cores; all cores if there are fewer.

    Yields:
        The cores, and the file descriptors of their locks, to be inherited by a process that may outlive this one.
    """
    available = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if count >= len(available):
        yield available, []
        return
    import fcntl  # not available on Windows, where the affinity is not either

    folder = Path(tempfile.gettempdir()) / f"ssar_jax-cores-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    with contextlib.ExitStack() as stack:
        claimed: dict[int, int] = {}  # core -> file descriptor of its lock
        for core in available:
            if len(claimed) == count:
                break
            file = stack.enter_context((folder / str(core)).open("w"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            claimed[core] = file.fileno()
        others = [core for core in available if core not in claimed]
        yield sorted([*claimed, *others[: count - len(claimed)]]), list(claimed.values())
