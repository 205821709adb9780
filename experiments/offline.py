"""Trains and evaluates one system offline.

python -m experiments.offline --config=configs/td3_bc.py:hopper-m,preset=short

--num_processes divides the seeds among processes, each with its run folder.
"""

from typing import Any

from absl import flags

from experiments.cli import command, devices, run_flags

flags.adopt_module_key_flags(run_flags)


def main(config: Any) -> int:
    """Runs the offline phase of a config.

    Args:
        config: the checked config.

    Returns:
        Exit status.
    """
    run_flags.take_share(config)
    devices.one_per_seed(config.num_seeds)
    from ssar_jax.runs import offline

    return offline.run(config, run_flags.folder(config, "offline"), **run_flags.options())


if __name__ == "__main__":
    command.run(main, needs_config=True)
