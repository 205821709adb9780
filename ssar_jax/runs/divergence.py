"""Stops the seeds whose training diverges, while the others continue.

All seeds share one program, so a stopped seed is still computed. Its state is reset to that of its last checkpoint
before the divergence, which later checkpoints repeat, and it is no longer logged or evaluated.
"""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ssar_jax.runs.storage.folder import RunFolder
from ssar_jax.types import Array

_LOG = logging.getLogger(__name__)
_FILE = "stopped.json"


class DivergenceGuard:
    """Checks the seeds of a run and records those that diverged in `stopped.json`.

    Args:
        folder: the run folder.
        seeds: S seeds.
        states: the current states, leaves [S, ...] on the host.
        step: step of the checkpoint with these states; None if there is none yet.
        unit: name of a step, `update` or `environment step`.

    Attributes:
        stopped: for every stopped seed the `step` by which it diverged, the `metric` that was not finite and its
            `value`, and the step of its last good `checkpoint`, None if there is none.
    """

    def __init__(self, folder: RunFolder, seeds: Sequence[int], states: Any, step: int | None, unit: str) -> None:
        self._folder, self._seeds, self._unit = folder, tuple(seeds), unit
        self._good, self._good_step = states, step
        self.stopped: dict[int, dict[str, Any]] = {}
        if step is not None and folder.file(_FILE).exists():
            content = {int(seed): stop for seed, stop in folder.read_json(_FILE).items()}
            # Seeds that diverged after this step will diverge again.
            self.stopped = {seed: stop for seed, stop in content.items() if stop["step"] <= step}
        for seed in self.stopped:
            self._announce(seed)

    def inherit(self, stopped: Mapping[int, Mapping[str, Any]]) -> None:
        """Stops the seeds that diverged in the offline phase; their states are the last good ones of that phase.

        Args:
            stopped: the attribute `stopped` of the offline phase.
        """
        for seed, stop in stopped.items():
            if seed not in self.stopped:
                self._stop(seed, {**stop, "step": 0, "checkpoint": self._good_step})

    @property
    def active_seeds(self) -> tuple[int, ...]:
        """The seeds that have not diverged."""
        return tuple(seed for seed in self._seeds if seed not in self.stopped)

    def check(self, step: int, metrics: Mapping[str, np.ndarray], states: Sequence[Any]) -> bool:
        """Stops the seeds with an infinite loss or a state that is not finite, and logs an error for each.

        Args:
            step: the current step.
            metrics: means since the last check, each [S]; NaN if a metric did not occur.
            states: the states of all groups of seeds in order, leaves [S or more, ...] on the devices.

        Returns:
            Whether some state is not finite and must be replaced by the result of `reset_stopped`.
        """
        finite = np.concatenate([np.asarray(_finite(group)) for group in states])[: len(self._seeds)]
        for s, seed in enumerate(self._seeds):
            losses = {name: float(values[s]) for name, values in metrics.items() if "loss" in name}
            broken = {name: value for name, value in losses.items() if not np.isfinite(value)}
            infinite = any(np.isinf(value) for value in broken.values())
            if seed in self.stopped or (finite[s] and not infinite):
                continue
            metric, value = next(iter(broken.items()), ("a parameter", float("nan")))
            self._stop(seed, {"step": step, "metric": metric, "value": str(value), "checkpoint": self._good_step})
        return not all(finite)

    def _stop(self, seed: int, stop: dict[str, Any]) -> None:
        self.stopped[seed] = stop
        self._folder.write_json(_FILE, self.stopped)
        self._announce(seed)

    def _announce(self, seed: int) -> None:
        stop = self.stopped[seed]
        good = stop["checkpoint"]
        kept = "it had no checkpoint yet" if good is None else f"its last good checkpoint, {good:,}, is kept"
        _LOG.error(
            "seed %d stopped: %s was %s by %s %s; %s",
            *(seed, stop["metric"], stop["value"], self._unit, f"{stop['step']:,}", kept),
        )

    def reset_stopped(self, states: Any) -> Any:
        """Replaces the states of stopped seeds by their last good ones.

        Args:
            states: the current states, leaves [S, ...] on the host.

        Returns:
            The states to continue from, leaves [S, ...].
        """
        rows = [self._seeds.index(seed) for seed in self.stopped]
        return jax.tree.map(partial(_with_rows, rows), states, self._good) if rows else states

    def record_checkpoint(self, step: int, states: Any) -> None:
        """Records the states of a new checkpoint as the last good ones.

        Args:
            step: step of the checkpoint.
            states: the states in it, leaves [S, ...] on the host.
        """
        self._good, self._good_step = states, step


@jax.jit
def _finite(states: Any) -> Array:
    """Whether all numbers in the state of a seed are finite, [S]."""
    leaves = [leaf for leaf in jax.tree.leaves(states) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf.reshape(len(leaf), -1)), axis=1) for leaf in leaves]), axis=0)


def _with_rows(rows: list[int], leaf: np.ndarray, other: np.ndarray) -> np.ndarray:
    replaced = np.array(leaf)
    replaced[rows] = other[rows]
    return replaced
