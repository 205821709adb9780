"""Minari datasets on this machine: the local folder, and conversion to transitions. Nothing is downloaded."""

import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import h5py.h5o
import numpy as np

from ssar_jax.data import checks
from ssar_jax.data.actions import ActionScaling
from ssar_jax.data.dataset import DataSource, OfflineDataset
from ssar_jax.data.files import one_line
from ssar_jax.data.hdf5 import open_hdf5, require_inside
from ssar_jax.data.memory import Header, require_memory
from ssar_jax.data.sources.embedded import EMBEDDED_NAMESPACE
from ssar_jax.errors import UserError
from ssar_jax.transitions import Transitions

_DATASET_ID = re.compile(r"([-\w]+/)*[-\w]+-v[0-9]+")
_GOAL_KEYS = {"achieved_goal", "desired_goal", "observation"}


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
    """Return Minari's root folder, the environment variable MINARI_DATASETS_PATH or ~/.minari/datasets."""
    return Path(os.environ.get("MINARI_DATASETS_PATH") or Path.home() / ".minari" / "datasets")


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
    return (minari_directory() / dataset_id / "data").is_dir()


def read_minari_metadata(dataset: str | Path) -> dict[str, Any]:
    """Read the metadata of a dataset, including the entries given to `write_minari`.

    Args:
        dataset: A Minari id, or the folder of a dataset.

    Returns:
        The entries by name.

    Raises:
        UserError: The dataset is not on this machine, or its metadata are damaged.
    """
    data = _data_folder(dataset)
    try:
        metadata = json.loads((data / "metadata.json").read_bytes())
    except (OSError, ValueError) as error:
        raise _damaged(data, error) from error
    if not isinstance(metadata, dict):
        raise _damaged(data, ValueError("metadata.json is not a JSON object"))
    return metadata


def read_minari(
    dataset: str | Path,
    *,
    action_scaling: ActionScaling | None = None,
    clip_actions: bool = False,
    source: DataSource | None = None,
) -> OfflineDataset:
    """Read a local Minari dataset.

    Every step becomes a transition, including the last one before the time limit: unlike D4RL's files, Minari stores
    its next observation. Goal-conditioned (AntMaze) observations are flattened in D4RL's order,
    `[achieved_goal, observation]`. Minari's AntMaze measures positions from the maze's center and mirrors the y axis,
    so evaluate a policy trained on it in Minari's environment, not in D4RL's.

    Args:
        dataset: A Minari id, or the folder of a dataset.
        action_scaling: Map of the actions to [-1, 1]; None leaves them as they are.
        clip_actions: As in `OfflineDataset.from_arrays`.
        source: Origin; None names the id and the folder.

    Returns:
        The dataset.

    Raises:
        UserError: The dataset is not on this machine, damaged, half-written or larger than the memory, or its arrays
            have wrong shapes or values.
    """
    data = _data_folder(dataset)
    metadata = read_minari_metadata(dataset)
    name = str(metadata.get("dataset_id", dataset))
    if source is None:
        kind = "embedded" if name.startswith(EMBEDDED_NAMESPACE + "/") else "minari"
        source = DataSource(kind, name, str(data.parent))
    require_memory(_headers(metadata), str(source))
    try:
        if metadata.get("data_format", "hdf5") == "hdf5":
            episodes = list(_hdf5_episodes(data / "main_data.hdf5", int(metadata["total_episodes"])))
        else:
            episodes = list(_other_episodes(data, metadata))
        if not episodes:
            raise UserError(f"{source}: the dataset is empty; at least one episode is needed")
        return _concatenate(episodes, source, action_scaling=action_scaling, clip_actions=clip_actions)
    except UserError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise _damaged(data, error) from error


def _headers(metadata: Mapping[str, Any]) -> dict[str, Header]:
    """Return the headers of all steps together, as the metadata tell; none if they do not."""
    try:
        steps = int(metadata["total_steps"])
        spaces = {key: json.loads(metadata[f"{key[:-1]}_space"]) for key in ("observations", "actions")}
        headers = {key: Header((steps, _width(space)), np.dtype(_dtype(space))) for key, space in spaces.items()}
    except (KeyError, TypeError, ValueError):
        return {}
    return {**headers, "rewards": Header((steps,), np.dtype(np.float64))}


def _width(space: Mapping[str, Any]) -> int:
    """Return the number of values of one element of a serialized space."""
    parts = space.get("subspaces")
    if parts is None:
        return math.prod(space.get("shape", ()))
    return sum(map(_width, parts.values() if isinstance(parts, Mapping) else parts))


