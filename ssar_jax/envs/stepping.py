"""One reset and one step of an environment, with what it returns checked."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from ssar_jax.errors import UserError


class Outcome(NamedTuple):
    """What an environment returned for an action.

    Attributes:
        observation: Observation after the step, [O], a copy, since some environments reuse their buffer.
        reward: Reward.
        terminated: Whether the environment terminated.
        truncated: Whether a time limit cut the episode.
        info: Whatever the environment reports.
    """

    observation: np.ndarray
    reward: float
    terminated: bool
    truncated: bool
    info: dict[str, Any]


def name_of(env: gymnasium.Env) -> str:
    """Return the id of an environment, or the name of its class if it is not registered."""
    return type(env.unwrapped).__name__ if env.spec is None else env.spec.id


def reset(env: gymnasium.Env, seed: int) -> np.ndarray:
    """Start an episode.

    Args:
        env: The environment.
        seed: Reset seed.

    Returns:
        The first observation, [O], a copy of the type of the observation space.

    Raises:
        UserError: The observation has another shape or is not finite.
    """
    observation, _ = env.reset(seed=seed)
    array = _vector(env, observation, "reset")
    if not np.isfinite(array).all():
        raise UserError(f"environment {name_of(env)} returned {_broken(array)} from reset(seed={seed}): correct it")
    return array


def step(env: gymnasium.Env, action: np.ndarray, place: Callable[[], str]) -> Outcome:
    """Take one step.

    What is not finite is blamed on the environment only if its action was finite: a policy that diverged, whose
    actions are NaN, is another error.

    Args:
        env: The environment.
        action: Action, [A].
        place: Returns the place of the step in words, such as `step 3 of the episode with seed 0`.

    Returns:
        The outcome.

    Raises:
        UserError: The observation has another shape, or observation or reward are not finite after a finite action.
    """
    returned, reward, terminated, truncated, info = env.step(action)
    observation, value = _vector(env, returned, "step"), float(reward)
    if not (math.isfinite(value) and np.isfinite(observation).all()) and np.isfinite(action).all():
        broken = f"the reward {value}" if not math.isfinite(value) else _broken(observation)
        raise UserError(
            f"environment {name_of(env)} returned {broken} in {place()} for the action {action.tolist()}: correct "
            "the environment; a run is continued with --resume"
        )
    return Outcome(observation, value, bool(terminated), bool(truncated), info)


def _vector(env: gymnasium.Env, observation: Any, method: str) -> np.ndarray:
    """Return a copy of an observation of the type of the observation space, and require its shape."""
    space = env.observation_space
    array = np.array(observation, space.dtype)
    if array.shape != space.shape:
        raise UserError(
            f"environment {name_of(env)} returned an observation of shape {array.shape} from {method}, but its "
            f"observation_space has {space.shape}: correct one of them"
        )
    return array


def _broken(observation: np.ndarray) -> str:
    """Describe the first entry of an observation that is not finite."""
    index = int(np.argmin(np.isfinite(observation)))
    return f"an observation with entry {index} = {observation[index]}"
