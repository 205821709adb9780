"""What the online phase takes from a finished offline run."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from ssar_jax.algorithms.base import Algorithm
from ssar_jax.errors import UserError
from ssar_jax.run_format import FREE_ONLINE, differences, read_json
from ssar_jax.runs.checkpoints import Checkpoints
from ssar_jax.runs.data import TaskData
from ssar_jax.training.loop import abstract_states


class OfflineResult:
    """A finished offline run.

    Args:
        path: its folder.

    Attributes:
        path: its folder.
        num_updates: its updates.
        scores: the final score of every seed, or return for a task without a scale; None where a seed diverged.
        stopped: the seeds that diverged, as `divergence` describes them.

    Raises:
        UserError: where it is no finished offline run.
    """

    def __init__(self, path: Path) -> None:
        if not (path / "summary.json").exists():
            state = "is not finished" if (path / "config.json").exists() else "is no run"
            raise UserError(f"{path} {state}: --offline_run needs a finished run of experiments.offline")
        summary = read_json(path / "summary.json")
        if summary["phase"] != "offline":
            raise UserError(f"{path} is a run of the {summary['phase']} phase: --offline_run needs an offline one")
        self.path, self._config = path, read_json(path / "config.json")
        self.num_updates: int = summary["num_updates"]
        self.stopped = {int(seed): stop for seed, stop in summary["stopped_seeds"].items()}
        self.scores: list[float | None] = summary.get("final_score", summary.get("final_return"))

    def require_config(self, config: dict[str, Any]) -> None:
        """Requires the config of the online phase to continue this run.

        Raises:
            UserError: naming every field that differs.
        """
        changed = [line for line in differences(self._config, config) if not line.startswith(tuple(_starts()))]
        if changed:
            raise UserError(
                f"the offline run {self.path} was made otherwise: {'; '.join(changed)}; "
                "take its values, or another run with --offline_run or --workdir"
            )

    def require_data(self, data: TaskData) -> None:
        """Requires the data of the online phase to be those of this run.

        Raises:
            UserError: naming every difference.
        """
        changed = differences(read_json(self.path / "data.json"), data.describe())
        if changed:
            raise UserError(f"the offline run {self.path} had other data: {'; '.join(changed)}")

    def as_trained(self, config: Any) -> ConfigDict:
        """A config with this run's number of updates, at which a rate that decays over them has ended."""
        return ConfigDict({**config, "num_updates": self.num_updates})

    def states(self, algorithm: Algorithm, data: TaskData, num_seeds: int) -> Any:
        """The final states of all seeds, leaves [S, ...], on the host."""
        checkpoints = Checkpoints(self.path / "checkpoints", keep=None)
        sizes = data.dataset.observation_size, data.dataset.action_size
        try:
            return jax.device_get(checkpoints.restore(self.num_updates, abstract_states(algorithm, num_seeds, *sizes)))
        finally:
            checkpoints.close()


def _starts() -> list[str]:
    """How the lines of `differences` begin that name a free field."""
    return [f"{name}{end}" for name in FREE_ONLINE for end in (".", " ")]


def with_fresh_optimisers(states: Any) -> Any:
    """The states with every optimiser as at its start: zero moments and counts in the fields that end in `_opt`.

    The coefficient's, `opt_state`, stays as it is: online it is not used.
    """
    if not (isinstance(states, tuple) and hasattr(states, "_fields")):
        return states
    fields = states._asdict()  # pyright: ignore[reportAttributeAccessIssue]
    for name, value in fields.items():
        fields[name] = jax.tree.map(np.zeros_like, value) if name.endswith("_opt") else with_fresh_optimisers(value)
    return type(states)(**fields)
