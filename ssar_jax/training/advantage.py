"""Selection by advantage: trains IQL's value functions and marks the rows with Q(s, a) >= V(s).

Every seed trains its own. The masks are cached under a key of everything that went in.
"""

import hashlib
import json
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from ssar_jax.algorithms.iql_values import ValueLearner, as_algorithm, make_value_learner
from ssar_jax.data.files import write_atomically
from ssar_jax.data.normalisation import PreparedData
from ssar_jax.data.selection import Selection
from ssar_jax.training.progress import Progress
from ssar_jax.training.trainer import OfflineTrainer

_LOG = logging.getLogger(__name__)

BATCH_SIZE = 256
_VERSION = 1
_CHUNK = 1_000
_ROWS_PER_CALL = 16_384


def cache_directory() -> Path:
    """The environment variable SSAR_CACHE_DIR, else ~/.cache/ssar_jax."""
    return Path(os.environ.get("SSAR_CACHE_DIR") or Path.home() / ".cache" / "ssar_jax")


def select_by_advantage(
    data: PreparedData, dataset_hash: str, *, seeds: Sequence[int], expectile: float, num_updates: int
) -> Selection:
    """Trains the value functions of all seeds in one program, or takes their masks from the cache.

    Args:
        data: the dataset as the algorithm will see it, actions clipped where it clips.
        dataset_hash: hash of the raw dataset.
        seeds: S seeds.
        expectile: of the value loss.
        num_updates: updates of the value functions.

    Returns:
        A selection with `trusted` [S, N].
    """
    files = [
        cache_directory() / "advantage" / f"{_key(data, dataset_hash, seed, expectile, num_updates)}.npy"
        for seed in seeds
    ]
    missing = [seed for seed, file in zip(seeds, files, strict=True) if not file.exists()]
    if missing:
        masks = _train(data, missing, expectile, num_updates)
        for seed, file in zip(seeds, files, strict=True):
            if seed in masks:
                write_atomically(file, lambda stream, mask=masks[seed]: np.save(stream, np.packbits(mask)))
    else:
        _LOG.info("advantages of all seeds are in the cache")
    rows = len(data.transitions.rewards)
    return Selection(np.stack([np.unpackbits(np.load(file), count=rows) for file in files]).astype(np.float32))


def _train(data: PreparedData, seeds: list[int], expectile: float, num_updates: int) -> dict[int, np.ndarray]:
    """Trains the value functions and returns the mask [N] of every seed."""
    learner = make_value_learner(expectile=expectile)
    trainer = OfflineTrainer(as_algorithm(learner), data, seeds=seeds, batch_size=BATCH_SIZE)
    progress = Progress(0, num_updates, len(seeds))
    progress.line(f"selecting by advantage: {num_updates:,} updates of IQL's value functions")
    while trainer.step < num_updates:
        start, updates = time.monotonic(), min(_CHUNK, num_updates - trainer.step)
        losses = trainer.advance(updates)
        progress.score = f", value loss {losses['value/loss'].mean():.4f}"
        progress.show(trainer.step, time.monotonic() - start, updates)
    progress.close()
    states = trainer.states()
    return {seed: _mask(learner, jax.tree.map(lambda leaf, s=s: leaf[s], states), data) for s, seed in enumerate(seeds)}


def _mask(learner: ValueLearner, state: object, data: PreparedData) -> np.ndarray:
    """Whether Q(s, a) >= V(s), with the online critics, for every row [N]; ties are kept."""
    transitions, state = data.transitions, jax.device_put(state)
    advantages = jax.jit(learner.advantages)
    parts = []
    for start in range(0, len(transitions.rewards), _ROWS_PER_CALL):
        rows = slice(start, start + _ROWS_PER_CALL)
        values = advantages(state, jnp.asarray(transitions.observations[rows]), jnp.asarray(transitions.actions[rows]))
        parts.append(np.asarray(values) >= 0.0)
    return np.concatenate(parts)


def _key(data: PreparedData, dataset_hash: str, seed: int, expectile: float, num_updates: int) -> str:
    """A hash of everything that decides a mask."""
    scaling, rewards = data.observation_scaling, data.reward_map
    actions = np.ascontiguousarray(data.transitions.actions)
    recipe = {
        "version": _VERSION,
        "dataset": dataset_hash,
        "observations": hashlib.sha256(scaling.mean.tobytes() + scaling.std.tobytes()).hexdigest(),
        "actions": hashlib.sha256(actions.tobytes()).hexdigest(),
        "rewards": [float(rewards.scale), float(rewards.bias)],
        "seed": seed,
        "expectile": expectile,
        "num_updates": num_updates,
    }
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
