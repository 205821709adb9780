"""The finished offline run that an online run starts from."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from ssar_jax.algorithms.base import Algorithm
from ssar_jax.errors import UserError
from ssar_jax.files import one_line
from ssar_jax.run_format import FREE_ONLINE, config_differences, data_differences, read_json
from ssar_jax.runs.data import TaskData
from ssar_jax.runs.storage.checkpoints import Checkpoints
from ssar_jax.runs.storage.versions import note_differences
from ssar_jax.training.loop import abstract_states
from ssar_jax.types import TrainState

# The first characters of those lines of `differences` that are about a field of FREE_ONLINE or of its group.
_FREE_PREFIXES = tuple(f"{name}{end}" for name in FREE_ONLINE for end in (".", " "))


class ParentRun:
    """A finished offline run.

    Args:
        path: the run folder.

    Attributes:
        path: the run folder.
        num_updates: number of updates of the run.
        scores: final score of every seed, or final return for a task without reference returns; None if the seed
            diverged.
        stopped: the seeds that diverged, as in `DivergenceGuard.stopped`.

    Raises:
        UserError: if the folder does not contain a finished offline run.
    """

    def __init__(self, path: Path) -> None:
        if not (path / "summary.json").exists():
            state = "is not finished" if (path / "config.json").exists() else "is not a run"
            raise UserError(f"{path} {state}: --offline_run needs a finished run of `ssar-jax offline`")
        summary = read_json(path / "summary.json")
        if summary.get("phase") != "offline":
            raise UserError(f"{path} is a run of the {summary.get('phase')} phase: --offline_run needs an offline one")
        note_differences(path)
        self.path, self._config = path, read_json(path / "config.json")
        self.num_updates: int
        self.scores: list[float | None]
        try:
            self.num_updates = int(summary["num_updates"])
            self.stopped = {int(seed): dict(stop) for seed, stop in summary["stopped_seeds"].items()}
            self.scores = list(summary["final_score"] if "final_score" in summary else summary["final_return"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"{path / 'summary.json'} is damaged ({one_line(error)}): train the run again") from error

    def describe(self) -> dict[str, Any]:
        """Returns what an online run records about this run before it starts: its folder and its number of updates."""
        return {"path": str(self.path), "num_updates": self.num_updates}

    def require_length(self, record: Path) -> None:
        """Requires that this run has not been lengthened since an online run started from it.

        Args:
            record: the file in which the online run stored `describe()`; a run of an older version has none.

        Raises:
            UserError: if it has.
        """
        known = read_json(record).get("num_updates") if record.exists() else self.num_updates
        if known != self.num_updates:
            raise UserError(
                f"cannot resume {record.parent}: it started from {known} updates of {self.path}, which has "
                f"{self.num_updates} now; start a new online run with --workdir"
            )

    def require_config(self, config: dict[str, Any]) -> None:
        """Requires the config of the online phase to agree with that of this run, except in `FREE_ONLINE`.

        Args:
            config: the config of the online phase as nested dictionaries.

        Raises:
            UserError: if they differ; the message lists all differences.
        """
        lines = config_differences(self._config, config, may_move=True)  # `require_data` compares the content
        changed = [line for line in lines if not line.startswith(_FREE_PREFIXES)]
        if changed:
            raise UserError(
                f"the offline run {self.path} has another config: {'; '.join(changed)}; "
                "use its values, or choose another run with --offline_run or --workdir"
            )

    def require_data(self, data: TaskData) -> None:
        """Requires the data of the online phase to be those of this run.

        Args:
            data: the data of the online phase.

        Raises:
            UserError: if they differ; the message lists all differences.
        """
        changed = data_differences(read_json(self.path / "data.json"), data.describe())
        if changed:
            raise UserError(
                f"the offline run {self.path} has other data: {'; '.join(changed)}; use its data or another run"
            )

    def as_trained(self, config: Any) -> ConfigDict:
        """Returns a config with this run's number of updates, so that decaying learning rates end where they did.

        Args:
            config: the config of the online phase.
        """
        return ConfigDict({**config, "num_updates": self.num_updates})

    def states(self, algorithm: Algorithm, data: TaskData, num_seeds: int) -> Any:
        """Reads the final states.

        Args:
            algorithm: the algorithm, built from the config of this run.
            data: the data of the online phase.
            num_seeds: number of seeds S.

        Returns:
            The states of all seeds, leaves [S, ...], on the host.

        Raises:
            UserError: if the checkpoint is damaged or does not fit.
        """
        checkpoints = Checkpoints(self.path / "checkpoints", keep=None)
        sizes = data.dataset.observation_size, data.dataset.action_size
        try:
            return jax.device_get(checkpoints.restore(self.num_updates, abstract_states(algorithm, num_seeds, *sizes)))
        finally:
            checkpoints.close()


def with_fresh_optimizers(states: Any) -> Any:
    """Resets the optimizer of every network: moments and counts become zero.

    Args:
        states: states of S seeds, leaves [S, ...].

    Returns:
        The states with the same parameters and new optimizer states.
    """

    def reset(node: Any) -> Any:
        if isinstance(node, TrainState):
            return node._replace(opt_state=jax.tree.map(np.zeros_like, node.opt_state))
        return node

    return jax.tree.map(reset, states, is_leaf=lambda node: isinstance(node, TrainState))
