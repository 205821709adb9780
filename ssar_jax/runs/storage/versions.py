"""What a run's numbers depend on in addition to its config and its data."""

import importlib.metadata
import logging
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import jax

from ssar_jax import __version__
from ssar_jax.run_format import differences, read_json

_LOG = logging.getLogger(__name__)

_PACKAGES = (
    *("jax", "jaxlib", "flax", "optax", "numpy", "scipy", "mujoco", "gymnasium", "gymnasium-robotics", "minari"),
    "orbax-checkpoint",
)

_JAX_OPTIONS = (
    "jax_enable_x64",
    "jax_default_prng_impl",
    "jax_threefry_partitionable",
)
"""JAX's settings that change numbers; the precision of matrix products is a field of the config."""

_ENVIRONMENT = ("XLA_FLAGS", "LIBTPU_INIT_ARGS", "NVIDIA_TF32_OVERRIDE", "JAX_DISABLE_MOST_OPTIMIZATIONS")
"""Environment variables that change how XLA and its libraries compute."""


def versions() -> dict[str, Any]:
    """Returns packages, commit, machine, devices and the settings of JAX and XLA that change numbers."""
    installed = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {
        "packages": installed | {"ssar_jax": __version__},
        "python": platform.python_version(),
        "commit": _commit(),
        "device": f"{len(jax.devices())} x {jax.devices()[0].device_kind}",
        "processor": _processor(),
        "jax": {name.removeprefix("jax_"): getattr(jax.config, name) for name in _JAX_OPTIONS},
        "environment": {name: os.environ[name] for name in _ENVIRONMENT if os.environ.get(name)},
    }


def note_differences(folder: Path) -> None:
    """Logs in what this process differs from the one that wrote a run, if it differs.

    Args:
        folder: the run folder.
    """
    path = folder / "versions.json"
    if not path.exists():
        return
    written = read_json(path)
    resumed = written.pop("resumed", [])
    changed = differences([written, *resumed][-1], versions())
    if changed:
        _LOG.info("%s was trained with other versions, so numbers may differ: %s", folder, "; ".join(changed))


def _processor() -> str:
    """Returns the model of the CPU, on which XLA's code generation and MuJoCo's rounding depend."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _commit() -> str | None:
    """Returns the commit of the source, with `-dirty` if files differ from it; None outside a repository."""
    command = [
        "git",
        "-C",
        str(Path(__file__).parent),
        "describe",
        "--always",
        "--dirty",
        "--abbrev=40",
        "--exclude=*",
    ]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() or None
