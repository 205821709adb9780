"""Trains one system offline and fine-tunes it online.

python -m experiments.online --config=configs/td3_bc.py:hopper-m

An existing offline run is used; --offline_run chooses another one. --num_processes divides the seeds among processes,
each with its run folders.
"""

from functools import partial
from pathlib import Path
from typing import Any

from absl import flags

from experiments.cli import command, devices, run_flags
from ssar_jax.errors import UserError
from ssar_jax.files import resolve_path
from ssar_jax.run_format import default_folder

flags.adopt_module_key_flags(run_flags)
_OFFLINE_RUN = flags.DEFINE_string(
    "offline_run",
    None,
    "Folder of the finished offline run; the default is <workdir>/offline, or the default folder in runs/. "
    "A missing run is trained first.",
)


def main(config: Any) -> int:
    """Runs the online phase of a config, after the offline phase if that is missing.

    Args:
        config: the checked config.

    Returns:
        Exit status.

    Raises:
        UserError: if config, data or folders do not allow the runs.
    """
    run_flags.take_share(config)
    devices.one_per_seed(config.num_seeds)
    from ssar_jax.runs import offline, online

    path = run_flags.folder(config, "online")
    if _OFFLINE_RUN.value is not None:
        return online.run(
            config, path, run_flags.own_folder(resolve_path(_OFFLINE_RUN.value), config), **run_flags.options()
        )
    options = run_flags.options(begun=_is_run(path))
    online.require_startable(config, path, resume=options["resume"], overwrite=options["overwrite"])
    default = default_folder(Path("runs"), config, "offline")
    offline_path = path / "offline" if run_flags.has_workdir() else default
    if not (offline_path / "summary.json").exists():
        offline_options = run_flags.options(begun=_is_run(offline_path))
        if offline_options["overwrite"] and not run_flags.has_workdir() and _is_run(offline_path):
            raise UserError(
                f"{offline_path} contains an unfinished offline run, which --overwrite replaces only in a --workdir: "
                "continue it with `ssar-jax offline --resume`, or replace it with `ssar-jax offline --overwrite`"
            )
        check = partial(online.require_trainable, config)
        status = offline.run(config, offline_path, require=check, **offline_options)
        if status != 0:
            return status
    else:
        print(f"offline run: {offline_path}")
    return online.run(config, path, offline_path, **options)


def _is_run(path: Path) -> bool:
    """Whether a folder contains a run, so that --resume continues it; a phase that has not begun is started."""
    return (path / "config.json").exists()


if __name__ == "__main__":
    command.run(main, needs_config=True)
