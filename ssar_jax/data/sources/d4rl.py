"""D4RL's HDF5 files: the local cache, verification, and conversion to transitions."""

import hashlib
import json
import logging
from pathlib import Path

import h5py
import numpy as np

from ssar_jax.data import checks, hdf5, precision
from ssar_jax.data.actions import ActionScaling
from ssar_jax.data.d4rl_files import D4RLFile
from ssar_jax.data.dataset import DataSource, OfflineDataset
from ssar_jax.data.hdf5 import open_hdf5, require_inside
from ssar_jax.data.memory import Header, require_memory
from ssar_jax.data.segments import Segments, find_jumps
from ssar_jax.data.tasks import Task
from ssar_jax.errors import UserError, unreadable
from ssar_jax.files import exists, one_line, require_file, resolve_path, user_folder, write_atomically
from ssar_jax.transitions import Transitions

_LOG = logging.getLogger(__name__)

_NDIM = {"observations": 2, "actions": 2, "rewards": 1, "terminals": 1, "timeouts": 1, "next_observations": 2}

_DOWNLOAD = "download it again with `ssar-jax download <task>`, which replaces it"

# Raw returns (min, mean, max) of complete episodes, from comments in the configurations of the Decision Transformer.
PUBLISHED_RETURNS: dict[str, tuple[float, float, float]] = {
    "halfcheetah-medium-v2": (-310.23, 4770.33, 5309.38),
    "halfcheetah-medium-replay-v2": (-638.49, 3093.29, 4985.14),
    "halfcheetah-expert-v2": (2045.83, 10656.43, 11252.04),
    "hopper-medium-v2": (315.87, 1422.06, 3222.36),
    "hopper-medium-replay-v2": (-1.44, 467.30, 3192.93),
    "hopper-expert-v2": (1645.28, 3511.36, 3759.08),
    "walker2d-medium-v2": (-6.61, 2852.09, 4226.94),
    "walker2d-expert-v2": (763.42, 4920.51, 5011.69),
}


def d4rl_directory() -> Path:
    """Return D4RL's cache folder, the environment variable D4RL_DATASET_DIR or ~/.d4rl/datasets.

    Raises:
        UserError: The variable is not set and there is no home folder.
    """
    return user_folder("D4RL_DATASET_DIR", ".d4rl", "datasets")


def find_file(task: Task) -> Path | None:
    """Return the path of the task's official file in the cache, or None if there is none.

    Args:
        task: The task.
    """
    if task.file is None:
        return None
    path = d4rl_directory() / task.file.file_name
    return path if exists(path) else None


def verify_file(path: Path, record: D4RLFile) -> None:
    """Check size and sha256 of an official file.

    D4RL's loader downloads directly to the final name, so a file in the cache may be truncated. The checksum is
    computed once and stored next to the file together with size and modification time, or computed every time if
    the folder cannot be written to.

    Args:
        path: The file.
        record: Its expected size and checksum.

    Raises:
        UserError: The file is missing, or its size or checksum is wrong.
    """
    require_file(path)
    status = path.stat()
    if status.st_size != record.size:
        cause = "truncated" if status.st_size < record.size else "not the official file"
        raise UserError(f"{path}: {cause}, {status.st_size:,} bytes instead of {record.size:,}; {_DOWNLOAD}")
    stored = path.with_name(path.name + ".verified.json")
    fingerprint = {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "sha256": record.sha256}
    if _read_fingerprint(stored) == fingerprint:
        return
    sha256 = _checksum(path)
    if sha256 != record.sha256:
        raise UserError(f"{path}: damaged, sha256 {sha256} instead of {record.sha256}; {_DOWNLOAD}")
    try:
        write_atomically(stored, lambda file: file.write(json.dumps(fingerprint).encode()))
    except UserError as error:
        _LOG.info("the checksum of %s will be computed again next time: %s", path, error)


def is_official(path: Path, record: D4RLFile) -> bool:
    """Whether a file in any folder is an official one.

    Args:
        path: The file; it is read only if its size is right.
        record: Size and checksum of the official file.

    Raises:
        UserError: The file is missing or empty.
    """
    require_file(path)
    return path.stat().st_size == record.size and _checksum(path) == record.sha256


