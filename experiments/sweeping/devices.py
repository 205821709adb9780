"""Divides the NVIDIA GPUs of this machine among jobs; an accelerator of another kind cannot be divided this way."""

import os
from pathlib import Path

VISIBLE = "CUDA_VISIBLE_DEVICES"
_PREALLOCATE = "XLA_PYTHON_CLIENT_PREALLOCATE"
_DEVICE_FILES = Path("/dev")


def visible() -> list[str]:
    """Returns the names by which CUDA knows the GPUs that this process may use: numbers, or ids of GPUs or MIG parts.

    The variable `CUDA_VISIBLE_DEVICES` counts if it is set. Without it the GPUs are counted without starting CUDA.
    """
    names = os.environ.get(VISIBLE)
    if names is not None:
        return [name.strip() for name in names.split(",") if name.strip()]
    # CUDA numbers the GPUs that are visible in a container from 0, whatever the files are called.
    return [str(number) for number, _ in enumerate(_DEVICE_FILES.glob("nvidia[0-9]*"))]


def divide(jobs: int) -> list[dict[str, str]]:
    """Divides the visible GPUs among jobs.

    With at least one GPU per job every job gets its own ones. Otherwise several jobs use the same GPU, and the first
    must not allocate all of its memory.

    Args:
        jobs: number of jobs.

    Returns:
        Environment variables of every job, in addition to those of this process.
    """
    if jobs == 1:
        return [{}]
    names = visible()
    if len(names) < jobs:
        shared = {_PREALLOCATE: os.environ.get(_PREALLOCATE, "false")}
        return [shared | ({VISIBLE: names[job % len(names)]} if names else {}) for job in range(jobs)]
    bounds = [len(names) * job // jobs for job in range(jobs + 1)]
    return [{VISIBLE: ",".join(names[bounds[job] : bounds[job + 1]])} for job in range(jobs)]
