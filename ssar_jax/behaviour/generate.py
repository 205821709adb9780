"""Generates the embedded datasets with the behavior policies."""

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import pairwise
from multiprocessing.sharedctypes import Synchronized
from typing import Any, NamedTuple

import numpy as np

from ssar_jax.behaviour.recipes import Segment, recipe_hash, segments
from ssar_jax.behaviour.stages import stage_of
from ssar_jax.data.dataset import OfflineDataset
from ssar_jax.data.memory import Header, require_memory
from ssar_jax.data.sources.embedded import SUITE, embedded_description, embedded_id
from ssar_jax.data.sources.minari import has_minari, read_minari, read_minari_metadata
from ssar_jax.data.sources.minari_writing import delete_minari, write_minari
from ssar_jax.data.tasks import Task
from ssar_jax.envs.rollout import Episode, collect
from ssar_jax.errors import UnreadableError, UserError

_LOG = logging.getLogger(__name__)

SEED = 0
"""Seed of every embedded dataset: a task has one dataset of each size."""

_NUM_PIECES = 4
"""Pieces of a segment, or of a replay, that run in parallel; fixed, so that the data do not depend on the number of
cores."""

_NUM_ENVS = 8
"""Environments that are stepped together in a piece of one segment."""

_REPORT_SECONDS = 5.0
_STOP = -1  # value of the counter that stops all workers
_counter: Any = None  # set in worker processes: the number of transitions of all workers


class _Piece(NamedTuple):
    """A part of a dataset that one process generates.

    Attributes:
        task: The task.
        segments: Policies with their numbers of transitions, one after the other.
        num_envs: Number of environments that are stepped together.
        entropy: Seed of the piece's random generator: seed of the dataset and numbers that identify the piece.
    """

    task: Task
    segments: tuple[Segment, ...]
    num_envs: int
    entropy: tuple[int, ...]


def load_or_generate(task: Task, num_steps: int, seed: int = SEED) -> OfflineDataset:
    """Read a task's embedded dataset; generate it first if it is missing or from another recipe.

    Args:
        task: One of the 18 tasks.
        num_steps: Number of transitions; part of the dataset's id.
        seed: Seed of the generation.

    Returns:
        The dataset.

    Raises:
        UserError: The task has no recipe, the dataset is larger than the memory, or it cannot be written.
    """
    float32 = np.dtype(np.float32)
    sizes = {"observations": (num_steps, task.observation_size), "actions": (num_steps, task.action_size)}
    headers = {key: Header(shape, float32) for key, shape in (sizes | {"rewards": (num_steps,)}).items()}
    require_memory(headers, f"embedded {embedded_id(task, num_steps)}")
    dataset_id, wanted = embedded_id(task, num_steps), recipe_hash(task, num_steps, seed)
    if has_minari(dataset_id):
        try:
            metadata = read_minari_metadata(dataset_id)
            if metadata.get("recipe") == wanted:
                return read_minari(dataset_id)
            suite = metadata.get("suite", 1)
            reason = (
                "another recipe (policies or package versions)" if suite == SUITE else f"suite {suite}, now {SUITE}"
            )
            _LOG.warning("%s is from %s: generating it again", dataset_id, reason)
        except UnreadableError:  # the dataset may be intact
            raise
        except UserError as error:
            _LOG.warning("%s; generating it again", error)
        delete_minari(dataset_id)
    generate(task, num_steps, seed)
    return read_minari(dataset_id)


def generate(task: Task, num_steps: int, seed: int = SEED) -> str:
    """Generate and write a task's embedded dataset.

    Args:
        task: One of the 18 tasks.
        num_steps: Number of transitions.
        seed: Seed of the generation.

    Returns:
        The Minari id.

    Raises:
        UserError: The dataset exists already or cannot be written, or a worker process dies.
    """
    dataset_id = embedded_id(task, num_steps)
    _LOG.info("generating %s: %s transitions", dataset_id, f"{num_steps:,}")
    write_minari(
        dataset_id,
        play(task, num_steps, seed),
        description=embedded_description(task, num_steps),
        metadata={
            "suite": SUITE,
            "recipe": recipe_hash(task, num_steps, seed),
            "physics": "d4rl-v2",
            "seed": seed,
            "ref_min_score": task.reference_min,
            "ref_max_score": task.reference_max,
        },
    )
    return dataset_id


