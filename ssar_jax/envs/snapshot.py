"""The state of a running environment, so that a killed run goes on bit for bit.

Of a MuJoCo simulation that is all its data. Positions and velocities alone lack the solver's warm start and drift by
1e-15 a step; `mjSTATE_INTEGRATION` lacks what is derived, such as the bodies' places, which Ant-v5 and Humanoid-v5 read
before they step. Everything else that changes (time-limit counters, random generators, goals) is what the environment
and its wrappers hold as attributes.
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
"""What making the environment again gives."""


class _Simulation(NamedTuple):
    """The data of a MuJoCo simulation, without its model."""

    data: mujoco.MjData


class _Layer(NamedTuple):
    """The attributes of an environment inside another."""

    attributes: dict[str, Any]


def save(env: gymnasium.Env) -> bytes:
    """Takes the state of an environment and of all it wraps.

    Raises:
        UserError: where an attribute cannot be stored.
    """
    return pickle.dumps(_attributes(env))


def restore(env: gymnasium.Env, saved: bytes) -> None:
    """Gives an environment, made as the saved one was, the state that `save` took."""
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
                    f"({error}); give it __getstate__, or make it again in reset()"
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
