"""Trains one system offline and fine-tunes it online.

python -m experiments.online --config=configs/td3_bc.py:hopper-m

A finished offline run is taken where it lies; --offline_run names another one.
"""

from functools import partial
from pathlib import Path
from typing import Any

from absl import flags

from experiments.cli import command, devices, run_flags
from ssar_jax.errors import UserError
from ssar_jax.run_format import default_folder

flags.adopt_module_key_flags(run_flags)
_OFFLINE_RUN = flags.DEFINE_string(
    "offline_run",
    None,
    "Finished offline run to start from; by default <workdir>/offline or the one below runs/, trained if missing.",
)


def main(config: Any) -> int:
    """Runs the online phase of a config, after the offline one where that is missing."""
    devices.one_per_seed(config.num_seeds)
    from ssar_jax.runs import offline, online

    path = run_flags.folder(config, "online")
    if _OFFLINE_RUN.value is not None:
        return online.run(config, path, Path(_OFFLINE_RUN.value), **run_flags.options())
    options = run_flags.options(begun=_begun(path))
    online.require_startable(config, path, resume=options["resume"], overwrite=options["overwrite"])
    default = default_folder(Path("runs"), config, "offline")
    offline_path = path / "offline" if run_flags.has_workdir() else default
    if not (offline_path / "summary.json").exists():
        offline_options = run_flags.options(begun=_begun(offline_path))
        if offline_options["overwrite"] and not run_flags.has_workdir() and _begun(offline_path):
            raise UserError(
                f"{offline_path} holds a broken-off offline run, which --overwrite replaces in a --workdir alone: "
                "go on with it by experiments.offline --resume, or replace it by experiments.offline --overwrite"
            )
        check = partial(online.require_buffer, config)
        status = offline.run(config, offline_path, require=check, **offline_options)
        if status != 0:
            return status
    else:
        print(f"offline run: {offline_path}")
    return online.run(config, path, offline_path, **options)


def _begun(path: Path) -> bool:
    """Whether a run lies there: --resume continues the phase that was broken off and starts the other."""
    return (path / "config.json").exists()


if __name__ == "__main__":
    command.run(main, needs_config=True)
