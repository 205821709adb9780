"""Minari datasets, written whole or not at all."""

import itertools
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ssar_jax.data.files import one_line
from ssar_jax.data.minari import has_minari, is_minari_id, minari_directory
from ssar_jax.errors import UserError


class Episode(NamedTuple):
    """One recorded episode of T steps.

    Attributes:
        observations: From the reset to the last state, [T+1, O].
        actions: [T, A] in [-1, 1].
        rewards: [T].
        terminations: Whether the step ended the episode by its own rules, [T] bool.
        truncations: Whether the time limit ended it, [T] bool.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    terminations: np.ndarray
    truncations: np.ndarray


def write_minari(
    dataset_id: str,
    episodes: Iterable[Episode],
    *,
    description: str,
    metadata: Mapping[str, Any] | None = None,
) -> Path:
    """Write a Minari dataset in HDF5 storage.

    It grows in a hidden folder beside its final place and is renamed when complete: a crash or a full disk
    leaves no broken dataset behind, and of two processes that write the same one, the first to finish wins.

    Args:
        dataset_id: Id of a dataset that does not exist yet.
        episodes: Consumed one by one, so that it may generate them.
        description: Text for the metadata.
        metadata: Further entries that JSON can hold, such as a recipe hash or reference scores.

    Returns:
        The dataset's folder.

    Raises:
        UserError: The id is malformed or taken, there are no episodes, or the folder cannot be written to.
    """
    if not is_minari_id(dataset_id):
        raise UserError(f"{dataset_id!r} is no Minari id; ids look like namespace/name-v0")
    final = minari_directory() / dataset_id
    if final.exists():
        raise UserError(f"{final}: exists already; delete the folder to make the dataset again")
    partial = final.with_name(f".{final.name}.{uuid.uuid4().hex}")
    stream = _Stream(episodes)
    try:
        partial.mkdir(parents=True)
        _write_episodes(
            partial / "data", dataset_id, stream, {"description": description, **(metadata or {})}
        )
        try:
            partial.rename(final)
        except OSError:
            if not has_minari(dataset_id):  # otherwise another process was faster, and its dataset is as good
                raise
    except (OSError, RuntimeError) as error:  # h5py raises either when the disk is full
        if error is stream.error:
            raise
        raise UserError(f"cannot write Minari dataset {final}: {one_line(error)}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return final


class _Stream(Iterator[Episode]):
    """Passes episodes on and remembers an error of their generator, which is not one of writing."""

    def __init__(self, episodes: Iterable[Episode]) -> None:
        self.episodes = iter(episodes)
        self.error: BaseException | None = None

    def __next__(self) -> Episode:
        """Return the next episode."""
        try:
            return next(self.episodes)
        except StopIteration:
            raise
        except BaseException as error:
            self.error = error
            raise


def _write_episodes(data: Path, dataset_id: str, stream: Iterator[Episode], metadata: dict[str, Any]) -> None:
    """Write episodes with Minari's own storage.

    `minari.create_dataset_from_buffers` does the same, but straight to the final place.
    """
    # Here and not above: the imports take half a second.
    from gymnasium.spaces import Box
    from minari.data_collector import EpisodeBuffer
    from minari.dataset.minari_storage import MinariStorage

    first = next(stream, None)
    if first is None:
        raise UserError(f"Minari dataset {dataset_id!r}: there are no episodes to write")
    storage = MinariStorage.new(
        data,
        observation_space=Box(-np.inf, np.inf, (first.observations.shape[1],), np.float32),
        action_space=Box(-1.0, 1.0, (first.actions.shape[1],), np.float32),
        data_format="hdf5",
    )
    storage.update_metadata({"dataset_id": dataset_id, "minari_version": version("minari"), **metadata})
    storage.update_episodes(_buffers(first, stream, EpisodeBuffer))


def _buffers(first: Episode, rest: Iterator[Episode], buffer: type) -> Iterator[Any]:
    """Turn episodes into Minari's records, in the dtypes of the spaces."""
    for i, episode in enumerate(itertools.chain([first], rest)):
        yield buffer(
            id=i,
            observations=np.asarray(episode.observations, np.float32),
            actions=np.asarray(episode.actions, np.float32),
            rewards=np.asarray(episode.rewards, np.float32),
            terminations=np.asarray(episode.terminations, bool),
            truncations=np.asarray(episode.truncations, bool),
        )
