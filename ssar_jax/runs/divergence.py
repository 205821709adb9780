"""Stops the seeds whose training diverges, and lets the others go on.

All seeds share one program, so a stopped seed is still computed: it is put back to its last good state, where it
stays in every checkpoint to come, and nothing of it is reported any more.
"""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ssar_jax.runs.folder import RunFolder
from ssar_jax.types import Array

_LOG = logging.getLogger(__name__)
_FILE = "stopped.json"


class DivergenceGuard:
    """Watches the seeds of a run; `stopped.json` in its folder tells which it stopped.

    Args:
        folder: of the run.
        seeds: S seeds.
        states: where the seeds stand, leaves [S, ...] on the host.
        step: the checkpoint that holds these states; None where there is none yet.
        unit: what a step is, `update` or `environment step`.

    Attributes:
        stopped: by seed: the step by which it diverged, the metric that told and its value, and the step of the last
            good checkpoint, None where there is none.
    """

    def __init__(self, folder: RunFolder, seeds: Sequence[int], states: Any, step: int | None, unit: str) -> None:
        self._folder, self._seeds, self._unit = folder, tuple(seeds), unit
        self._good, self._good_step = states, step
        self.stopped: dict[int, dict[str, Any]] = {}
        if step is not None and folder.file(_FILE).exists():
            content = {int(seed): stop for seed, stop in folder.read_json(_FILE).items()}
            # A seed that diverges after this step will do so again.
            self.stopped = {seed: stop for seed, stop in content.items() if stop["step"] <= step}
        for seed in self.stopped:
            self._announce(seed)

    def inherit(self, stopped: Mapping[int, Mapping[str, Any]]) -> None:
        """Stops the seeds that the phase before stopped, whose states here are their last good ones there."""
        for seed, stop in stopped.items():
            if seed not in self.stopped:
                self._stop(seed, {**stop, "step": 0, "checkpoint": self._good_step})

    @property
    def going(self) -> tuple[int, ...]:
        """The seeds that go on."""
        return tuple(seed for seed in self._seeds if seed not in self.stopped)

    def check(self, step: int, metrics: Mapping[str, np.ndarray], states: Sequence[Any]) -> bool:
        """Stops the seeds with an infinite loss or a parameter that is no number, and says so.

        Args:
            step: how far the seeds are.
            metrics: since the check before, each [S]; NaN where a metric did not occur.
            states: of one group of seeds after the other, leaves [S or more, ...] on the devices.

        Returns:
            Whether the state of some seed has to be replaced by what `held` gives.
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

    def held(self, states: Any) -> Any:
        """The states with every stopped seed back where it was good.

        Args:
            states: leaves [S, ...] on the host.
        """
        rows = [self._seeds.index(seed) for seed in self.stopped]
        return jax.tree.map(partial(_with_rows, rows), states, self._good) if rows else states

    def saved(self, step: int, states: Any) -> None:
        """Takes note of the states in a new checkpoint."""
        self._good, self._good_step = states, step


@jax.jit
def _finite(states: Any) -> Array:
    """Whether all numbers of a seed are finite, [S]."""
    leaves = [leaf for leaf in jax.tree.leaves(states) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf.reshape(len(leaf), -1)), axis=1) for leaf in leaves]), axis=0)


def _with_rows(rows: list[int], leaf: np.ndarray, other: np.ndarray) -> np.ndarray:
    replaced = np.array(leaf)
    replaced[rows] = other[rows]
    return replaced
