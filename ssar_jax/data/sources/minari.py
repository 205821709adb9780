"""Minari datasets on this machine: the local folder, and conversion to transitions. Nothing is downloaded."""

import json
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import h5py.h5i
import h5py.h5o
import numpy as np

from ssar_jax.data import checks, hdf5
from ssar_jax.data.actions import ActionScaling
from ssar_jax.data.dataset import DataSource, OfflineDataset
from ssar_jax.data.hdf5 import open_hdf5, require_inside
from ssar_jax.data.memory import require_memory
from ssar_jax.data.sources.embedded import EMBEDDED_NAMESPACE
from ssar_jax.data.sources.minari_spaces import MinariDescription, describe, described_headers
from ssar_jax.errors import UserError
from ssar_jax.files import exists, is_folder, one_line, resolve_path, user_folder
from ssar_jax.observations import Entry, Layout, arrange
from ssar_jax.transitions import Transitions

_LOG = logging.getLogger(__name__)

_DATASET_ID = re.compile(r"([-\w]+/)*[-\w]+-v[0-9]+")


class _Columns(NamedTuple):
    """The columns of one episode of T steps that become transitions.

    Attributes:
        observations: [T + 1, O].
        actions: [T, A].
        rewards: [T].
        terminations: [T], 0 or 1.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    terminations: np.ndarray


def minari_directory() -> Path:
    """Return Minari's root folder, the environment variable MINARI_DATASETS_PATH or ~/.minari/datasets.

    Raises:
        UserError: The variable is not set and there is no home folder.
    """
    return user_folder("MINARI_DATASETS_PATH", ".minari", "datasets")


def is_minari_id(name: str) -> bool:
    """Whether a name has the form of a Minari id, `namespace/name-v0`.

    Args:
        name: Any string.
    """
    return _DATASET_ID.fullmatch(name) is not None


def has_minari(dataset_id: str) -> bool:
    """Whether a dataset with this id is on this machine.

    Args:
        dataset_id: A Minari id.
    """
    return is_folder(_folder(dataset_id) / "data")


def read_minari_metadata(dataset: str | Path) -> dict[str, Any]:
    """Read the metadata of a dataset, including the entries given to `write_minari`.

    Args:
        dataset: A Minari id, or the folder of a dataset.

    Returns:
        The entries by name.

    Raises:
        UserError: The dataset is not on this machine, or its metadata are damaged.
        UnreadableError: The metadata cannot be read, such as for lack of permission.
    """
    data = _data_folder(dataset)
    try:
        metadata = json.loads((data / "metadata.json").read_bytes())
    except (OSError, ValueError) as error:
        raise _failure(data, data / "metadata.json", error) from error
    if not isinstance(metadata, dict):
        raise _damaged(data, "metadata.json is not a JSON object")
    return metadata


def describe_minari(dataset: str | Path) -> MinariDescription:
    """Read what the metadata of a dataset say about its observations, actions and environment.

    Args:
        dataset: A Minari id, or the folder of a dataset.

    Returns:
        The description.

    Raises:
        UserError: The dataset is not on this machine, its metadata are damaged, or its observations or actions are
            not numbers of a fixed size.
        UnreadableError: The metadata cannot be read, such as for lack of permission.
    """
    data = _data_folder(dataset)
    try:
        return describe(read_minari_metadata(dataset), str(data.parent))
    except UserError:
        raise
    except (KeyError, ValueError, TypeError) as error:
        raise _damaged(data, f"metadata.json, {one_line(error)}") from error


def read_minari(
    dataset: str | Path,
    *,
    action_scaling: ActionScaling | None = None,
    clip_actions: bool = False,
    source: DataSource | None = None,
) -> OfflineDataset:
    """Read a local Minari dataset.

    Every step becomes a transition, including the last one before the time limit: unlike D4RL's files, Minari stores
    its next observation. The arrays of dictionary observations, nested or not, are concatenated in the order of
    Gymnasium's `FlattenObservation`, the goal included (`ssar_jax.observations`). Only AntMaze is flattened in D4RL's
    order, `[achieved_goal, observation]`. Minari's AntMaze measures positions from the maze's center and mirrors the y
    axis, so evaluate a policy trained on it in Minari's environment, not in D4RL's.

    Args:
        dataset: A Minari id, or the folder of a dataset.
        action_scaling: Map of the actions to [-1, 1]; None leaves them as they are.
        clip_actions: As in `OfflineDataset.from_arrays`.
        source: Origin; None names the id and the folder.

    Returns:
        The dataset.

    Raises:
        UserError: The dataset is not on this machine, damaged, half-written or larger than the memory, its observations
            or actions are not numbers of a fixed size, or its arrays have wrong shapes or values.
        UnreadableError: A file cannot be read, such as for lack of permission or because it is locked.
    """
    data = _data_folder(dataset)
    metadata, description = read_minari_metadata(dataset), describe_minari(dataset)
    name = str(metadata.get("dataset_id", dataset))
    if source is None:
        kind = "embedded" if name.startswith(EMBEDDED_NAMESPACE + "/") else "minari"
        source = DataSource(kind, name, str(data.parent))
    require_memory(described_headers(metadata), str(source))
    storage, layout = metadata.get("data_format", "hdf5"), description.layout
    file = data / "main_data.hdf5" if storage == "hdf5" else data
    try:
        if storage == "hdf5":
            if description.observation_size is None:
                layout = _stored_layout(file, description.environment_id)
            episodes = list(_hdf5_episodes(file, int(metadata["total_episodes"]), layout))
        else:
            episodes = list(_other_episodes(data, storage, description, metadata))
    except UserError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise _failure(data, file, error) from error
    if not episodes:
        raise UserError(f"{source}: the dataset is empty; at least one episode is needed")
    _require_described(episodes, description, source)
    notes = _notes(source, metadata, layout, sum(len(each.rewards) for each in episodes if each.rewards.ndim))
    return _concatenate(episodes, source, action_scaling=action_scaling, clip_actions=clip_actions, notes=notes)


def _require_described(episodes: list[_Columns], description: MinariDescription, source: DataSource) -> None:
    """Require the observations and actions of every episode to have the sizes in the metadata, where these tell them.

    A column of single numbers is left to `_concatenate`.
    """
    sizes = {"observations": description.observation_size, "actions": description.action_size}
    for number, columns in enumerate(episodes):
        for key, size in sizes.items():
            shape = getattr(columns, key).shape
            if size is not None and shape and shape[1:] != (size,):
                raise UserError(
                    f"{source}: {key} of episode {number} have shape {shape}, but metadata.json describes vectors of "
                    f"{size} values; correct the metadata, or copy or download the dataset again"
                )


def _notes(source: DataSource, metadata: Mapping[str, Any], layout: Layout | None, steps: int) -> tuple[str, ...]:
    """Return the lines for the dataset card, and log a warning if the metadata tell another number of steps."""
    notes = () if layout is None else (f"observations are {layout}, in this order",)
    told = metadata.get("total_steps", steps)
    if told == steps:
        return notes
    note = f"the episodes have {steps:,} steps, but total_steps in metadata.json is {told!r}; all episodes are used"
    _LOG.warning("%s: %s", source, note)
    return (*notes, note)


def _concatenate(
    episodes: list[_Columns],
    source: DataSource,
    *,
    action_scaling: ActionScaling | None,
    clip_actions: bool,
    notes: tuple[str, ...],
) -> OfflineDataset:
    """Return the dataset of all episodes in order."""
    for i, columns in enumerate(episodes):
        if any(column.ndim == 0 for column in columns):
            raise UserError(f"{source}: episode {i} is damaged; it holds a single number in place of a column")
        rows, steps = [len(column) for column in columns], len(columns.actions)
        if rows != [steps + 1, steps, steps, steps]:
            raise UserError(
                f"{source}: episode {i} is damaged; observations, actions, rewards and terminations have "
                f"{rows} rows where T+1, T, T, T are needed"
            )
        if [column.shape[1:] for column in columns] != [column.shape[1:] for column in episodes[0]]:
            raise UserError(f"{source}: episode {i} has observations or actions of another size than episode 0")
    lengths = np.array([len(episode.rewards) for episode in episodes])
    ends = np.zeros(int(lengths.sum()), bool)
    ends[np.cumsum(lengths)[lengths > 0] - 1] = True
    terminations = np.concatenate([episode.terminations for episode in episodes])
    transitions = Transitions(
        observations=np.concatenate([episode.observations[:-1] for episode in episodes]),
        actions=np.concatenate([episode.actions for episode in episodes]),
        rewards=np.concatenate([episode.rewards for episode in episodes]),
        masks=~checks.require_flags(terminations, "terminations", str(source)),
        next_observations=np.concatenate([episode.observations[1:] for episode in episodes]),
    )
    for array in transitions.columns().values():
        array.setflags(write=False)  # the dataset takes over read-only arrays without a copy
    return OfflineDataset.from_arrays(
        **transitions.columns(),
        episode_ends=ends,
        action_scaling=action_scaling,
        clip_actions=clip_actions,
        source=source,
        notes=notes,
    )


def _hdf5_episodes(path: Path, num_episodes: int, layout: Layout | None) -> Iterator[_Columns]:
    """Read the episodes of an HDF5 storage through h5py's low-level interface.

    A dataset of a million rows has ten thousand small arrays. Minari's iterator also reads unused arrays
    (`truncations`, every entry of `infos`), and h5py's high-level interface doubles the time of the others.
    """
    with open_hdf5(path) as file:
        stored = sum(name.startswith(b"episode_") for name in file.id)
        if stored != num_episodes:
            raise ValueError(f"it holds {stored:,} episodes, but total_episodes in metadata.json is {num_episodes:,}")
        for i in range(num_episodes):
            group = h5py.h5g.open(file.id, f"episode_{i}".encode())
            if layout is None:
                observations = _read_array(path, h5py.h5d.open(group, b"observations"))
            else:
                names = ["/".join(("observations", *entry.path)) for entry in layout.entries]
                parts = [_read_array(path, h5py.h5d.open(group, name.encode())) for name in names]
                observations = _join(parts, layout)
            yield _Columns(
                observations=observations,
                actions=_read_array(path, h5py.h5d.open(group, b"actions")),
                rewards=_read_array(path, h5py.h5d.open(group, b"rewards")),
                terminations=_read_array(path, h5py.h5d.open(group, b"terminations")),
            )


def _join(parts: list[np.ndarray], layout: Layout) -> np.ndarray:
    """Return the entries of a layout, each [T + 1, ...], as vectors [T + 1, O]."""
    for part, entry in zip(parts, layout.entries, strict=True):
        if part.shape[1:] != entry.shape:
            raise ValueError(f"observations.{entry.name} has shape {part.shape}, not [T+1, {entry.shape}]")
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


def _stored_layout(path: Path, environment: str | None) -> Layout | None:
    """Return the layout of the first episode, for a dataset whose metadata do not describe the observations."""
    with open_hdf5(path) as file:
        observations = file["episode_0/observations"]
        return arrange(_stored_entries(observations), environment) if isinstance(observations, h5py.Group) else None


def _stored_entries(group: h5py.Group, path: tuple[str, ...] = ()) -> Iterator[Entry]:
    """Yield the arrays of a group and of those inside it."""
    for key, item in group.items():
        if isinstance(item, h5py.Group):
            yield from _stored_entries(item, (*path, key))
        elif isinstance(item, h5py.Dataset):
            yield Entry((*path, key), item.shape[1:])


def _read_array(path: Path, dataset: Any) -> np.ndarray:
    """Read all of a low-level h5py dataset."""
    require_inside(path, dataset)
    if dataset.shape is None:
        raise ValueError(f"{h5py.h5i.get_name(dataset).decode()} has no value")
    array = np.empty(dataset.shape, dataset.dtype)
    dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, array)
    return array


def _other_episodes(
    data: Path, storage: object, description: MinariDescription, metadata: Mapping[str, Any]
) -> Iterator[_Columns]:
    """Read the episodes of any other storage (arrow, parquet) through Minari.

    The metadata must hold both spaces: for a missing one Minari builds the environment that they name, from any module
    and with any arguments.
    """
    if not all(isinstance(metadata.get(name), str) for name in ("observation_space", "action_space")):
        raise UserError(
            f"{data.parent}: metadata.json lacks observation_space or action_space: write the dataset with both, or "
            "export it as .hdf5 or .npz"
        )
    from minari.dataset._storages import get_storage_keys  # imported here, since it takes half a second
    from minari.dataset.minari_dataset import MinariDataset

    if storage not in get_storage_keys():
        raise UserError(
            f"{data.parent}: unsupported Minari dataset: its storage is {storage!r}, and only "
            f"{', '.join(get_storage_keys())} can be read; convert it with the version of Minari that wrote it"
        )
    try:
        episodes = MinariDataset(data).iterate_episodes()
    except ImportError as error:
        raise UserError(f"{data.parent}: {one_line(error)}, which its storage {storage!r} needs") from error
    for episode in episodes:
        observations: Any = episode.observations
        yield _Columns(
            observations=(
                np.asarray(observations) if description.layout is None else description.layout.concatenate(observations)
            ),
            actions=np.asarray(episode.actions),
            rewards=np.asarray(episode.rewards),
            terminations=np.asarray(episode.terminations),
        )


def _folder(dataset: str | Path) -> Path:
    """Return the folder that a dataset with an id has in Minari's; an absolute path is that of the dataset."""
    return Path(dataset) if Path(dataset).is_absolute() else minari_directory() / dataset


