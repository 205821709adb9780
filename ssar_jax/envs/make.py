"""Builds environments by name, with D4RL v2's physics or Gymnasium's."""

import dataclasses
import importlib.util
import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, SupportsFloat, cast, get_args

import gymnasium
import mujoco
from gymnasium.envs.registration import EnvSpec

from ssar_jax.envs.ant import AntDirectionEnv
from ssar_jax.envs.antmaze import AntMazeEnv
from ssar_jax.envs.flattening import with_vectors
from ssar_jax.envs.mazes import MAZES
from ssar_jax.envs.physics import Physics, restore_mujoco_210
from ssar_jax.errors import UserError

_LOG = logging.getLogger(__name__)


class _Locomotion(NamedTuple):
    """How to turn an agent's v5 environment into its v2 one.

    Attributes:
        environment_id: Gymnasium id of the v5 environment.
        options: Further arguments of `gymnasium.make`.
        total_mass: Mass of the robot in v2, kg; None if the density gives it.
        terminal_bonus: Reward for being alive, which v2 also pays on the terminal step.
    """

    environment_id: str
    options: dict[str, Any]
    total_mass: float | None
    terminal_bonus: float


# walker2d_v5.xml differs from walker2d.xml only in the right foot's friction; v2 used that of walker2d.xml.
_LOCOMOTION = {
    "halfcheetah": _Locomotion("HalfCheetah-v5", {}, 14.0, 0.0),
    "hopper": _Locomotion("Hopper-v5", {}, None, 1.0),
    "walker2d": _Locomotion("Walker2d-v5", {"xml_file": "walker2d.xml"}, None, 1.0),
}


class _Ant(NamedTuple):
    """One of this library's environments with D4RL's ant.

    Attributes:
        build: Builds the environment without a time limit.
        horizon: Time limit of an episode, steps.
    """

    build: Callable[[Physics], gymnasium.Env]
    horizon: int


_ANTS = {f"antmaze-{name}": _Ant(partial(AntMazeEnv, maze), maze.horizon) for name, maze in MAZES.items()}
_ANTS["ant-direction"] = _Ant(AntDirectionEnv, 500)

AGENTS = (*_LOCOMOTION, *_ANTS)
"""The environments with a choice of physics."""


class TerminalAliveBonus(gymnasium.Wrapper):
    """Pays the alive bonus on the terminal step too, as versions 2 to 4 did; version 5 does not.

    Args:
        env: The environment.
        bonus: Reward for being alive, per step.

    Attributes:
        bonus: The same.
    """

    def __init__(self, env: gymnasium.Env, bonus: float) -> None:
        super().__init__(env)
        self.bonus = bonus

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step the environment and add the bonus if the episode terminates."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, float(reward) + self.bonus * terminated, terminated, truncated, info


def make_env(environment: str, physics: Physics = "d4rl-v2") -> gymnasium.Env:
    """Build an environment.

    Args:
        environment: One of `AGENTS`, the id of any registered Gymnasium environment, or the description of one that
            a Minari dataset stores, `EnvSpec.to_json()`. Dictionary observations of these two become vectors
            (`ssar_jax.observations`).
        physics: See `ssar_jax.envs.physics.Physics`; it has no effect on registered environments.

    Returns:
        The environment, with its time limit.

    Raises:
        UserError: The environment or the physics is unknown, or the environment cannot be made.
    """
    if physics not in get_args(Physics):
        raise UserError(f"physics {physics!r} is unknown: choose one of {', '.join(get_args(Physics))}")
    if environment in _ANTS:
        ant = _ANTS[environment]
        return gymnasium.wrappers.TimeLimit(ant.build(physics), ant.horizon)
    recipe = _LOCOMOTION.get(environment)
    if recipe is None:
        return _make_registered(environment)
    if physics == "gymnasium":
        with _without_deprecations():
            return gymnasium.make(recipe.environment_id, disable_env_checker=True)
    with _without_deprecations():
        env = gymnasium.make(recipe.environment_id, disable_env_checker=True, **recipe.options)
    simulator = cast(Any, env.unwrapped)
    restore_mujoco_210(simulator.model, simulator.data, total_mass=recipe.total_mass)
    return TerminalAliveBonus(env, recipe.terminal_bonus) if recipe.terminal_bonus else env


def environment_name(environment: str) -> str:
    """Return the name or id of an environment.

    Args:
        environment: A name, an id or a description, as for `make_env`.
    """
    return json.loads(environment)["id"] if _is_description(environment) else environment


