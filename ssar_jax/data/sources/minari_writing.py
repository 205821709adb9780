"""Writes Minari datasets, completely or not at all."""

import io
import itertools
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ssar_jax.data.sources.minari import has_minari, is_minari_id, minari_directory, read_minari_metadata
from ssar_jax.episodes import Episode
from ssar_jax.errors import UserError
from ssar_jax.files import exists, one_line


def write_minari(
    dataset_id: str,
    episodes: Iterable[Episode],
    *,
    description: str,
    metadata: Mapping[str, Any] | None = None,
) -> Path:
    """Write a Minari dataset in HDF5 storage.

    A dataset of one step is written and removed first, to find out whether the folder can be written to. The data go
    to a hidden folder in the same place, which is renamed when complete, so that a crash or a full disk
    leaves no broken dataset. If two processes write a dataset with the same metadata, the first to finish wins.

    Args:
        dataset_id: Id of a dataset that does not exist yet.
        episodes: The episodes. They are taken one by one and only after the id is known to be free, so the iterable
            may generate them.
        description: Text for the metadata.
        metadata: More JSON entries of the metadata, such as a recipe hash or reference returns.

    Returns:
        The dataset's folder.

    Raises:
        UserError: The id is malformed or taken, there are no episodes, or the folder cannot be written to.
    """
    if not is_minari_id(dataset_id):
        raise UserError(f"{dataset_id!r} is not a Minari id; ids look like namespace/name-v0")
    final = minari_directory() / dataset_id
    if exists(final):
        raise UserError(f"{final}: exists already; delete the folder to generate the dataset again")
    partial = final.with_name(f".{final.name}.{uuid.uuid4().hex}")
    stream = _Stream(episodes)
    entries = {"description": description, **(metadata or {})}
    try:
        _rehearse(partial, dataset_id, entries)
        partial.mkdir(parents=True)
        _write_episodes(partial / "data", dataset_id, stream, entries)
        try:
            partial.rename(final)
        except OSError:
            if not has_minari(dataset_id):
                raise
            # Another process was faster; its dataset is the same one if its metadata are equal.
            if not (metadata or {}).items() <= read_minari_metadata(dataset_id).items():
                raise UserError(
                    f"{final}: another process has meanwhile written a dataset with other metadata; delete the folder "
                    "to generate the dataset again"
                ) from None
    except OSError as error:
        if error is stream.error:
            raise
        raise UserError(
            f"cannot write Minari dataset {final}: {one_line(error)}; set MINARI_DATASETS_PATH to another folder"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return final


def delete_minari(dataset_id: str) -> None:
    """Delete a dataset if it exists; it is renamed first, so that no reader sees a partial one.

    Args:
        dataset_id: Id of the dataset.

    Raises:
        UserError: The folder cannot be changed.
    """
    folder = minari_directory() / dataset_id
    removed = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    try:
        folder.rename(removed)
        shutil.rmtree(removed)
    except FileNotFoundError:
        return  # it does not exist, or another process deletes it too
    except OSError as error:
        raise UserError(f"cannot delete Minari dataset {folder}: {one_line(error)}") from error


class _Stream(Iterator[Episode]):
    """Iterator over episodes that stores an error of their generator, to tell it from one of writing."""

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


def _rehearse(partial: Path, dataset_id: str, metadata: dict[str, Any]) -> None:
    """Write, rename and remove a dataset of one step, so that whatever fails does so before hours of generation."""
    flag = np.zeros(1, bool)
    step = Episode(np.zeros((2, 1)), np.zeros((1, 1)), np.zeros(1), flag, ~flag)
    renamed = partial.with_name(f"{partial.name}.rehearsal")
    partial.mkdir(parents=True)
    try:
        _write_episodes(partial / "data", dataset_id, iter([step]), metadata)
        partial.rename(renamed)
    finally:
        shutil.rmtree(renamed, ignore_errors=True)


def _write_episodes(data: Path, dataset_id: str, stream: Iterator[Episode], metadata: dict[str, Any]) -> None:
    """Write a dataset's files: the metadata through Minari, the episodes directly in its HDF5 format.

    In Minari's writer, HDF5 writes to the disk and crashes the process when the disk is full. Here the file grows in
    memory (about 100 bytes per transition), and Python writes it. Everything in it has a checksum, which HDF5 offers in
    its newest format, for data that are stored in chunks: a bit that flips later is an error and no other number.
    """
    # Imported here, since it takes half a second.
    from gymnasium.spaces import Box
    from minari.dataset.minari_storage import MinariStorage

    first = next(stream, None)
    if first is None:
        raise UserError(f"Minari dataset {dataset_id!r}: there are no episodes to write")
    num_episodes = num_steps = 0
    image = io.BytesIO()  # images of HDF5's own driver for memory have a wrong checksum before HDF5 2.0
    with h5py.File(image, "w", libver="latest") as file:
        for episode in itertools.chain([first], stream):
            group = file.create_group(f"episode_{num_episodes}")
            group.attrs["id"], group.attrs["total_steps"] = num_episodes, len(episode.rewards)
            for key, column in episode._asdict().items():
                dtype = bool if key in ("terminations", "truncations") else np.float32
                array = np.asarray(column, dtype)
                group.create_dataset(key, data=array, chunks=array.shape, fletcher32=True)
            num_episodes += 1
            num_steps += len(episode.rewards)
    storage = MinariStorage.new(
        data,
        observation_space=Box(-np.inf, np.inf, first.observations.shape[1:], np.float32),
        action_space=Box(-1.0, 1.0, first.actions.shape[1:], np.float32),
        data_format="hdf5",
    )
    (data / "main_data.hdf5").write_bytes(image.getbuffer())
    sizes = {"total_episodes": num_episodes, "total_steps": num_steps, "dataset_size": storage.get_size()}
    versions = {"dataset_id": dataset_id, "minari_version": version("minari")}
    storage.update_metadata({**metadata, **versions, **sizes})
