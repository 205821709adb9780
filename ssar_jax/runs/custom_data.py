"""The data of task custom, and the environment that belongs to them."""

import dataclasses
import logging
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from ssar_jax.data.actions import ActionScaling
from ssar_jax.data.dataset import OfflineDataset
from ssar_jax.data.sources.find import is_minari, read_path, resolve_dataset
from ssar_jax.data.sources.minari import describe_minari
from ssar_jax.data.sources.minari_spaces import MinariDescription
from ssar_jax.data.tasks import NO_ENVIRONMENT, Task, custom_task
from ssar_jax.envs.actions import ActionBounds
from ssar_jax.envs.flattening import layout_of
from ssar_jax.envs.make import environment_name, make_env, time_limit
from ssar_jax.envs.trial import require_usable
from ssar_jax.errors import UserError
from ssar_jax.observations import Layout

_LOG = logging.getLogger(__name__)


def custom_environment(config: Any) -> str | None:
    """Returns the environment of task custom.

    It is that of the config, or else the one that a Minari dataset names: its environment for evaluation if it has one.

    Args:
        config: a checked config of `configs/`.

    Returns:
        The environment, as for `make_env`; None if there is none or it is off.

    Raises:
        UserError: if the metadata of the dataset are damaged or not supported.
    """
    if config.environment.id is not None:
        return None if config.environment.id == NO_ENVIRONMENT else config.environment.id
    if config.dataset.path is None:
        return None
    description = _minari_description(Path(resolve_dataset(config.dataset.path)))
    return None if description is None else description.environment


def _minari_description(path: Path) -> MinariDescription | None:
    return describe_minari(path) if is_minari(path) else None


def load_custom(
    config: Any,
) -> tuple[Task, OfflineDataset, ActionScaling | None, ActionBounds | None, Layout | None]:
    """Loads the dataset of task custom; its sizes come from the data.

    Args:
        config: a checked config of `configs/`.

    Returns:
        The task, the dataset, the map of its actions to [-1, 1] (None if they are in it), type and bounds of the
        environment's actions (None without an environment), and the layout of dictionary observations (None for
        vectors). The bounds of the actions are those of the config, else of the dataset, else of the environment.

    Raises:
        UserError: if the dataset is missing or damaged, the environment cannot be used, or they do not fit together.
    """
    environment, path = custom_environment(config), Path(resolve_dataset(config.dataset.path))
    description = _minari_description(path)
    name = _label(config, environment)
    spaces, limit, layout = ({}, None, None) if environment is None else _inspect(environment, name)
    if spaces and limit is None and config.evaluation.get("max_episode_steps") is None:
        _LOG.warning(
            "%s has no time limit: episodes of an evaluation are cut after %s steps; register it with "
            "max_episode_steps, or set --config.evaluation.max_episode_steps",
            name, f"{custom_task(1, 1).horizon:,}",
        )  # fmt: skip
    scaling = _action_scaling(config, description, spaces, name)
    horizon: dict[str, Any] = {} if limit is None else {"horizon": limit}
    placeholder = custom_task(1, 1, **horizon)  # for its horizon; the sizes are read from the data
    clip = config.dataset.clip_actions is not None
    dataset = read_path(placeholder, path, scaling, clip_actions=clip)
    stored = None if description is None else description.layout
    if stored is not None and layout is not None and stored != layout:
        raise UserError(
            f"{dataset.source}: observations are {stored}, but {name} has {layout}: choose the environment that the "
            "data are from"
        )
    _warn_of_another_environment(dataset, description, environment)
    for kind, space in spaces.items():
        size = dataset.observation_size if kind == "observation" else dataset.action_size
        if space.shape != (size,):
            raise UserError(f"{dataset.source}: {kind}s have size {size}, but {name} has {space.shape[0]}")
    if environment is not None and config.environment.id is None:
        note = f"policies are evaluated in {name}; --config.environment.id chooses another one, or off"
        dataset = dataclasses.replace(dataset, notes=(*dataset.notes, note))
    task = custom_task(dataset.observation_size, dataset.action_size, environment_id=environment, **horizon)
    bounds = ActionBounds.from_space(spaces["action"]) if spaces else None
    return task, dataset, scaling, bounds, layout or stored


def _warn_of_another_environment(
    dataset: OfflineDataset, description: MinariDescription | None, environment: str | None
) -> None:
    if description is None or description.environment_id is None or environment is None:
        return
    if environment_name(environment) != description.environment_id:
        _LOG.warning(
            "%s is from %s, but policies are evaluated in %s: a score means something only if observations and "
            "actions mean the same in both", dataset.source, description.environment_id, environment_name(environment),
        )  # fmt: skip


def _label(config: Any, environment: str | None) -> str:
    """Returns how messages name an environment."""
    if environment is None or config.environment.id is not None:
        return f"environment.id={environment}"
    return f"the dataset's environment {environment_name(environment)}"


def _action_scaling(
    config: Any, description: MinariDescription | None, spaces: dict[str, gymnasium.spaces.Box], name: str
) -> ActionScaling | None:
    """Returns the map of the actions by the bounds of the config, else of the dataset, else of the environment."""
    low, high = config.dataset.action_low, config.dataset.action_high
    if (low is None) != (high is None):
        raise UserError("dataset.action_low and dataset.action_high go together: set both or neither")
    if low is not None:
        return ActionScaling.from_bounds(low, high)
    if config.environment.id in (None, NO_ENVIRONMENT) and description is not None:  # else the config's environment
        low, high = description.action_low, description.action_high
        if low is not None and high is not None:
            is_unit = np.all(low == -1.0) and np.all(high == 1.0)
            return None if is_unit else ActionScaling.from_bounds(low, high)
    if not spaces:
        return None
    if not spaces["action"].is_bounded():
        raise UserError(
            f"{name} has unbounded actions, {spaces['action']}: set dataset.action_low "
            "and dataset.action_high to the range that is mapped to [-1, 1]"
        )
    return ActionScaling.from_bounds(spaces["action"].low, spaces["action"].high)


def _inspect(environment: str, name: str) -> tuple[dict[str, gymnasium.spaces.Box], int | None, Layout | None]:
    """Tries an environment; returns its spaces of observations and actions, its time limit and its layout, if any."""
    env = make_env(environment)
    spaces = {"observation": env.observation_space, "action": env.action_space}
    limit, layout = time_limit(environment, env), layout_of(env, environment_name(environment))
    require_usable(env, name)
    env.close()
    return spaces, limit, layout  # pyright: ignore[reportReturnType]