def _dtype(space: Mapping[str, Any]) -> str:
    """Return the dtype of a serialized space; of a dictionary the largest of its parts."""
    parts = space.get("subspaces")
    if parts is None:
        return space["dtype"]
    return max(map(_dtype, parts.values() if isinstance(parts, Mapping) else parts), key=lambda x: np.dtype(x).itemsize)


def _concatenate(
    episodes: list[_Columns], source: DataSource, *, action_scaling: ActionScaling | None, clip_actions: bool
) -> OfflineDataset:
    """Return the dataset of all episodes in order."""
    for i, columns in enumerate(episodes):
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
    for array in transitions:
        array.setflags(write=False)  # the dataset takes over read-only arrays without a copy
    return OfflineDataset.from_arrays(
        **transitions._asdict(),
        episode_ends=ends,
        action_scaling=action_scaling,
        clip_actions=clip_actions,
        source=source,
    )


def _hdf5_episodes(path: Path, num_episodes: int) -> Iterator[_Columns]:
    """Read the episodes of an HDF5 storage through h5py's low-level interface.

    A dataset of a million rows has ten thousand small arrays. Minari's iterator also reads unused arrays
    (`truncations`, every entry of `infos`), and h5py's high-level interface doubles the time of the others.
    """
    with open_hdf5(path) as file:
        for i in range(num_episodes):
            group = h5py.h5g.open(file.id, f"episode_{i}".encode())
            observations = h5py.h5o.open(group, b"observations")
            if isinstance(observations, h5py.h5g.GroupID):
                parts = {key.decode(): _read_array(path, h5py.h5d.open(observations, key)) for key in observations}
                flat = _flatten(parts, str(path))
            else:
                flat = _read_array(path, observations)
            yield _Columns(
                observations=flat,
                actions=_read_array(path, h5py.h5d.open(group, b"actions")),
                rewards=_read_array(path, h5py.h5d.open(group, b"rewards")),
                terminations=_read_array(path, h5py.h5d.open(group, b"terminations")),
            )


def _read_array(path: Path, dataset: Any) -> np.ndarray:
    """Read all of a low-level h5py dataset."""
    require_inside(path, dataset)
    array = np.empty(dataset.shape, dataset.dtype)
    dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, array)
    return array


def _other_episodes(data: Path, metadata: Mapping[str, Any]) -> Iterator[_Columns]:
    """Read the episodes of any other storage (arrow) through Minari.

    The metadata must hold both spaces: for a missing one Minari builds the environment that they name, from any module
    and with any arguments.
    """
    if not all(isinstance(metadata.get(name), str) for name in ("observation_space", "action_space")):
        raise UserError(
            f"{data.parent}: metadata.json lacks observation_space or action_space: write the dataset with both, or "
            "export it as .hdf5 or .npz"
        )
    from minari.dataset.minari_dataset import MinariDataset  # imported here, since it takes half a second

    for episode in MinariDataset(data).iterate_episodes():
        observations = episode.observations
        if isinstance(observations, dict):
            observations = _flatten(observations, str(data))
        yield _Columns(
            observations=np.asarray(observations),
            actions=np.asarray(episode.actions),
            rewards=np.asarray(episode.rewards),
            terminations=np.asarray(episode.terminations),
        )


def _flatten(observations: Mapping[str, np.ndarray], where: str) -> np.ndarray:
    """Return goal-conditioned observations in D4RL's order: the position, the rest, and no goal."""
    if set(observations) != _GOAL_KEYS:
        raise UserError(f"{where}: observations with the keys {', '.join(sorted(observations))} are not supported")
    return np.concatenate([observations["achieved_goal"], observations["observation"]], axis=1)


def _data_folder(dataset: str | Path) -> Path:
    """Return the folder `data` of a dataset given by id or folder."""
    folder = minari_directory() / dataset
    if not folder.is_dir() and Path(dataset).is_dir():
        folder = Path(dataset)
    for data in (folder / "data", folder):
        if (data / "metadata.json").exists():
            return data
    if (folder / "data").is_dir():
        raise _damaged(folder / "data", FileNotFoundError("metadata.json is missing"))
    if Path(dataset).is_dir():
        raise UserError(f"{dataset} holds no Minari dataset: give its folder, its id, or an .hdf5 or .npz file")
    raise UserError(
        f"Minari dataset {str(dataset)!r} is not on this machine ({folder}); get it with "
        f"`minari download {dataset}` or set MINARI_DATASETS_PATH"
    )


def _damaged(data: Path, error: BaseException) -> UserError:
    """Return the error of a damaged dataset."""
    return UserError(
        f"{data.parent}: damaged or half-written Minari dataset ({one_line(error)}); delete it and generate or "
        "download it again"
    )
