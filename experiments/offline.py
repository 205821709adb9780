"""Trains and scores one system offline.

python -m experiments.offline --config=configs/td3_bc.py:hopper-m,preset=short
"""

from pathlib import Path
from typing import Any

from absl import flags

from experiments import command, devices

_WORKDIR = flags.DEFINE_string("workdir", None, "Run folder; by default below runs/.")
_RESUME = flags.DEFINE_bool("resume", False, "Continue the run that lies in the folder.")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace the run that lies in the folder.")


def main(config: Any) -> int:
    """Runs the offline phase of a config."""
    devices.one_per_seed(config.num_seeds)
    from ssar_jax.training import offline, run_folder

    default = run_folder.default_folder(Path("runs"), config, "offline")
    path = default if _WORKDIR.value is None else Path(_WORKDIR.value)
    return offline.run(config, path, resume=_RESUME.value, overwrite=_OVERWRITE.value)


if __name__ == "__main__":
    command.run(main, needs_config=True)
