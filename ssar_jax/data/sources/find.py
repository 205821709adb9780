"""Finds and loads the dataset of a task."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import get_args

from ssar_jax.choices import Source
from ssar_jax.data.actions import ActionScaling
from ssar_jax.data.dataset import DataSource, OfflineDataset
from ssar_jax.data.sources.d4rl import d4rl_directory, is_official, load_d4rl, read_hdf5
from ssar_jax.data.sources.minari import has_minari, is_minari_id, read_minari
from ssar_jax.data.sources.origin import require_origin
from ssar_jax.data.tasks import Task
from ssar_jax.errors import UserError
from ssar_jax.files import exists, is_folder, resolve_path

_LOG = logging.getLogger(__name__)

SOURCES: tuple[Source, ...] = get_args(Source)


def load_dataset(
    task: Task,
    *,
    source: str = "auto",
    path: str | Path | None = None,
    embedded: Callable[[Task], OfflineDataset],
    action_scaling: ActionScaling | None = None,
    clip_actions: bool = False,
) -> OfflineDataset:
    """Load the data of a task; nothing is downloaded.

    `auto` reads `path` if there is one, else the verified D4RL file if it is in the cache, else the embedded dataset,
    with a warning. A damaged D4RL file is an error and is not replaced.

    Args:
        task: The task.
        source: `auto`, `d4rl`, `minari`, `embedded` or `path`.
        path: With `path` or `auto`, an .hdf5, .h5 or .npz file, or the folder or id of a Minari dataset; with
            `minari`, such a folder or id.
        embedded: Loads the task's embedded dataset, or generates it if it is missing.
        action_scaling: Map of the actions of `path` to [-1, 1]; None leaves them as they are.
        clip_actions: Whether to clip actions of `path` that are slightly outside their bounds, instead of refusing
            them, as in `OfflineDataset.from_arrays`.

    Returns:
        The dataset, with the task's observation and action sizes.

    Raises:
        UserError: The data are missing or damaged, their sizes are not those of the task, or a Minari dataset is from
            another environment.
    """
    if source not in SOURCES:
        raise UserError(f"unknown dataset.source {source!r}; known: {', '.join(SOURCES)}")
    if path is not None and source in ("d4rl", "embedded"):
        raise UserError(f"dataset.path={path} has no effect with dataset.source={source}; use dataset.source=path")
    if path is None and (source in ("path", "minari") or task.file is None):
        example = "mujoco/hopper/medium-v0" if source == "minari" else "my_data.hdf5"
        raise UserError(f"task {task.name} with dataset.source={source} needs dataset.path, such as {example}")
    if path is not None:
        if source == "minari" or is_minari(Path(path)):
            require_origin(Path(path), task)
        reader = _read_minari_task if source == "minari" else read_path
        dataset = reader(task, Path(path), action_scaling, clip_actions)
    elif source == "embedded":
        dataset = embedded(task)
    else:
        dataset = load_d4rl(task)
        if dataset is None and source == "d4rl":
            raise _missing_d4rl(task)
        if dataset is None:
            _warn_not_d4rl(task)
            dataset = embedded(task)
    dataset.require_sizes(task)
    return dataset


def read_path(
    task: Task, path: Path, action_scaling: ActionScaling | None = None, clip_actions: bool = False
) -> OfflineDataset:
    """Read an .hdf5, .h5 or .npz file, or a Minari dataset by folder or id.

    The task's official file counts as D4RL in any folder.

    Args:
        task: The task; it sets the time limit for a file without `timeouts`, and whether terminals end episodes.
        path: File, folder or id.
        action_scaling: Map of the actions to [-1, 1]; None leaves them as they are.
        clip_actions: As in `load_dataset`.

    Returns:
        The dataset.

    Raises:
        UserError: The path does not exist, is of another kind, or cannot be read.
    """
    if path.suffix in (".hdf5", ".h5"):
        official = task.file is not None and is_official(path, task.file)
        return read_hdf5(
            path,
            horizon=task.horizon,
            terminals_end_episodes=task.terminals_end_episodes,
            action_scaling=action_scaling,
            clip_actions=clip_actions,
            source=DataSource("d4rl", task.d4rl_name, str(path)) if official else None,
        )
    if path.suffix == ".npz":
        return OfflineDataset.from_npz(path, action_scaling=action_scaling, clip_actions=clip_actions)
    if is_minari(path):
        return read_minari(path, action_scaling=action_scaling, clip_actions=clip_actions)
    if not exists(path):
        raise UserError(f"{path}: no such file")
    raise UserError(f"{path}: unknown kind of file; .hdf5, .h5, .npz or a Minari dataset is needed")


def is_minari(path: Path) -> bool:
    """Whether a path is read as a Minari dataset: a folder, or an id that is in Minari's folder or is no file.

    Args:
        path: The path or id.

    Raises:
        UserError: The path cannot be examined.
    """
    if path.suffix in (".hdf5", ".h5", ".npz"):
        return False
    return is_folder(path) or has_minari(str(path)) or (is_minari_id(str(path)) and not exists(path))


def resolve_dataset(text: str) -> str:
    """Return the absolute path of a dataset as users write it; the id of a Minari dataset stays as it is.

    Args:
        text: A file, a folder, or the id of a Minari dataset.

    Raises:
        UserError: A home folder is unknown.
    """
    path = resolve_path(text).absolute()
    is_id = is_minari_id(text) and (has_minari(text) or not exists(path))
    return text if is_id else str(path)


def _read_minari_task(
    task: Task, path: Path, action_scaling: ActionScaling | None, clip_actions: bool
) -> OfflineDataset:
    """Read a Minari dataset; it is self-describing, so the task is not used."""
    del task
    return read_minari(path, action_scaling=action_scaling, clip_actions=clip_actions)


def _missing_d4rl(task: Task) -> UserError:
    """Return the error that names the missing file, its place and how to download it."""
    assert task.file is not None
    return UserError(
        f"{task.d4rl_name} is not in the cache: {d4rl_directory() / task.file.file_name} is missing; get it "
        f"with `ssar-jax download {task.name}` (from {task.file.url}, {task.file.size:,} bytes, "
        f"sha256 {task.file.sha256})"
    )


def _warn_not_d4rl(task: Task) -> None:
    """Log a conspicuous warning that the data are not D4RL's."""
    _LOG.warning(
        "\n%s\nTHIS IS NOT D4RL: no file of %s in %s.\nThe embedded dataset of the same recipe, generated on this "
        "machine, is used instead.\nIts scores are NOT comparable with published ones.\n"
        "To get the real file: ssar-jax download %s\n%s",
        "*" * 80,
        task.d4rl_name,
        d4rl_directory(),
        task.name,
        "*" * 80,
    )
