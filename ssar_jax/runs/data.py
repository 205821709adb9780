"""The data of a run: dataset, preparation and selection, as its config describes them."""

import logging
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np

from ssar_jax.algorithms import registry
from ssar_jax.behaviour.generate import load_or_generate
from ssar_jax.data.actions import ActionScaling
from ssar_jax.data.dataset import OfflineDataset
from ssar_jax.data.scaling import ObservationScaling, PreparedData, prepare
from ssar_jax.data.selection import (
    Selection,
    keep_top_fraction,
    select_all,
    select_by_return,
    select_successful,
    select_top_fraction,
)
from ssar_jax.data.sources.find import load_dataset, resolve_dataset
from ssar_jax.data.tasks import CUSTOM, Task, get_task
from ssar_jax.envs.actions import ActionBounds
from ssar_jax.envs.make import AGENTS, environment_name
from ssar_jax.envs.physics import Physics
from ssar_jax.errors import UserError
from ssar_jax.files import open_npz, write_atomically
from ssar_jax.observations import Layout
from ssar_jax.runs.custom_data import load_custom
from ssar_jax.runs.pretraining.advantage import select_by_advantage

_LOG = logging.getLogger(__name__)

_TINY = 1e-3
"""Fraction of selected transitions below which a warning is logged."""


class TaskData(NamedTuple):
    """The data of a run.

    Attributes:
        task: the task.
        dataset: the raw dataset, N rows.
        prepared: the dataset with scaled observations and mapped rewards.
        selection: the trusted rows, [N] or [S, N].
        action_scaling: maps actions from [-1, 1] to the environment's range; None if the ranges are the same.
        physics: physics of evaluation and fine-tuning.
        action_bounds: type and bounds of the actions of a custom environment; None otherwise.
        layout: the order in which the arrays of dictionary observations are concatenated; None for vectors.
    """

    task: Task
    dataset: OfflineDataset
    prepared: PreparedData
    selection: Selection
    action_scaling: ActionScaling | None
    physics: Physics
    action_bounds: ActionBounds | None = None
    layout: Layout | None = None

    def describe(self) -> dict[str, Any]:
        """Returns source, hash, size, physics and selection by name, for JSON."""
        return {
            "data_source": self.dataset.source.kind,
            "data_name": self.dataset.source.name,
            "dataset_hash": self.dataset.content_hash,
            "num_transitions": len(self.dataset),
            "physics": self.physics,
            "selection_threshold": self.selection.threshold,
            "selection_fraction": self.selection.fraction,
        }

    def save_preparation(self, path: Path) -> None:
        """Writes what a policy needs besides its parameters: scalings, bounds, action size, layout, custom environment.

        Args:
            path: the `.npz` file.
        """
        scaling, bounds = self.prepared.observation_scaling, self.action_scaling
        arrays: dict[str, Any] = {} if bounds is None else {"action_low": bounds.low, "action_high": bounds.high}
        if self.action_bounds is not None:
            arrays |= {"environment_low": self.action_bounds.low, "environment_high": self.action_bounds.high}
        if self.layout is not None:
            arrays["layout"] = self.layout.to_json()
        if self.task.name == CUSTOM and self.task.environment is not None:
            arrays["environment"] = self.task.environment
        arrays |= {"mean": scaling.mean, "std": scaling.std, "action_size": self.dataset.action_size}
        write_atomically(path, lambda file: np.savez(file, **arrays))


def load_preparation(path: Path) -> tuple[ObservationScaling, ActionScaling | None, int]:
    """Reads a file written by `TaskData.save_preparation`.

    Args:
        path: the `.npz` file.

    Returns:
        Observation scaling, action scaling (None if there is none) and action size.

    Raises:
        UserError: if the file is missing or damaged.
    """
    arrays = open_npz(path)
    bounds = ActionScaling(arrays["action_low"], arrays["action_high"]) if "action_low" in arrays else None
    return ObservationScaling(arrays["mean"], arrays["std"]), bounds, int(arrays["action_size"])


def load_action_bounds(path: Path) -> ActionBounds | None:
    """Reads type and bounds of the environment's actions from a file written by `TaskData.save_preparation`.

    Args:
        path: the `.npz` file.

    Returns:
        The bounds; None if the run has no custom environment.
    """
    arrays = open_npz(path)
    if "environment_low" not in arrays:
        return None
    return ActionBounds(arrays["environment_low"], arrays["environment_high"])


def load_layout(path: Path) -> Layout | None:
    """Reads the layout of dictionary observations from a file written by `TaskData.save_preparation`.

    Args:
        path: the `.npz` file.

    Returns:
        The layout; None if the observations are vectors.
    """
    arrays = open_npz(path)
    return Layout.from_json(str(arrays["layout"])) if "layout" in arrays else None


def load_environment(path: Path) -> str | None:
    """Reads the environment of a custom task from a file written by `TaskData.save_preparation`.

    Args:
        path: the `.npz` file.

    Returns:
        The environment, as for `make_env`; None if there is none, and in runs of older versions.
    """
    arrays = open_npz(path)
    return str(arrays["environment"]) if "environment" in arrays else None


