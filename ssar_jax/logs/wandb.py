"""Weights & Biases runs, on this machine alone unless the user asks for more."""

import json
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from ssar_jax.errors import UserError

_LOG = logging.getLogger(__name__)


class WandbLog:
    """One W&B run per seed in `wandb/` of the run folder, grouped by the folder.

    Nothing leaves this machine, logged in or not, unless WANDB_MODE is set: `wandb sync` uploads the runs afterwards,
    WANDB_MODE=online as they go. WANDB_PROJECT names the project, by default ssar_jax.

    Args:
        folder: the run folder, with the run's `config.json`.
        seeds: the seeds of the run.
    """

    def __init__(self, folder: Path, seeds: Sequence[int]) -> None:
        asked = bool(os.environ.get("WANDB_MODE"))
        if not asked:  # offline runs too make W&B report its own errors and use to its makers
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        group = f"{config['algorithm']}-{config['task']}-{folder.name}"
        if (folder / "wandb").exists():
            shutil.rmtree(folder / "wandb")  # a broken-off run's, which has its rows in what follows
        self._runs = {
            seed: wandb.init(
                project=os.environ.get("WANDB_PROJECT", "ssar_jax"),
                group=group,
                name=f"{group}-seed{seed}",
                config={**config, "seed": seed},
                dir=folder,
                mode=None if asked else "offline",
                reinit="create_new",
                # The terminal shows the run's own lines; who asked for a mode also reads where W&B shows the run.
                settings={"console": "off", "quiet" if asked else "silent": True},
            )
            for seed in seeds
        }
        if not asked:
            _LOG.info("W&B runs stay on this machine; to upload them: wandb sync %s", folder / "wandb/offline-run-*")

    def add(self, step: int, seed: int, scalars: Mapping[str, float]) -> None:
        """Logs one row; rows of one step are one row in W&B, and steps never go back."""
        self._runs[seed].log(dict(scalars), step=step)

    def close(self) -> None:
        """Finishes the runs."""
        for run in self._runs.values():
            run.finish()


def require_login() -> None:
    """Requires an account where WANDB_MODE asks for one, so that W&B does not stop the run to ask for a login.

    Raises:
        UserError: there is none.
    """
    if os.environ.get("WANDB_MODE") != "online":
        return
    import wandb

    if not wandb.login(prompt=False, verify=False):
        raise UserError("WANDB_MODE=online, but nobody is logged in: run `wandb login`, or unset WANDB_MODE")
