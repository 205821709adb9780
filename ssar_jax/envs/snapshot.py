"""Saves and restores the state of a running environment, so that a resumed run continues bit for bit.

The state of a MuJoCo simulation is all of its `MjData`. Positions and velocities do not suffice: they lack the
solver's warm start, which costs 1e-15 per step. `mjSTATE_INTEGRATION` lacks derived quantities such as the positions
of bodies, which Ant-v5 and Humanoid-v5 read before they step. All other state (time-limit counters, random generators,
goals) is in the attributes of the environment and its wrappers.
"""

# MuJoCo ships no stubs for its bindings.
# pyright: reportAttributeAccessIssue=false

import pickle
from typing import Any, NamedTuple

import gymnasium
import mujoco
from gymnasium.envs.mujoco.mujoco_rendering import MujocoRenderer
from gymnasium.envs.registration import EnvSpec

from ssar_jax.errors import UserError

_REBUILT = (gymnasium.Space, EnvSpec, mujoco.MjModel, MujocoRenderer)
"""Types of attributes that are not saved, since building the environment again restores them."""


class _Simulation(NamedTuple):
    """The data of a MuJoCo simulation, without its model."""

    data: mujoco.MjData


class _Layer(NamedTuple):
    """The attributes of a wrapped environment."""

    attributes: dict[str, Any]


def save(env: gymnasium.Env) -> bytes:
    """Return the state of an environment and of those that it wraps.

    Args:
        env: The environment.

    Returns:
        The state, pickled.

    Raises:
        UserError: An attribute cannot be pickled.
    """
    return pickle.dumps(_attributes(env))


def restore(env: gymnasium.Env, saved: bytes) -> None:
    """Restore the state of an environment.

    Args:
        env: An environment that was built in the same way as the saved one.
        saved: The result of `save`; only load what you saved, since unpickling runs code.
    """
    _assign(env, pickle.loads(saved))


def _attributes(env: Any) -> dict[str, Any]:
    attributes = {}
    for name, value in vars(env).items():
        if isinstance(value, gymnasium.Env):
            attributes[name] = _Layer(_attributes(value))
        elif isinstance(value, mujoco.MjData):
            attributes[name] = _Simulation(value)
        elif not isinstance(value, _REBUILT):
            try:
                pickle.dumps(value)
            except (TypeError, AttributeError, pickle.PicklingError) as error:
                raise UserError(
                    f"environment {type(env).__name__} cannot be stored in a checkpoint: its attribute {name!r} "
                    f"({error}); define __getstate__, or create the attribute in reset()"
                ) from error
            attributes[name] = value
    return attributes


def _assign(env: Any, attributes: dict[str, Any]) -> None:
    for name, value in attributes.items():
        if isinstance(value, _Layer):
            _assign(getattr(env, name), value.attributes)
        elif isinstance(value, _Simulation):
            mujoco.mj_copyData(getattr(env, name), env.model, value.data)
        else:
            setattr(env, name, value)
