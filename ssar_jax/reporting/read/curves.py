"""Curves of runs: one value per seed and step, of several runs in one, offline and online on one axis."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ssar_jax.errors import UserError


@dataclass(frozen=True)
class Curve:
    """What was measured of every seed again and again.

    Attributes:
        seeds: [S].
        steps: when, [E], rising; at the switch a step may stand twice.
        values: [S, E]; NaN where a seed has no value, as after it diverged.
        switch: the step at which the online phase begins; None for one phase alone.
    """

    seeds: tuple[int, ...]
    steps: np.ndarray
    values: np.ndarray
    switch: int | None = None

    @property
    def final(self) -> np.ndarray:
        """The last value of every seed, [S]; NaN where it diverged."""
        return self.values[:, -1]

    @property
    def best(self) -> np.ndarray:
        """The highest value of every seed, [S]: a look back at all of them, and no estimate for a policy to be."""
        return np.fmax.reduce(self.values, axis=1)


def read_curve(rows: Iterable[Mapping[str, str]], column: str, *, step: str = "step") -> Curve:
    """Reads a column of a table with one row per step and seed.

    Args:
        rows: cells as text; an empty or missing one is no value.
        column: the values.
        step: the column of the steps.
    """
    return _from_points({(int(row["seed"]), int(row[step])): float(row.get(column) or "nan") for row in rows})


def merge(curves: Sequence[Curve]) -> Curve:
    """One curve of all seeds, for runs that differ in their seeds alone."""
    return _from_points(
        {
            (seed, step): value
            for curve in curves
            for seed, values in zip(curve.seeds, curve.values, strict=True)
            for step, value in zip(curve.steps.tolist(), values.tolist(), strict=True)
        }
    )


def join(offline: Curve, online: Curve) -> Curve:
    """Appends the online phase to the offline one, on one axis of updates and then environment steps.

    Args:
        offline: over updates.
        online: over environment steps since the switch.

    Returns:
        The curve of the seeds that have both phases.

    Raises:
        UserError: where no seed has both.
    """
    seeds = tuple(seed for seed in online.seeds if seed in offline.seeds)
    if not seeds:
        raise UserError(
            f"the offline runs have seeds {offline.seeds}, the online runs {online.seeds}: no seed has both phases"
        )
    switch = int(offline.steps[-1])
    halves = [curve.values[[curve.seeds.index(seed) for seed in seeds]] for curve in (offline, online)]
    steps = np.concatenate([offline.steps, switch + online.steps])
    return Curve(seeds, steps, np.concatenate(halves, axis=1), switch)


def _from_points(points: Mapping[tuple[int, int], float]) -> Curve:
    """Arranges (seed, step) -> value."""
    seeds = sorted({seed for seed, _ in points})
    steps = sorted({step for _, step in points})
    values = np.array([[points.get((seed, step), np.nan) for step in steps] for seed in seeds])
    return Curve(tuple(seeds), np.array(steps), values)
