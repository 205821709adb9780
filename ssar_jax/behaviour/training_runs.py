"""The training run of a behavior policy on disk: snapshots, learning curve, and the choice of a tier's policy.

`run.json` describes the run, `step-<number>.npz` are its snapshots, and `curve.csv` has a row for every evaluation.
"""

import csv
import json
import logging
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ssar_jax.behaviour import policies
from ssar_jax.behaviour.policies import GaussianPolicy
from ssar_jax.behaviour.tiers import TIERS, Mark, Tier, examine
from ssar_jax.errors import UserError

_LOG = logging.getLogger(__name__)

NUM_SNAPSHOTS = 48
"""Policies in a replay file: snapshots of the training at even intervals, until it leaves the medium tier."""

CURVE = ("steps", "sampled", "deterministic", "seconds")
"""Columns of `curve.csv`: environment steps, mean score (for the ant: return) of sampled and of most likely actions,
wall time in s."""


class Choice(NamedTuple):
    """The policy of a tier.

    Attributes:
        policy: The policy.
        steps: Environment steps of its training.
        mark: Its marks in the examination.
    """

    policy: GaussianPolicy
    steps: int
    mark: Mark


class TrainingRun:
    """A training run.

    Args:
        folder: Its folder.

    Attributes:
        description: Contents of `run.json`.

    Raises:
        UserError: The folder is not a training run, or it ended before its first evaluation.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        if not (folder / "run.json").is_file():
            raise UserError(
                f"{folder} is not a training run, it has no run.json: name a folder that `collect train` wrote"
            )
        self.description: dict[str, Any] = json.loads((folder / "run.json").read_text())
        self.steps = sorted(int(path.stem.removeprefix("step-")) for path in folder.glob("step-*.npz"))
        self.curve = []
        if (folder / "curve.csv").is_file():
            with (folder / "curve.csv").open(newline="") as file:
                self.curve = [tuple(map(float, row)) for row in csv.reader(file) if row[0] != CURVE[0]]
        if not (self.steps and self.curve):
            raise UserError(f"{folder} has no evaluated snapshots, its training ended before the first: train it again")

    def policy(self, steps: int) -> GaussianPolicy:
        """Read the snapshot after a number of steps."""
        return policies.read(snapshot_path(self._folder, steps))[0]

    def choose(self, name: str) -> Choice:
        """Examine snapshots until one belongs to a tier.

        A policy on the way up is not taken after an evaluation of its training that lay above the tier: it would be a
        fluctuation of a better one, whose most likely actions score as the better one's do. Single snapshots between
        two evaluations may be better or worse, for policies fluctuate within a thousand steps.

        Args:
            name: Name of the tier, such as `medium`.

        Returns:
            The choice.

        Raises:
            UserError: There is no such tier, or no snapshot belongs to it.
        """
        agent = self.description["agent"]
        if (agent, name) not in TIERS:
            known = ", ".join(" ".join(key) for key in TIERS)
            raise UserError(f"there is no tier {agent!r} {name!r}: choose one of {known}")
        tier = TIERS[agent, name]
        for steps in self._candidates(tier):
            mark = examine(agent, self.policy(steps), np.random.default_rng((0, steps)))
            _LOG.info("%s after %s steps: %s", agent, f"{steps:,}", mark)
            if mark.is_in(tier):
                return Choice(self.policy(steps), steps, mark)
        raise UserError(
            f"no snapshot of {self._folder} is {agent} {name}: train with another --seed or more --max_steps"
        )

    def _candidates(self, tier: Tier) -> Iterator[int]:
        """Yield the steps of the snapshots near evaluations that could belong to the tier, in the order of trial."""
        interval = int(self.curve[0][0]) if len(self.curve) == 1 else int(self.curve[1][0] - self.curve[0][0])
        rows = self.curve if tier.wanted == "first" else self.curve[::-1]
        for steps, sampled, deterministic, _ in rows:
            if tier.wanted == "first" and _is_above(tier, sampled, deterministic):
                # What lies before this evaluation has been tried; what comes after it is a fluctuation of a better one.
                yield from self._between(steps - interval, steps - 1)
                return
            if sampled >= tier.near:
                found = list(self._between(steps - interval, steps))
                yield from found if tier.wanted == "first" else found[::-1]

    def _between(self, low: float, high: float) -> Sequence[int]:
        """Return the steps of the snapshots after `low` and up to `high`."""
        return [steps for steps in self.steps if low < steps <= high]

    def replay(self, name: str) -> tuple[list[int], list[GaussianPolicy]]:
        """Return `NUM_SNAPSHOTS` snapshots at even intervals, as long as no evaluation lay above a tier.

        Args:
            name: Name of the tier, `medium`.

        Returns:
            Their steps and the policies.
        """
        tier = TIERS[self.description["agent"], name]
        above = [steps for steps, *marks, _ in self.curve if _is_above(tier, *marks)]
        past = [steps for steps in self.steps if steps < min(above, default=math.inf)]
        chosen = np.linspace(0, len(past) - 1, min(NUM_SNAPSHOTS, len(past))).round().astype(int)
        return [past[i] for i in chosen], [self.policy(past[i]) for i in chosen]


def _is_above(tier: Tier, sampled: float, deterministic: float) -> bool:
    return sampled > tier.sampled.high or deterministic > tier.deterministic.high


def snapshot_path(folder: Path, steps: int) -> Path:
    """Return the path of a run's snapshot after a number of steps."""
    return folder / f"step-{steps:07d}.npz"
