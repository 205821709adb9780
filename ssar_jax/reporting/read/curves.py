"""Curves of runs: one value per seed and step, merged over runs and joined over phases."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ssar_jax.errors import UserError


@dataclass(frozen=True)
class Curve:
    """Values of every seed over steps.

    Attributes:
        seeds: the seeds, [S].
        steps: the steps in increasing order, [E]; the step at a switch of phases appears twice.
        values: [S, E]; NaN where a seed has no value, for example after it diverged.
        switch: the step at which the online phase begins; None for a curve of one phase.
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
        """The highest value of every seed, [S]; biased upwards, since it is chosen after the fact."""
        return np.fmax.reduce(self.values, axis=1)


def read_curve(rows: Iterable[Mapping[str, str]], column: str, *, step: str = "step") -> Curve:
    """Reads a column of a table with one row per step and seed.

    Args:
        rows: rows with cells as text; an empty or missing cell has no value.
        column: column of the values.
        step: column of the steps.

    Raises:
        UserError: if a cell is not a number, or a row has no step or seed.
    """
    try:
        return _from_points({(int(row["seed"]), int(row[step])): float(row.get(column) or "nan") for row in rows})
    except KeyError as error:
        raise UserError(f"there is no column {error.args[0]}") from error
    except (ValueError, OverflowError) as error:
        raise UserError(str(error)) from error


def merge(curves: Sequence[Curve]) -> Curve:
    """Merges the curves of runs that differ only in their seeds into one curve of all seeds.

    Args:
        curves: curves of different seeds.
    """
    return _from_points(
        {
            (seed, step): value
            for curve in curves
            for seed, values in zip(curve.seeds, curve.values, strict=True)
            for step, value in zip(curve.steps.tolist(), values.tolist(), strict=True)
        }
    )


def join(offline: Curve, online: Curve) -> Curve:
    """Appends an online curve to an offline one, on one axis of updates and then environment steps.

    Args:
        offline: curve over updates.
        online: curve over environment steps since the start of the online phase.

    Returns:
        The curve of the seeds that have both phases.

    Raises:
        UserError: if no seed has both phases.
    """
    seeds = tuple(seed for seed in online.seeds if seed in offline.seeds)
    if not seeds:
        raise UserError(
            f"the offline runs have seeds {offline.seeds}, the online runs {online.seeds}: no seed has both phases"
        )
    switch = int(offline.steps[-1])
    halves = [curve.values[[curve.seeds.index(seed) for seed in seeds]] for curve in (offline, online)]
    return Curve(
        seeds=seeds,
        steps=np.concatenate([offline.steps, switch + online.steps]),
        values=np.concatenate(halves, axis=1),
        switch=switch,
    )


def _from_points(points: Mapping[tuple[int, int], float]) -> Curve:
    """Arranges (seed, step) -> value as arrays."""
    seeds = sorted({seed for seed, _ in points})
    steps = sorted({step for _, step in points})
    values = np.array([[points.get((seed, step), np.nan) for step in steps] for seed in seeds])
    return Curve(seeds=tuple(seeds), steps=np.array(steps, dtype=np.int64), values=values)
