"""A trial of an environment, so that one that cannot be used is refused before any work is done."""

import contextlib
import inspect
import math
import traceback
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

from ssar_jax.envs.actions import ActionBounds
from ssar_jax.errors import UserError

_RESET = "define reset(self, *, seed=None, options=None), which returns (observation, info)"
_STEP = "define step(self, action), which returns (observation, reward, terminated, truncated, info)"


def require_usable(env: gymnasium.Env, name: str) -> None:
    """Require an environment to work in one reset with a seed and one step.

    Args:
        env: The environment; afterwards it is in the middle of an episode.
        name: How messages name it, such as `environment.id=my_package:MyEnv-v0`.

    Raises:
        UserError: Its spaces are not vectors of numbers, it has the interface of an old Gym, or what it returns has
            another shape than its spaces, another type, or is not finite.
    """
    for kind, space in (("observation", env.observation_space), ("action", env.action_space)):
        if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != 1:
            raise UserError(f"{name} has {kind}s {space}: continuous vectors are needed")
    if env.action_space.dtype is None or env.action_space.dtype.kind != "f":
        raise UserError(f"{name} has {env.action_space.dtype} actions: give its action_space a float dtype")
    _try_reset(env, name)
    _try_step(env, name)


def _try_reset(env: gymnasium.Env, name: str) -> None:
    returned = _call(lambda: env.reset(seed=0), f"{name} fails in reset(seed=0)", lambda: _reset_hint(env))
    if not isinstance(returned, tuple) or len(returned) != 2 or not isinstance(returned[1], dict):
        raise UserError(f"{name}: reset returned {_describe(returned)}: {_RESET}")
    _require_observation(env, returned[0], f"{name}: reset")


def _try_step(env: gymnasium.Env, name: str) -> None:
    bounds = ActionBounds.from_space(env.action_space)
    action = bounds.fit(np.zeros_like(bounds.low))
    returned = _call(lambda: env.step(action), f"{name} fails in step({action.tolist()})", lambda: _step_hint(env))
    if not isinstance(returned, tuple) or len(returned) != 5:
        raise UserError(f"{name}: step returned {_describe(returned)}: {_STEP}")
    observation, reward, terminated, truncated, info = returned
    _require_observation(env, observation, f"{name}: step")
    if not _is_scalar(reward):
        raise UserError(f"{name}: step returned the reward {_describe(reward)}: return a number, such as float(reward)")
    if not math.isfinite(float(reward)):
        raise UserError(f"{name}: step returned the reward {reward}: rewards must be finite")
    for key, value in (("terminated", terminated), ("truncated", truncated)):
        if not _is_scalar(value):
            raise UserError(f"{name}: step returned {_describe(value)} as {key}: return True or False")
    if not isinstance(info, dict):
        raise UserError(f"{name}: step returned {_describe(info)} as info: return a dictionary")


def _is_scalar(value: Any) -> bool:
    """Whether a value is one number or boolean; arrays without axes and scalars of other libraries are."""
    try:
        return np.ndim(value) == 0 and np.asarray(value).dtype.kind in "biuf"
    except (TypeError, ValueError):
        return False


def _require_observation(env: gymnasium.Env, observation: Any, place: str) -> None:
    expected = env.observation_space.shape
    try:
        array = np.asarray(observation, np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"{place} returned {_describe(observation)} as observation: return an array") from error
    if array.shape != expected:
        raise UserError(
            f"{place} returned an observation of shape {array.shape}, but observation_space has {expected}: "
            "correct one of them"
        )
    if not np.isfinite(array).all():
        index = int(np.argmin(np.isfinite(array)))
        raise UserError(f"{place} returned an observation with entry {index} = {array[index]}: it must be finite")


def _call(method: Callable[[], Any], failure: str, hint: Callable[[], str]) -> Any:
    """Call a method of the environment, which may raise anything, and name the line that raised."""
    try:
        return method()
    except Exception as error:
        line = traceback.extract_tb(error.__traceback__)[-1]
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"{failure} ({reason}, in {line.filename}:{line.lineno}): {hint()}") from error


def _reset_hint(env: gymnasium.Env) -> str:
    """Return what to change if reset fails: it takes no seed, or a wrapper cannot unpack what it returns."""
    parameters = inspect.signature(env.unwrapped.reset).parameters
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    if not takes_all and not {"seed", "options"} <= parameters.keys():
        return _RESET
    with contextlib.suppress(Exception):
        returned = env.unwrapped.reset(seed=0)
        if not isinstance(returned, tuple) or len(returned) != 2:
            return f"it returns {_describe(returned)}; {_RESET}"
    return "correct the environment"


def _step_hint(env: gymnasium.Env) -> str:
    """Return what to change if step fails; wrappers fail by unpacking what an old Gym's environment returns."""
    action = np.zeros(env.unwrapped.action_space.shape or (), env.unwrapped.action_space.dtype)
    with contextlib.suppress(Exception):
        returned = env.unwrapped.step(action)
        if not isinstance(returned, tuple) or len(returned) != 5:
            return f"it returns {_describe(returned)}; {_STEP}"
    return "correct the environment"


def _describe(value: Any) -> str:
    """Describe a value of the wrong type in a few words."""
    if isinstance(value, tuple):
        return f"{len(value)} values ({', '.join(type(each).__name__ for each in value)})"
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    text = repr(value)
    return text if len(text) <= 60 else f"a {type(value).__name__}"
