"""Selection by advantage: trains IQL's value functions and selects the rows with Q(s, a) >= V(s).

They are trained for every seed, and the masks are cached under a key of everything that determines them.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ssar_jax.algorithms.iql_values import (
    ValueNetworks,
    ValueState,
    advantages_of,
    make_value_networks,
    value_algorithm,
)
from ssar_jax.data.scaling import PreparedData
from ssar_jax.data.selection import Selection
from ssar_jax.errors import UserError, unreadable
from ssar_jax.files import one_line
from ssar_jax.runs.interruption import Interruption
from ssar_jax.runs.pretraining import cache
from ssar_jax.runs.pretraining.partial_results import PartialResult

BATCH_SIZE = 256
_VERSION = 2
_ROWS_PER_CALL = 16_384


def select_by_advantage(
    data: PreparedData, dataset_hash: str, *, seeds: Sequence[int], expectile: float, num_updates: int
) -> Selection:
    """Trains the value functions of all seeds in one program, or reads their masks from the cache.

    Args:
        data: the dataset as prepared for the algorithm, N rows.
        dataset_hash: hash of the raw dataset, `OfflineDataset.content_hash`.
        seeds: S seeds.
        expectile: expectile of the value loss, in (0, 1).
        num_updates: number of updates of the value functions.

    Returns:
        A selection with `trusted` [S, N].

    Raises:
        Interrupted: if a signal stopped the training; the progress is saved.
        UserError: if the value functions diverge, or the cache is damaged or not writable.
    """
    files = cache.cached_files(
        "advantage",
        ".npy",
        _recipe(data, dataset_hash, expectile, num_updates),
        seeds,
        train=lambda *group: _train(data, *group, expectile=expectile, num_updates=num_updates),
        save=lambda stream, mask: np.save(stream, np.packbits(mask)),
    )
    rows = len(data.transitions.rewards)
    return Selection(np.stack([_read(file, rows) for file in files]).astype(np.float32))


def _read(file: Path, rows: int) -> np.ndarray:
    try:
        return np.unpackbits(np.load(file, allow_pickle=False), count=rows)
    except (OSError, EOFError, ValueError) as error:
        damaged = UserError(f"{file}: truncated or damaged ({one_line(error)}); delete it to train again")
        raise unreadable(file, error) or damaged from error


def _train(
    data: PreparedData,
    seeds: list[int],
    partial_result: PartialResult,
    interruption: Interruption,
    *,
    expectile: float,
    num_updates: int,
) -> dict[int, np.ndarray]:
    """Trains the value functions and returns the masks [N] by seed."""
    networks = make_value_networks()
    states = cache.train(
        value_algorithm(networks, expectile=expectile),
        data,
        seeds,
        batch_size=BATCH_SIZE,
        num_updates=num_updates,
        partial_result=partial_result,
        interruption=interruption,
        title=f"selecting by advantage: {num_updates:,} updates of IQL's value functions",
        loss="value/loss",
        remedy="check the dataset for huge values, or choose another --config.selection.rule",
    )
    return {
        seed: _mask(networks, jax.tree.map(lambda leaf, s=s: leaf[s], states), data) for s, seed in enumerate(seeds)
    }


def _mask(networks: ValueNetworks, state: ValueState, data: PreparedData) -> np.ndarray:
    """Whether Q(s, a) >= V(s) for every row, [N], with the critics (not their targets)."""
    transitions, state = data.transitions, jax.device_put(state)
    advantages = jax.jit(partial(advantages_of, networks))
    parts = []
    for start in range(0, len(transitions.rewards), _ROWS_PER_CALL):
        rows = slice(start, start + _ROWS_PER_CALL)
        values = advantages(state, jnp.asarray(transitions.observations[rows]), jnp.asarray(transitions.actions[rows]))
        parts.append(np.asarray(values) >= 0.0)
    return np.concatenate(parts)


def _recipe(data: PreparedData, dataset_hash: str, expectile: float, num_updates: int) -> dict[str, Any]:
    """Returns everything except the seed that determines a mask."""
    rewards = data.reward_map
    return cache.describe(data, dataset_hash) | {
        "version": _VERSION,
        "rewards": [float(rewards.scale), float(rewards.bias)],
        "expectile": expectile,
        "num_updates": num_updates,
    }