def _data_folder(dataset: str | Path) -> Path:
    """Return the folder `data` of a dataset given by id or folder."""
    folder = _folder(dataset)
    written = resolve_path(dataset).absolute()
    if not is_folder(folder) and is_folder(written):
        folder = written
    for data in (folder / "data", folder):
        if exists(data / "metadata.json"):
            return data
    if is_folder(folder / "data"):
        raise _damaged(folder / "data", "metadata.json is missing")
    if is_folder(written):
        raise UserError(f"{dataset} holds no Minari dataset: give its folder, its id, or an .hdf5 or .npz file")
    raise UserError(
        f"Minari dataset {str(dataset)!r} is not on this machine ({folder}); get it with "
        f"`minari download {dataset}` or set MINARI_DATASETS_PATH"
    )


def _failure(data: Path, file: Path, error: BaseException) -> UserError:
    """Return the error of a file of a dataset that cannot be read or is damaged."""
    if isinstance(error, FileNotFoundError):
        return _damaged(data, f"{file.name} is missing")
    return hdf5.cannot_be_read(file, error) or _damaged(data, f"{file.name}: {one_line(error)}")


def _damaged(data: Path, reason: str) -> UserError:
    """Return the error of a damaged dataset."""
    return UserError(f"{data.parent}: damaged or half-written Minari dataset ({reason}); copy or download it again")
