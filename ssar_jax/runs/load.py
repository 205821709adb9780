"""Loads policies from the checkpoints of finished and unfinished runs."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import numpy as np

from ssar_jax.algorithms import registry
from ssar_jax.algorithms.base import Algorithm
from ssar_jax.data.actions import ActionScaling
from ssar_jax.data.scaling import ObservationScaling
from ssar_jax.data.tasks import CUSTOM, NO_ENVIRONMENT, Task, custom_task, get_task
from ssar_jax.envs.actions import ActionBounds
from ssar_jax.errors import UserError
from ssar_jax.files import one_line, resolve_path
from ssar_jax.observations import Layout
from ssar_jax.run_format import read_json, require_imported
from ssar_jax.runs.data import load_action_bounds, load_environment, load_layout, load_preparation
from ssar_jax.runs.storage.checkpoints import Checkpoints
from ssar_jax.runs.storage.versions import note_differences
from ssar_jax.training.loop import abstract_states
from ssar_jax.training.trainer import Policy, make_policy

_LOG = logging.getLogger(__name__)


class StoredPolicies(NamedTuple):
    """The policies of one checkpoint, with everything needed to evaluate them.

    Attributes:
        config: the run's config; fields are attributes.
        task: the run's task.
        step: number of updates offline, of environment steps online.
        seeds: S seeds.
        algorithm: the algorithm, whose `act` takes the parameters.
        params: policy parameters, leaves [S, ...], on the host.
        observation_scaling: scaling of the observations.
        action_scaling: maps actions from [-1, 1] to the environment's range; None if the ranges are the same.
        action_bounds: type and bounds of the actions of a custom environment; None otherwise.
    """

    config: Any
    task: Task
    step: int
    seeds: tuple[int, ...]
    algorithm: Algorithm
    params: Any
    observation_scaling: ObservationScaling
    action_scaling: ActionScaling | None
    action_bounds: ActionBounds | None = None


def load_policies(run: str | Path, *, step: int | None = None, seed: int | None = None) -> StoredPolicies:
    """Loads the policies of a run's checkpoint.

    Args:
        run: the run folder.
        step: step of the checkpoint; None takes the latest.
        seed: the seed to load; None loads all seeds of the run.

    Returns:
        The policies.

    Raises:
        UserError: if the folder is not a run, has no such checkpoint or seed, or its config lacks a field.
    """
    folder = Path(run)
    note_differences(folder)
    try:
        return _load(folder, step, seed)
    except _MissingFieldError as field:
        raise UserError(
            f"{folder / 'config.json'} lacks the field {field}: use the version of ssar_jax in versions.json, "
            "or add the field"
        ) from field


def _load(folder: Path, step: int | None, seed: int | None) -> StoredPolicies:
    stored = read_json(folder / "config.json")
    require_imported(stored, folder / "config.json")
    config = _as_namespace(stored)
    with _damage_named(folder / "config.json"):
        seeds = range(config.seed, config.seed + config.num_seeds)
    if seed is not None and seed not in seeds:
        raise UserError(f"{folder} did not train seed {seed}: choose one of {', '.join(map(str, seeds))}")
    scaling, action_scaling, action_size = load_preparation(folder / "preparation.npz")
    with _damage_named(folder / "config.json"):
        algorithm = registry.build(config, action_size)
        like = abstract_states(algorithm, len(seeds), len(scaling.mean), action_size)
    step, states = _restore(folder, step, like)
    chosen = slice(None) if seed is None else slice(seeds.index(seed), seeds.index(seed) + 1)
    _warn_of_stopped(folder, step, seeds[chosen])
    return StoredPolicies(
        config=config,
        task=_task(config, folder, len(scaling.mean), action_size),
        step=step,
        seeds=tuple(seeds[chosen]),
        algorithm=algorithm,
        params=jax.tree.map(lambda leaf: np.asarray(leaf)[chosen], algorithm.policy_params(states)),
        observation_scaling=scaling,
        action_scaling=action_scaling,
        action_bounds=load_action_bounds(folder / "preparation.npz"),
    )


@contextmanager
def _damage_named(config: Path) -> Iterator[None]:
    """Turns the errors that values of wrong types in a stored config lead to into one that names the file."""
    try:
        yield
    except (UserError, _MissingFieldError):
        raise
    except (TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{config} has a value that no run was trained with ({one_line(error)}): restore it") from error


def _warn_of_stopped(folder: Path, step: int, seeds: Sequence[int]) -> None:
    """Warns of policies that are older than their checkpoint, because their seeds diverged and were reset."""
    stopped = read_json(folder / "stopped.json") if (folder / "stopped.json").exists() else {}
    for seed in seeds:
        stop = stopped.get(str(seed))
        if stop is not None and stop["step"] <= step:
            source = "the initial one" if stop["checkpoint"] is None else f"that of checkpoint {stop['checkpoint']:,}"
            _LOG.warning("seed %d diverged by step %s: its policy is %s", seed, f"{stop['step']:,}", source)


def load_policy(run: str | Path, seed: int | None = None) -> Policy:
    """Loads the deterministic policy of a run's latest checkpoint.

    Args:
        run: the run folder.
        seed: the seed; None takes the first.

    Returns:
        A function from raw observations [..., O] to actions [..., A] of the environment's type, inside its bounds. If
        the data had dictionary observations, it also takes those, nested dictionaries of arrays with the same leading
        axes.

    Raises:
        UserError: if the folder is not a run, has no checkpoint, or did not train the seed.
    """
    run = resolve_path(run)
    stored, layout = load_policies(run, seed=seed), load_layout(run / "preparation.npz")
    params = jax.tree.map(lambda leaf: leaf[0], stored.params)
    scalings = stored.observation_scaling, stored.action_scaling
    policy = make_policy(stored.algorithm, params, *scalings, action_bounds=stored.action_bounds)
    return policy if layout is None else _taking_dictionaries(policy, layout)


def _taking_dictionaries(policy: Policy, layout: Layout) -> Policy:
    def flatten_and_act(observations: Any) -> np.ndarray:
        return policy(layout.concatenate(observations) if isinstance(observations, Mapping) else observations)

    return flatten_and_act


def _restore(folder: Path, step: int | None, like: Any) -> tuple[int, Any]:
    """Returns a step, by default the latest, and the states of all seeds in its checkpoint."""
    if not (folder / "checkpoints").is_dir():
        raise UserError(f"{folder} has no checkpoint yet")
    checkpoints = Checkpoints(folder / "checkpoints", keep=None)
    try:
        steps = checkpoints.steps
        if not steps:
            raise UserError(f"{folder} has no checkpoint yet")
        if step is not None and step not in steps:
            raise UserError(f"{folder} has no checkpoint {step}: choose one of {', '.join(map(str, steps))}")
        step = steps[-1] if step is None else step
        return step, checkpoints.restore(step, like)
    finally:
        checkpoints.close()


def _task(config: Any, folder: Path, observation_size: int, action_size: int) -> Task:
    if config.task == CUSTOM:
        environment = load_environment(folder / "preparation.npz") or config.environment.id
        if environment == NO_ENVIRONMENT:
            environment = None
        return custom_task(observation_size, action_size, environment_id=environment)
    return get_task(config.task)


class _Fields(SimpleNamespace):
    """Nested dictionaries as attributes."""

    def __getattr__(self, name: str) -> Any:
        raise _MissingFieldError(name)


class _MissingFieldError(AttributeError):
    """A stored config lacks a field."""


def _as_namespace(tree: Any) -> Any:
    return _Fields(**{k: _as_namespace(v) for k, v in tree.items()}) if isinstance(tree, dict) else tree
