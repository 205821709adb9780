"""Weights & Biases runs, which stay on this machine unless the user sets WANDB_MODE."""

import json
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from ssar_jax.errors import UserError

_LOG = logging.getLogger(__name__)


class WandbLog:
    """Writes one W&B run per seed in `wandb/` of the run folder, grouped by the folder.

    Nothing is uploaded, logged in or not, unless WANDB_MODE is set: `wandb sync` uploads the runs later, and
    WANDB_MODE=online uploads them during training. WANDB_PROJECT is the name of the project, by default ssar_jax.

    Args:
        folder: the run folder, with its `config.json`.
        seeds: the seeds of the run.
    """

    def __init__(self, folder: Path, seeds: Sequence[int]) -> None:
        asked = bool(os.environ.get("WANDB_MODE"))
        if not asked:  # even offline runs report errors and usage to W&B
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        group = f"{config['algorithm']}-{config['task']}-{folder.name}"
        if (folder / "wandb").exists():
            shutil.rmtree(folder / "wandb")  # of an interrupted run; all its rows are logged again
        self._runs = {
            seed: wandb.init(
                project=os.environ.get("WANDB_PROJECT", "ssar_jax"),
                group=group,
                name=f"{group}-seed{seed}",
                config={**config, "seed": seed},
                dir=folder,
                mode=None if asked else "offline",
                reinit="create_new",
                # The terminal shows the run's own lines, and the URL of the W&B run if a mode was requested.
                settings={"console": "off", "quiet" if asked else "silent": True},
            )
            for seed in seeds
        }
        if not asked:
            _LOG.info("W&B runs stay on this machine; to upload them: wandb sync %s", folder / "wandb/offline-run-*")

    def add(self, step: int, seed: int, scalars: Mapping[str, float]) -> None:
        """Logs one row; W&B merges rows of the same step, and steps must not decrease.

        Args:
            step: step of the row.
            seed: seed of the row.
            scalars: tag -> value.
        """
        self._runs[seed].log(dict(scalars), step=step)

    def close(self) -> None:
        """Finishes the runs."""
        for run in self._runs.values():
            run.finish()


def require_login() -> None:
    """Requires a login if WANDB_MODE=online, so that W&B does not pause the run to ask for one.

    Raises:
        UserError: if there is no login.
    """
    if os.environ.get("WANDB_MODE") != "online":
        return
    import wandb

    if not wandb.login(prompt=False, verify=False):
        raise UserError("WANDB_MODE=online, but nobody is logged in: run `wandb login`, or unset WANDB_MODE")
