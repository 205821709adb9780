"""Recipes of the embedded datasets: their policies, in order, and the number of transitions of each."""

import hashlib
import json
from collections.abc import Sequence
from importlib import metadata
from itertools import pairwise
from typing import NamedTuple

from ssar_jax.behaviour import policies
from ssar_jax.behaviour.policies import GaussianPolicy
from ssar_jax.data.sources import embedded
from ssar_jax.data.tasks import Task

_UNIFORM_SHARE = 0.005
"""Share of medium-replay with uniform actions, which stand for a learner's steps before its first update: one episode
of the halfcheetah."""

_EARLY_SNAPSHOTS = 2
"""First snapshots of a training that medium-replay leaves out. Their actions are almost uniform, and each snapshot
plays several episodes, where a learner plays one and goes on. With some twenty such episodes among the 202 of the
halfcheetah a clone of the data stands still, since most rows near the start are of them; D4RL's does not."""


class Segment(NamedTuple):
    """The part of a dataset from one policy.

    Attributes:
        policy: The policy; None for uniform actions.
        num_steps: Number of transitions.
    """

    policy: GaussianPolicy | None
    num_steps: int


def segments(task: Task, num_steps: int) -> list[Segment]:
    """Return the segments of a task's dataset in order.

    medium and expert: one stochastic policy. medium-expert: half of each. medium-replay: uniform actions, then
    snapshots of a training to medium at even intervals and in order, each for the same number of rows, where D4RL has
    the replay buffer of such a training. AntMaze: the policy that walks in a given direction.

    Args:
        task: One of the 18 tasks.
        num_steps: Number of transitions of the dataset.

    Returns:
        The segments; their lengths add up to `num_steps`.

    Raises:
        UserError: The policies do not ship.
    """
    match task.tier:
        case "medium" | "expert" as tier:
            actors: Sequence[GaussianPolicy | None] = policies.load(f"{task.agent}-{tier}")
        case "medium-expert":
            actors = [*policies.load(f"{task.agent}-medium"), *policies.load(f"{task.agent}-expert")]
        case "medium-replay":
            uniform = round(_UNIFORM_SHARE * num_steps)
            snapshots = policies.load(f"{task.agent}-replay")[_EARLY_SNAPSHOTS:]
            return [Segment(None, uniform), *_even(snapshots, num_steps - uniform)]
        case _:
            actors = policies.load("ant-direction")
    return _even(actors, num_steps)


def _even(actors: Sequence[GaussianPolicy | None], num_steps: int) -> list[Segment]:
    bounds = [round(i * num_steps / len(actors)) for i in range(len(actors) + 1)]
    return [Segment(actor, stop - start) for actor, (start, stop) in zip(actors, pairwise(bounds), strict=True)]


def recipe_hash(task: Task, num_steps: int, seed: int) -> str:
    """Return a hash of everything that determines a dataset's bytes on one machine.

    Args:
        task: One of the 18 tasks.
        num_steps: Number of transitions.
        seed: Seed of the generation.

    Returns:
        The sha256 in hexadecimal.
    """
    versions = {name: metadata.version(name) for name in ("mujoco", "gymnasium", "numpy")}
    recipe = {"suite": embedded.SUITE, "task": task.d4rl_name, "num_steps": num_steps, "seed": seed, **versions}
    digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode())
    for policy, steps in segments(task, num_steps):
        digest.update(str(steps).encode())
        if policy is None:
            continue
        digest.update(repr((policy.log_std_multiplier, policy.log_std_offset)).encode())
        for kernel, bias in policy.layers:
            digest.update(kernel.tobytes() + bias.tobytes())
    return digest.hexdigest()