def load_data(config: Any) -> TaskData:
    """Finds or generates the dataset of a config, prepares it and selects the trusted rows.

    Args:
        config: a checked config of `configs/`.

    Returns:
        The data of the run.

    Raises:
        UserError: if the dataset is missing or damaged or does not fit the config.
    """
    if config.task == CUSTOM:
        task, dataset, action_scaling, action_bounds, layout = load_custom(config)
    else:
        task, action_scaling, action_bounds, layout = get_task(config.task), None, None, None
        generate = partial(load_or_generate, num_steps=config.dataset.embedded.num_steps)
        dataset = load_dataset(
            task,
            source=config.dataset.source,
            path=None if config.dataset.path is None else resolve_dataset(config.dataset.path),
            embedded=generate,
            clip_actions=config.dataset.clip_actions is not None,
        )
    if config.dataset.keep_fraction < 1.0:
        dataset = _keep(dataset, config.dataset.keep_fraction)
    prepared = prepare(
        dataset,
        normalize_states=config.dataset.normalize_states,
        reward_scale=config.dataset.reward_scale,
        reward_bias=config.dataset.reward_bias,
        range_scaling_horizon=task.horizon if config.dataset.reward_range_scaling else None,
        clip_actions=config.dataset.clip_actions,
        columns=registry.build(config, dataset.action_size).columns,
    )
    selection = select(config, dataset, prepared)
    return TaskData(
        task=task,
        dataset=dataset,
        prepared=prepared,
        selection=selection,
        action_scaling=action_scaling,
        physics=_physics(config, task, dataset),
        action_bounds=action_bounds,
        layout=layout,
    )


def _keep(dataset: OfflineDataset, fraction: float) -> OfflineDataset:
    """Drops all but the best trajectories, and says so."""
    kept = keep_top_fraction(dataset, fraction)
    _LOG.info(
        "dataset.keep_fraction=%s: %s of %s transitions are kept, of trajectories with a return of %.1f or more",
        fraction, f"{len(kept):,}", f"{len(dataset):,}", kept.episode_returns().min(),
    )  # fmt: skip
    return kept


def select(config: Any, dataset: OfflineDataset, prepared: PreparedData) -> Selection:
    """Applies the selection rule of a config.

    A published return threshold is valid for D4RL's files only, and a custom one for a custom task. For other data of
    a named task the rule `return` selects the fraction `selection.fraction` of trajectories with the highest returns.

    Args:
        config: a checked config of `configs/`.
        dataset: the raw dataset, N rows.
        prepared: the dataset as prepared for training.

    Returns:
        The selected rows, [N] or, where each seed has its own, [S, N].

    Raises:
        UserError: if the rule is unknown or selects less than `selection.min_fraction`.
    """
    rule = config.selection
    match rule.rule:
        case "none":
            return select_all(dataset)
        case "return" if dataset.source.kind == "d4rl" or config.task == CUSTOM:
            selection = select_by_return(dataset, rule.threshold)
        case "return" | "top_fraction":
            selection = select_top_fraction(dataset, rule.fraction)
        case "success":
            # As in the program. It matters in umaze-diverse, whose recorded episodes have 1001 rows and a horizon of
            # 700: a goal that is reached later makes only the rows after the cut trusted.
            published = dataset.source.kind == "d4rl"
            selection = select_successful(dataset, max_steps=get_task(config.task).horizon if published else None)
        case "advantage":
            selection = select_by_advantage(
                prepared,
                dataset.content_hash,
                seeds=range(config.seed, config.seed + config.num_seeds),
                expectile=rule.expectile,
                num_updates=value_updates(config, dataset),
            )
        case unknown:
            raise UserError(
                f"selection.rule {unknown!r} is unknown: choose none, return, top_fraction, success or advantage"
            )
    if selection.fraction < rule.min_fraction:
        raise UserError(
            f"the selection contains {selection.fraction:.4f} of the data, less than selection.min_fraction="
            f"{rule.min_fraction}: lower the threshold of the rule or min_fraction"
        )
    _warn_of_small(selection, dataset)
    return selection


def _warn_of_small(selection: Selection, dataset: OfflineDataset) -> None:
    """Warns of an empty or tiny selection, which would otherwise change the algorithm silently."""
    if selection.fraction >= _TINY:
        return
    size = "EMPTY" if selection.fraction == 0.0 else f"TINY ({selection.fraction:.4%} of the transitions)"
    limit = "" if selection.threshold is None else f"the threshold is a return of {selection.threshold:.1f}, "
    _LOG.warning(
        "\n%s\nTHE SELECTION IS %s: %sthe best trajectory of the data has %.1f.\nWithout selected rows the "
        "coefficient does not train, the threshold n grows to its end, and a masked regularizer is off:\nthe "
        "algorithm runs unregularized. --config.selection.min_fraction turns this into an error.\n%s",
        "*" * 80, size, limit, dataset.episode_returns().max(), "*" * 80,
    )  # fmt: skip


def value_updates(config: Any, dataset: OfflineDataset) -> int:
    """Number of updates of the value functions for selection by advantage.

    Args:
        config: a checked config of `configs/`.
        dataset: the raw dataset.

    Returns:
        The number in the config; if unset, the published 1,000,000 for D4RL's files and 100,000 for other data.
    """
    return config.selection.num_updates or (1_000_000 if dataset.source.kind == "d4rl" else 100_000)


def _physics(config: Any, task: Task, dataset: OfflineDataset) -> Physics:
    registered = config.task == CUSTOM and task.environment not in AGENTS
    if registered and config.physics == "d4rl-v2":
        if task.environment is None:
            raise UserError(
                "physics=d4rl-v2 has no effect: without environment.id nothing is simulated; leave it out, or set "
                f"environment.id={'|'.join(AGENTS)}"
            )
        raise UserError(
            f"physics=d4rl-v2 is for environment.id={'|'.join(AGENTS)}, not for {environment_name(task.environment)}: "
            "leave it out"
        )
    if config.physics != "auto":
        assert config.physics in get_args(Physics)
        return config.physics
    if registered:
        return "gymnasium"
    from_minari = dataset.source.kind == "minari" and dataset.source.name.startswith("mujoco/")
    return "gymnasium" if from_minari else "d4rl-v2"