def time_limit(environment: str, env: gymnasium.Env) -> int | None:
    """Return the time limit of an environment, steps, or None if it has none.

    Args:
        environment: The name that was given to `make_env`.
        env: The environment that it returned.
    """
    if environment in _ANTS:
        return _ANTS[environment].horizon
    return None if env.spec is None else env.spec.max_episode_steps


@contextmanager
def _without_deprecations() -> Iterator[None]:
    """Hide MuJoCo's warning about a deprecated attribute in Gymnasium's HalfCheetah model."""

    def show(message: str) -> None:
        if "'settotalmass' is deprecated" not in message:
            _LOG.warning(message)

    mujoco.set_mju_user_warning(show)  # pyright: ignore[reportAttributeAccessIssue]
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(None)  # pyright: ignore[reportAttributeAccessIssue]


def _make_registered(environment: str) -> gymnasium.Env:
    name = environment_name(environment)
    if _is_description(environment):
        env = _make_described(environment, name)
    else:
        try:
            env = gymnasium.make(environment, disable_env_checker=True)
        except (gymnasium.error.Error, ImportError) as error:
            raise UserError(
                f"environment {name!r} cannot be made: {' '.join(str(error).split())}; choose a Gymnasium id or one of "
                f"{', '.join(AGENTS)}"
            ) from error
    return with_vectors(env, name)


def _is_description(environment: str) -> bool:
    return environment.startswith("{")


_TRUSTED_ENVIRONMENTS = tuple(
    f"{package}.envs.{family}"
    for package, families in (
        ("gymnasium", ("box2d.", "classic_control.", "mujoco.", "tabular.", "toy_text.")),
        ("gymnasium_robotics", ("",)),
    )
    for family in families
)
"""The beginnings of the places whose environments a dataset may name."""


def _make_described(description: str, name: str) -> gymnasium.Env:
    """Make the environment that a dataset describes, although it may be registered differently here or not at all."""
    known = {field.name for field in dataclasses.fields(EnvSpec)}
    # Older versions of Gymnasium wrote fields that have no meaning any more.
    fields = {key: value for key, value in json.loads(description).items() if key in known}
    fields.setdefault("additional_wrappers", [])
    _require_known_code(fields, name)
    try:
        return gymnasium.make(EnvSpec.from_json(json.dumps(fields)), disable_env_checker=True)
    except ImportError as error:
        package = (error.name or "").partition(".")[0].replace("_", "-")
        remedy = f"install it with `pip install {package}`" if package else "install what it needs"
        raise _cannot_be_made(name, error, f"{remedy}, or set") from error
    # Other people's code, which may not fit the installed versions: FetchReach-v4 fails in an assertion.
    except Exception as error:
        raise _cannot_be_made(name, error, "set") from error


def _require_known_code(fields: dict[str, Any], name: str) -> None:
    """Require the classes that a description names to be Gymnasium's, or environments of modules that are imported.

    A description names functions to call and their arguments, so that making any other one would run whatever the
    author of a dataset likes.
    """
    named = [(fields.get("entry_point"), gymnasium.Env, _TRUSTED_ENVIRONMENTS)]
    for wrapper in fields["additional_wrappers"] or ():
        entry_point = wrapper.get("entry_point") if isinstance(wrapper, dict) else None
        named.append((entry_point, gymnasium.Wrapper, ("gymnasium.wrappers.",)))
    for entry_point, kind, trusted in named:
        place, _, attribute = str(entry_point).partition(":")
        if entry_point is None or importlib.util.find_spec(place.partition(".")[0]) is None:
            continue  # there is nothing to run
        known = place in sys.modules and getattr(sys.modules[place], attribute, kind)
        if not (str(entry_point).startswith(trusted) or (isinstance(known, type) and issubclass(known, kind))):
            raise UserError(
                f"the dataset's environment {name!r} is made by {entry_point!r}, which is neither Gymnasium's nor an "
                f"imported {kind.__name__}: if you trust it, add --import={place} to the command, or set "
                "--config.environment.id to another one, or to off for training without evaluation"
            )


def _cannot_be_made(name: str, error: Exception, remedy: str) -> UserError:
    reason = " ".join(f"{type(error).__name__} {error}".split())
    return UserError(
        f"the dataset's environment {name!r} cannot be made: {reason}; {remedy} --config.environment.id to another "
        "one, or to off for training without evaluation"
    )