def _checksum(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(path, error) or error from error


def _read_fingerprint(path: Path) -> object:
    """Return the stored fingerprint of a verified file, or None if it cannot be read."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def load_d4rl(task: Task) -> OfflineDataset | None:
    """Load a task's official file from the cache.

    The file is verified, and a warning is logged if its returns differ from the published ones.

    Args:
        task: The task.

    Returns:
        The dataset, or None if the file is not in the cache.

    Raises:
        UserError: The file is damaged.
    """
    path = find_file(task)
    if path is None or task.file is None:
        return None
    verify_file(path, task.file)
    dataset = read_hdf5(
        path,
        horizon=task.horizon,
        terminals_end_episodes=task.terminals_end_episodes,
        source=DataSource("d4rl", task.d4rl_name, str(path)),
    )
    warn_of_unexpected_returns(task, dataset)
    return dataset


def read_hdf5(
    path: str | Path,
    *,
    horizon: int,
    terminals_end_episodes: bool = True,
    action_scaling: ActionScaling | None = None,
    clip_actions: bool = False,
    source: DataSource | None = None,
) -> OfflineDataset:
    """Read a D4RL-style HDF5 file.

    A file whose rows follow each other is read as D4RL's `qlearning_dataset` does, which all published results use.
    Row i < N-1 becomes the transition (s_i, a_i, r_i, s_{i+1}, terminal_i). Rows with `timeouts` are dropped, since
    the next row is of another episode, and so is the last row. Terminal rows are kept: their next observation is the
    first one of the next episode, which has no effect since their mask is 0.

    An exported replay buffer may hold its rows in any order, or those of several environments in turn. So
    `next_observations` is compared with the next row wherever no episode ends. If they differ anywhere, every row is
    a transition with its own next observation, time-outs included, and an episode also ends where the next row is
    another state. D4RL's own files are not compared: their view is the published one.

    Args:
        path: File with observations [N, O], actions [N, A], rewards and terminals [N] or [N, 1], and optionally
            timeouts [N] or [N, 1] and next_observations [N, O].
        horizon: Time limit, steps; without `timeouts`, every step number `horizon - 1` of an episode is a time-out.
        terminals_end_episodes: Whether an episode ends at a terminal; False for AntMaze, whose episodes continue
            and end at time-outs alone.
        action_scaling: Map of the actions to [-1, 1]; None leaves them as they are.
        clip_actions: As in `OfflineDataset.from_arrays`.
        source: Origin; None names the file. The kind `d4rl` stands for one of D4RL's own files, which are read in
            float32 as D4RL does.

    Returns:
        The dataset.

    Raises:
        UserError: The file is missing, truncated, not HDF5 or larger than the memory, it lacks a key, or its arrays
            have wrong shapes or values.

    References:
        https://github.com/Farama-Foundation/D4RL, `d4rl/__init__.py`.
    """
    path = resolve_path(path)
    where = str(path)
    source = source or DataSource("path", path.name, where)
    official = source.kind == "d4rl"
    columns = _read_columns(path, with_next=not official)
    raw = {key: checks.numbers(array, key, where, ndim=_NDIM[key]) for key, array in columns.items()}
    checks.require_rows(raw, where)
    terminals = checks.require_flags(raw["terminals"], "terminals", where)
    timeouts = checks.require_flags(raw["timeouts"], "timeouts", where) if "timeouts" in raw else None
    if official:
        raw |= {key: raw[key].astype(np.float32, copy=False) for key in ("observations", "actions", "rewards")}
    notes = ()
    own = raw.pop("next_observations", None)
    broken = None if own is None else _broken_rows(raw["observations"], own, terminals, timeouts, where)
    if own is not None and broken is not None and broken.any():
        next_observations, ends = own, broken
        if timeouts is not None:
            ends = ends | timeouts
        notes = (_note_of_own_next(broken, terminals, timeouts, where),)
    else:
        if timeouts is None:
            _LOG.warning("%s has no 'timeouts': episodes are cut after at most %d steps", where, horizon)
            timeouts = _infer_timeouts(terminals, horizon)
        rows = _rows_with_successor(timeouts, where)
        ends = np.append(np.diff(rows) > 1, True)  # the next row is dropped, that is, a time-out
        next_observations = raw["observations"][rows + 1]
        raw, terminals = {key: array[rows] for key, array in raw.items()}, terminals[rows]
    transitions = Transitions(
        observations=raw["observations"],
        actions=raw["actions"],
        rewards=raw["rewards"],
        masks=~terminals,
        next_observations=next_observations,
    )
    for array in transitions.columns().values():
        array.setflags(write=False)  # the dataset takes over read-only arrays without a copy
    return OfflineDataset.from_arrays(
        **transitions.columns(),
        episode_ends=ends | terminals if terminals_end_episodes else ends,
        action_scaling=action_scaling,
        clip_actions=clip_actions,
        source=source,
        notes=notes,
    )


def _rows_with_successor(timeouts: np.ndarray, where: str) -> np.ndarray:
    """Return the numbers of the rows whose next observation is in the next row: no time-out, and not the last one."""
    keep = ~timeouts
    keep[-1] = False
    rows = np.flatnonzero(keep)
    if rows.size == 0:
        raise UserError(f"{where}: the dataset is empty; none of its {keep.size} rows is a usable transition")
    return rows


def _broken_rows(
    observations: np.ndarray, own: np.ndarray, terminals: np.ndarray, timeouts: np.ndarray | None, where: str
) -> np.ndarray:
    """Return whether a row that ends no episode has another next observation than the next row, [N] bool."""
    checks.require_same_width(observations, own, where)
    dtype = precision.storage_dtype(observations, own)
    broken = np.zeros(len(observations), bool)
    broken[:-1] = find_jumps(observations.astype(dtype, copy=False), own.astype(dtype, copy=False))
    broken &= ~terminals
    return broken if timeouts is None else broken & ~timeouts


def _note_of_own_next(broken: np.ndarray, terminals: np.ndarray, timeouts: np.ndarray | None, where: str) -> str:
    """Return, and log as a warning, that the file's `next_observations` are used, and why."""
    ended = terminals if timeouts is None else terminals | timeouts
    note = (
        f"next_observations differ from the next row in {np.count_nonzero(broken):,} of the "
        f"{np.count_nonzero(~ended[:-1]):,} rows that end no episode: each row keeps its own, and time-outs are kept"
    )
    _LOG.warning("%s: %s", where, note)
    return note


def _read_columns(path: Path, *, with_next: bool) -> dict[str, np.ndarray]:
    """Read the raw arrays of an HDF5 file, `next_observations` only on request."""
    hdf5.require_hdf5(path)
    wanted = [key for key in _NDIM if with_next or key != "next_observations"]
    try:
        with open_hdf5(path) as file:
            found = {key: entry for key in wanted if isinstance(entry := file.get(key), h5py.Dataset)}
            for entry in found.values():
                require_inside(path, entry.id)
            if (key := next((key for key, entry in found.items() if entry.shape is None), None)) is not None:
                raise UserError(f"{path}: {key} is an HDF5 dataset without any value; write the column into it")
            for key in wanted:
                if key not in found and key not in ("timeouts", "next_observations"):
                    raise UserError(f"{path}: missing key {key!r}; the file has {', '.join(sorted(file)) or 'none'}")
            require_memory({key: Header(entry.shape, entry.dtype) for key, entry in found.items()}, str(path))
            return {key: np.asarray(entry[()]) for key, entry in found.items()}
    except hdf5.ERRORS as error:
        damaged = UserError(f"{path}: truncated or damaged HDF5 file ({one_line(error)}); copy or download it again")
        raise hdf5.cannot_be_read(path, error) or damaged from error


def _infer_timeouts(terminals: np.ndarray, horizon: int) -> np.ndarray:
    """Mark every step number `horizon - 1`; the count restarts after a terminal and after a time-out."""
    runs = Segments.from_ends(terminals)
    step = np.arange(terminals.size) - np.repeat(runs.starts, runs.lengths)
    return step % horizon == horizon - 1


def warn_of_unexpected_returns(task: Task, dataset: OfflineDataset) -> None:
    """Log a warning if the returns of a known file are not the published ones.

    The tolerance is one step's reward, since `read_hdf5` drops the last row of an episode that timed out. An
    unfinished episode at the end of the file is left out, as in the published numbers.

    Args:
        task: The task.
        dataset: The data of its official file.
    """
    published = PUBLISHED_RETURNS.get(task.d4rl_name)
    if published is None:
        return
    returns = dataset.episode_returns()
    finished = dataset.masks[-1] == 0.0 or dataset.episode_lengths()[-1] >= task.horizon - 1
    if not finished and returns.size > 1:
        returns = returns[:-1]
    found = (returns.min(), returns.mean(), returns.max())
    tolerance = float(np.abs(dataset.rewards).max()) + 0.01  # the published numbers have two decimals
    for what, value, expected in zip(("smallest", "mean", "largest"), found, published, strict=True):
        if abs(value - expected) > tolerance:
            _LOG.warning(
                "%s: the %s episode return is %.2f, but that of %s is %.2f; check where the file comes from",
                dataset.source,
                what,
                value,
                task.d4rl_name,
                expected,
            )
