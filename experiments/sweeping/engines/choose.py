"""Makes the engine that a sweep's flags name."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from experiments.sweeping.engines.base import Engine
from experiments.sweeping.engines.local import LocalEngine
from experiments.sweeping.engines.ray_tasks import RayEngine
from experiments.sweeping.engines.slurm_jobs import SlurmEngine
from ssar_jax.errors import UserError

ENGINES = ("local", "ray", "slurm")

_SLURM_JOBS = 100  # in the queue at a time; many clusters limit the jobs of a user


class Resources(NamedTuple):
    """What the runs of a sweep may use.

    Attributes:
        jobs: runs at a time; None for the engine's default.
        cores: cores of each run; None for the engine's default.
        gpus: GPUs of each run, which may be a fraction on Ray; None for the engine's default.
        address: address of the Ray cluster; None for the one that this machine belongs to.
        slurm: `<name>=<value>` parameters of submitit.
    """

    jobs: int | None = None
    cores: int | None = None
    gpus: float | None = None
    address: str | None = None
    slurm: Sequence[str] = ()


def make_engine(name: str, root: Path, resources: Resources) -> Engine:
    """Makes an engine.

    Args:
        name: one of `ENGINES`.
        root: folder of all run folders.
        resources: what the runs may use.

    Raises:
        UserError: if a flag does not belong to the engine or has an impossible value, or the engine is not available.
    """
    jobs, cores, gpus, address, slurm = resources
    cluster = "ray or --engine=slurm"
    for flag, value, engines, owner in (
        ("cores", cores, ("ray", "slurm"), cluster),
        ("gpus", gpus, ("ray", "slurm"), cluster),
        ("address", address, ("ray",), "ray"),
        ("slurm", slurm or None, ("slurm",), "slurm"),
    ):
        if value is not None and name not in engines:
            raise UserError(f"--{flag} is for --engine={owner}")
    for flag, value in (("jobs", jobs), ("cores", cores)):
        if value is not None and value < 1 and name != "local":
            raise UserError(f"--{flag}={value} must be at least 1")
    if gpus is not None and gpus < 0:
        raise UserError(f"--gpus={gpus:g} must be at least 0")
    if name == "ray":
        return RayEngine(address or "auto", jobs, cores or 1, gpus or 0.0)
    if name == "slurm":
        if gpus is not None and not gpus.is_integer():
            raise UserError(f"--gpus={gpus:g} must be a whole number: SLURM does not divide GPUs")
        return SlurmEngine(root, jobs or _SLURM_JOBS, cores or 1, int(gpus or 0), dict(map(_parse_option, slurm)))
    return LocalEngine(1 if jobs is None else jobs)


def _parse_option(text: str) -> tuple[str, Any]:
    """Reads `<name>=<value>`; a whole number is an integer, as submitit expects for times in minutes."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise UserError(f"--slurm: {text!r} is not <name>=<value>, such as slurm_partition=gpu")
    return name, int(value) if value.isdecimal() else value
