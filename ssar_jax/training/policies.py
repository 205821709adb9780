"""Policies of finished runs."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np

from ssar_jax.algorithms import registry
from ssar_jax.errors import UserError
from ssar_jax.training.checkpoint import Checkpoints
from ssar_jax.training.loop import abstract_states
from ssar_jax.training.run_folder import read_json
from ssar_jax.training.task_data import load_preparation
from ssar_jax.training.trainer import Policy, make_policy


def load_policy(run: str | Path, seed: int | None = None) -> Policy:
    """Loads the deterministic policy of a run's latest checkpoint.

    Args:
        run: the run folder.
        seed: which seed; None takes the first.

    Returns:
        A function from raw observations [..., O] to the environment's actions [..., A].

    Raises:
        UserError: where the folder is no run, has no checkpoint, or did not train the seed.
    """
    folder = Path(run)
    config = _as_namespace(read_json(folder / "config.json"))
    seeds = range(config.seed, config.seed + config.num_seeds)
    if seed is not None and seed not in seeds:
        raise UserError(f"{folder} did not train seed {seed}: choose one of {', '.join(map(str, seeds))}")
    scaling, action_scaling, action_size = load_preparation(folder / "preparation.npz")
    algorithm = registry.build(config, action_size)
    if not (folder / "checkpoints").is_dir():
        raise UserError(f"{folder} has no checkpoint yet")
    checkpoints = Checkpoints(folder / "checkpoints", keep=None)
    step = checkpoints.latest_step
    if step is None:
        raise UserError(f"{folder} has no checkpoint yet")
    states = checkpoints.restore(step, abstract_states(algorithm, len(seeds), len(scaling.mean), action_size))
    checkpoints.close()
    index = 0 if seed is None else seeds.index(seed)
    params = jax.tree.map(lambda leaf: np.asarray(leaf)[index], algorithm.policy(states))
    return make_policy(algorithm, params, scaling, action_scaling)


def _as_namespace(tree: Any) -> Any:
    """Nested dictionaries as attributes, as the builders read them."""
    return SimpleNamespace(**{k: _as_namespace(v) for k, v in tree.items()}) if isinstance(tree, dict) else tree
