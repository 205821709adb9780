"""What a run trains first: all seeds in one program with a progress line of its own, cached for each seed.

On its way it is kept in the cache too, so that a run that is killed goes on where it was.
"""

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ssar_jax.algorithms.base import Algorithm
from ssar_jax.data.files import require_writable, write_atomically
from ssar_jax.data.scaling import PreparedData
from ssar_jax.errors import Interrupted, UserError
from ssar_jax.runs.interruption import Interruption, watch_signals
from ssar_jax.runs.pretraining.partial_results import Unfinished
from ssar_jax.runs.progress import Progress
from ssar_jax.training import loop
from ssar_jax.training.trainer import OfflineTrainer

_LOG = logging.getLogger(__name__)

_CHUNK = 1_000
_KEEP_EVERY = 10_000  # updates, a multiple of the chunk


def cache_directory() -> Path:
    """The environment variable SSAR_CACHE_DIR, else ~/.cache/ssar_jax."""
    return Path(os.environ.get("SSAR_CACHE_DIR") or Path.home() / ".cache" / "ssar_jax")


def cached_files(
    kind: str,
    suffix: str,
    recipe: dict[str, Any],
    seeds: Sequence[int],
    *,
    train: Callable[[list[int], Unfinished, Interruption], dict[int, Any]],
    save: Callable[[BinaryIO, Any], None],
) -> list[Path]:
    """The cached file of every seed, after training the seeds that have none.

    Args:
        kind: what the files hold, and the name of their folder.
        suffix: of their names, with the dot.
        recipe: everything that decides the contents besides the seed; JSON.
        seeds: S seeds.
        train: seeds, where to keep them on the way, and whether to stop, to the result of each.
        save: writes one result.

    Raises:
        Interrupted: where a signal asked to stop; what is trained so far is kept.
        UserError: where the cache cannot be written to.
    """
    folder = cache_directory() / kind
    files = {seed: folder / f"{_key(recipe | {'seed': seed})}{suffix}" for seed in seeds}
    missing = [seed for seed, file in files.items() if not file.exists()]
    if not missing:
        _LOG.info("%s of all seeds: in the cache", kind)
        return list(files.values())
    require_writable(folder, "set SSAR_CACHE_DIR to another folder")
    with watch_signals() as interruption:
        for group in loop.groups(len(missing), loop.choose_layout(len(missing))):  # each is kept as soon as it is there
            unfinished = Unfinished(folder / "unfinished" / f"{_key(recipe | {'seeds': missing[group]})}.npz")
            for seed, result in train(missing[group], unfinished, interruption).items():
                write_atomically(files[seed], lambda stream, result=result: save(stream, result))
            unfinished.remove()
            _stop_if_asked(interruption, f"{kind} of seeds {missing[group]} is in the cache")
    return list(files.values())


def train(
    algorithm: Algorithm,
    data: PreparedData,
    seeds: Sequence[int],
    *,
    batch_size: int,
    num_updates: int,
    unfinished: Unfinished,
    interruption: Interruption,
    title: str,
    loss: str,
    remedy: str,
) -> Any:
    """Trains an algorithm without a policy and returns the states of all seeds, leaves [S, ...].

    Args:
        algorithm: what to train.
        data: the prepared dataset.
        seeds: S seeds.
        batch_size: B.
        num_updates: number of updates.
        unfinished: where it is kept on the way, and taken from.
        interruption: whether to stop, asked between chunks.
        title: the first line printed.
        loss: the metric to show, `group/name`.
        remedy: the way out where it diverges.

    Raises:
        Interrupted: where a signal asked to stop; it is kept.
        UserError: where it diverges; what it led to is of no use to anybody.
    """
    trainer = OfflineTrainer(algorithm, data, seeds=[_own_seed(seed) for seed in seeds], batch_size=batch_size)
    unfinished.restore(trainer)
    progress = Progress(num_updates, len(seeds))
    whose = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {list(seeds)}"
    progress.line(f"{title}, {whose}" + (f", going on at {trainer.step:,}" if trainer.step else ""))
    while trainer.step < num_updates:
        if interruption.signal_number is not None:
            progress.close()
            unfinished.keep(trainer)
            _stop_if_asked(interruption, f"stopped at update {trainer.step:,} of {num_updates:,}, which is kept")
        start, updates = time.monotonic(), min(_CHUNK, num_updates - trainer.step)
        metrics = trainer.advance(updates)
        diverged = [seed for seed, value in zip(seeds, metrics[loss], strict=True) if not np.isfinite(value)]
        if diverged:
            progress.close()
            unfinished.remove()
            raise UserError(f"{title}: {loss} of seeds {diverged} is no number by update {trainer.step:,}; {remedy}")
        progress.score = f", {loss.replace('/', ' ')} {metrics[loss].mean():.4f}"
        progress.show(trainer.step, time.monotonic() - start, updates)
        if trainer.step % _KEEP_EVERY == 0 and trainer.step < num_updates:
            unfinished.keep(trainer)
    progress.close()
    return trainer.states()


def _stop_if_asked(interruption: Interruption, kept: str) -> None:
    if interruption.signal_number is not None:
        raise Interrupted(f"{kept}; to go on, repeat the command", interruption.exit_status)


def describe(data: PreparedData, dataset_hash: str) -> dict[str, Any]:
    """What identifies the prepared observations and actions, for a recipe.

    Args:
        data: the dataset as the algorithm will see it.
        dataset_hash: hash of the raw dataset.
    """
    scaling, actions = data.observation_scaling, np.ascontiguousarray(data.transitions.actions)
    return {
        "dataset": dataset_hash,
        "observations": hashlib.sha256(scaling.mean.tobytes() + scaling.std.tobytes()).hexdigest(),
        "actions": hashlib.sha256(actions.tobytes()).hexdigest(),
    }


def _own_seed(seed: int) -> int:
    """Sets the minibatches of what is trained first apart from those of the run that follows with the same seed."""
    return int(np.random.SeedSequence((seed, 1)).generate_state(1)[0] >> 1)  # a positive int32


def _key(recipe: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
