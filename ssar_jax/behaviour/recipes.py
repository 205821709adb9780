"""How each embedded dataset is played: which policies, for how many transitions, in which order."""

import hashlib
import json
from collections.abc import Sequence
from importlib import metadata
from itertools import pairwise
from typing import NamedTuple

from ssar_jax.behaviour import policies
from ssar_jax.behaviour.policies import GaussianPolicy
from ssar_jax.data.tasks import Task

VERSION = 1
"""Raised when the way of generating changes, so that older sets are recognised."""

_UNIFORM_SHARE = 0.05
"""Share of medium-replay that comes from uniform actions, as a learner's first steps do."""


class Segment(NamedTuple):
    """A part of a dataset that one policy plays.

    Attributes:
        policy: the policy; None for uniform actions.
        num_steps: its transitions.
    """

    policy: GaussianPolicy | None
    num_steps: int


def segments(task: Task, num_steps: int) -> list[Segment]:
    """The segments of a task's dataset in order; their lengths add up to `num_steps`.

    medium and expert: one stochastic policy. medium-expert: half of each. medium-replay: uniform actions, then
    the snapshots of a training run in order; D4RL has the learner's own replay buffer there. AntMaze: the ant that
    walks into a direction.

    Raises:
        UserError: where its policies do not ship.
    """
    match task.tier:
        case "medium" | "expert" as tier:
            players: Sequence[GaussianPolicy | None] = policies.load(f"{task.agent}-{tier}")
        case "medium-expert":
            players = [*policies.load(f"{task.agent}-medium"), *policies.load(f"{task.agent}-expert")]
        case "medium-replay":
            uniform = round(_UNIFORM_SHARE * num_steps)
            snapshots = policies.load(f"{task.agent}-replay")
            return [Segment(None, uniform), *_even(snapshots, num_steps - uniform)]
        case _:
            players = policies.load("ant-direction")
    return _even(players, num_steps)


def _even(players: Sequence[GaussianPolicy | None], num_steps: int) -> list[Segment]:
    bounds = [round(i * num_steps / len(players)) for i in range(len(players) + 1)]
    return [Segment(player, stop - start) for player, (start, stop) in zip(players, pairwise(bounds), strict=True)]


def recipe_hash(task: Task, num_steps: int, seed: int) -> str:
    """A hash of everything that decides a dataset's bytes on one machine."""
    versions = {name: metadata.version(name) for name in ("mujoco", "gymnasium", "numpy")}
    recipe = {"version": VERSION, "task": task.d4rl_name, "num_steps": num_steps, "seed": seed, **versions}
    digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode())
    for policy, steps in segments(task, num_steps):
        digest.update(str(steps).encode())
        if policy is None:
            continue
        digest.update(repr((policy.log_std_multiplier, policy.log_std_offset)).encode())
        for kernel, bias in policy.layers:
            digest.update(kernel.tobytes() + bias.tobytes())
    return digest.hexdigest()