def play(task: Task, num_steps: int, seed: int = SEED) -> Iterator[Episode]:
    """Generate the episodes of a dataset on all cores, in the recipe's order.

    Work starts when the first episode is requested, so that no time is lost if the dataset's id is taken.

    Args:
        task: One of the 18 tasks.
        num_steps: Number of transitions.
        seed: Seed of the generation.

    Yields:
        The episodes.

    Raises:
        UserError: A worker process dies.
    """
    pieces = list(_pieces(task, segments(task, num_steps), seed))
    context = multiprocessing.get_context("spawn")  # JAX may be running in this process and does not survive a fork
    counter = context.Value("q", 0)
    workers = min(os.cpu_count() or 1, len(pieces))
    with ProcessPoolExecutor(workers, context, _set_counter, (counter,)) as pool:
        try:
            futures = [pool.submit(_play_piece, piece) for piece in pieces]
            _report(futures, counter, num_steps)
            played = [future.result() for future in futures]
        except BrokenProcessPool as error:
            raise UserError(
                f"a worker that generates {task.name} died; unless it printed an error, memory probably ran out: run "
                "fewer programs at a time, or choose a smaller dataset with --num_steps or "
                "--config.dataset.embedded.num_steps"
            ) from error
        except BaseException:
            with counter.get_lock():
                counter.value = _STOP
            pool.shutdown(cancel_futures=True)
            raise
    for episodes in played:
        yield from episodes


def _pieces(task: Task, parts: list[Segment], seed: int) -> Iterator[_Piece]:
    """Yield the pieces of a dataset in order.

    A replay is played like a training, whose episodes go on when the policy changes: each of its pieces is one
    environment with a quarter of the policies in turn. Elsewhere every segment is cut into pieces.
    """
    if task.tier == "medium-replay":
        bounds = [round(i * len(parts) / _NUM_PIECES) for i in range(_NUM_PIECES + 1)]
        for p, (start, stop) in enumerate(pairwise(bounds)):
            played = tuple(part for part in parts[start:stop] if part.num_steps)
            if played:
                yield _Piece(task, played, 1, (seed, p))
        return
    for s, (policy, num_steps) in enumerate(parts):
        bounds = [round(i * num_steps / _NUM_PIECES) for i in range(_NUM_PIECES + 1)]
        for p, (start, stop) in enumerate(pairwise(bounds)):
            if stop > start:
                yield _Piece(task, (Segment(policy, stop - start),), _NUM_ENVS, (seed, s, p))


def _set_counter(counter: "Synchronized[int]") -> None:
    global _counter
    _counter = counter
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C also reaches the parent, which stops the workers
    parent = multiprocessing.parent_process()
    assert parent is not None
    # A worker waits for work forever, so it must end itself if its parent is killed.
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def _play_piece(piece: _Piece) -> list[Episode]:
    """Return the episodes of one piece; runs in a worker process."""
    rng = np.random.default_rng(piece.entropy)
    stage = stage_of(piece.task)
    remaining = list(piece.segments)

    def act(observations: np.ndarray) -> np.ndarray:
        policy, left = remaining[0]
        remaining[0] = Segment(policy, left - len(observations))
        if remaining[0].num_steps <= 0:
            del remaining[0]
        if policy is None:
            return rng.uniform(-1.0, 1.0, (len(observations), piece.task.action_size)).astype(np.float32)
        return stage.act(policy, rng, observations)

    num_steps = sum(part.num_steps for part in piece.segments)
    episodes = collect(stage.make_env, act, num_steps=num_steps, num_envs=piece.num_envs, rng=rng, on_step=_count)
    return [stage.finish(episode) for episode in episodes]


def _count(steps: int) -> None:
    with _counter.get_lock():
        if _counter.value == _STOP:
            raise InterruptedError
        _counter.value += steps


def _report(futures: list[Future], counter: "Synchronized[int]", num_steps: int) -> None:
    """Log progress until all pieces are complete or one has failed."""
    start = last = time.monotonic()
    while not all(future.done() for future in futures):
        if any(future.done() and future.exception() for future in futures):
            return
        time.sleep(0.2)
        if time.monotonic() - last >= _REPORT_SECONDS:
            last, done = time.monotonic(), counter.value
            rate = done / (last - start)
            _LOG.info(
                "%s of %s transitions (%d %%), %s per second, %.0f s left",
                f"{done:,}", f"{num_steps:,}", 100 * done // num_steps, f"{rate:,.0f}",
                (num_steps - done) / max(rate, 1.0),
            )  # fmt: skip
