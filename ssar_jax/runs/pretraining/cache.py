"""Pretraining: trains all seeds in one program with a progress line, and caches the result of each seed.

Partial results are cached too, so that a killed run resumes its pretraining.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ssar_jax.algorithms.base import Algorithm
from ssar_jax.data.scaling import PreparedData
from ssar_jax.errors import Interrupted, UserError
from ssar_jax.files import require_writable, user_folder, write_atomically
from ssar_jax.runs.interruption import Interruption, watch_signals
from ssar_jax.runs.pretraining.partial_results import PartialResult
from ssar_jax.runs.progress import Progress
from ssar_jax.training import layout
from ssar_jax.training.trainer import OfflineTrainer

_LOG = logging.getLogger(__name__)

_CHUNK = 1_000
_SAVE_EVERY = 10_000  # updates, a multiple of _CHUNK


def cache_directory() -> Path:
    """Returns the directory in the environment variable SSAR_CACHE_DIR, by default ~/.cache/ssar_jax.

    Raises:
        UserError: if the variable is not set and there is no home folder.
    """
    return user_folder("SSAR_CACHE_DIR", ".cache", "ssar_jax")


def cached_files(
    kind: str,
    suffix: str,
    recipe: dict[str, Any],
    seeds: Sequence[int],
    *,
    train: Callable[[list[int], PartialResult, Interruption], dict[int, Any]],
    save: Callable[[BinaryIO, Any], None],
) -> list[Path]:
    """Returns the cached file of every seed, after training the seeds that have none.

    Args:
        kind: name of the content, such as `advantage`; also the name of the folder.
        suffix: suffix of the file names, with the dot.
        recipe: everything except the seed that determines the content; for JSON.
        seeds: S seeds.
        train: function of the seeds to train, their partial result and the interruption to check; returns the result
            of every seed.
        save: function of a binary stream and a result that writes the result.

    Returns:
        The files, in the order of the seeds.

    Raises:
        Interrupted: if a signal stopped the training; the progress is saved.
        UserError: if the cache is not writable.
    """
    folder = cache_directory() / kind
    files = {seed: folder / f"{_key(recipe | {'seed': seed})}{suffix}" for seed in seeds}
    missing = [seed for seed, file in files.items() if not file.exists()]
    if not missing:
        _LOG.info("%s of all seeds: in the cache", kind)
        return list(files.values())
    require_writable(folder, "set SSAR_CACHE_DIR to another folder")
    with watch_signals() as interruption:
        for group in layout.groups(len(missing), layout.choose_layout(len(missing))):
            partial_result = PartialResult(folder / "unfinished" / f"{_key(recipe | {'seeds': missing[group]})}.npz")
            for seed, result in train(missing[group], partial_result, interruption).items():
                write_atomically(files[seed], lambda stream, result=result: save(stream, result))
            partial_result.remove()
            _stop_if_asked(interruption, f"{kind} of seeds {missing[group]} is in the cache")
    return list(files.values())


def train(
    algorithm: Algorithm,
    data: PreparedData,
    seeds: Sequence[int],
    *,
    batch_size: int,
    num_updates: int,
    partial_result: PartialResult,
    interruption: Interruption,
    title: str,
    loss: str,
    remedy: str,
) -> Any:
    """Trains an algorithm from its partial result to the end.

    Args:
        algorithm: the algorithm; needs no policy.
        data: the prepared dataset.
        seeds: S seeds.
        batch_size: minibatch size B.
        num_updates: number of updates.
        partial_result: the partial result to resume from and to save to.
        interruption: whether to stop, checked between chunks.
        title: first words of the first line printed.
        loss: name of the metric to show, `group/name`.
        remedy: hint for the user if the training diverges.

    Returns:
        The states of all seeds, leaves [S, ...].

    Raises:
        Interrupted: if a signal stopped the training; the progress is saved.
        UserError: if a seed diverges; the partial result is deleted.
    """
    trainer = OfflineTrainer(algorithm, data, seeds=[_pretraining_seed(seed) for seed in seeds], batch_size=batch_size)
    partial_result.restore(trainer)
    progress = Progress(num_updates, len(seeds))
    label = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {list(seeds)}"
    progress.line(f"{title}, {label}" + (f", resuming at update {trainer.step:,}" if trainer.step else ""))
    while trainer.step < num_updates:
        if interruption.signal_number is not None:
            progress.close()
            partial_result.save(trainer)
            _stop_if_asked(interruption, f"stopped at update {trainer.step:,} of {num_updates:,}, which is saved")
        start, updates = time.monotonic(), min(_CHUNK, num_updates - trainer.step)
        metrics = trainer.advance(updates)
        diverged = [seed for seed, value in zip(seeds, metrics[loss], strict=True) if not np.isfinite(value)]
        if diverged:
            progress.close()
            partial_result.remove()
            raise UserError(f"{title}: {loss} of seeds {diverged} is not finite at update {trainer.step:,}; {remedy}")
        progress.score = f", {loss.replace('/', ' ')} {metrics[loss].mean():.4f}"
        progress.show(trainer.step, time.monotonic() - start, updates)
        if trainer.step % _SAVE_EVERY == 0 and trainer.step < num_updates:
            partial_result.save(trainer)
    progress.close()
    return trainer.states()


def _stop_if_asked(interruption: Interruption, status: str) -> None:
    if interruption.signal_number is not None:
        raise Interrupted(f"{status}; rerun the command to continue", interruption.exit_status)


def describe(data: PreparedData, dataset_hash: str) -> dict[str, Any]:
    """Returns hashes that identify the prepared observations and actions, for a recipe.

    Args:
        data: the dataset as prepared for the algorithm.
        dataset_hash: hash of the raw dataset, `OfflineDataset.content_hash`.
    """
    scaling, actions = data.observation_scaling, np.ascontiguousarray(data.transitions.actions)
    return {
        "dataset": dataset_hash,
        "observations": hashlib.sha256(scaling.mean.tobytes() + scaling.std.tobytes()).hexdigest(),
        "actions": hashlib.sha256(actions.tobytes()).hexdigest(),
    }


def _pretraining_seed(seed: int) -> int:
    """Returns another seed, so that pretraining and training with the same seed draw different minibatches."""
    return int(np.random.SeedSequence((seed, 1)).generate_state(1)[0] >> 1)  # a positive int32


def _key(recipe: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
