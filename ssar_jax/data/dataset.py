"""An offline dataset: immutable transitions, the ends of their episodes, and their source."""

import dataclasses
import functools
import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from ssar_jax.data import checks, precision
from ssar_jax.data.actions import ActionScaling
from ssar_jax.data.memory import npz_headers, require_memory
from ssar_jax.data.segments import Segments, find_jumps, find_segments
from ssar_jax.data.tasks import Task
from ssar_jax.errors import UserError
from ssar_jax.files import open_npz, resolve_path, write_atomically
from ssar_jax.transitions import COLUMNS, Transitions

_LOG = logging.getLogger(__name__)

SourceKind = Literal["d4rl", "minari", "embedded", "path", "arrays"]

_NDIM = {
    "observations": 2,
    "actions": 2,
    "rewards": 1,
    "masks": 1,
    "next_observations": 2,
    "episode_ends": 1,
}


@dataclass(frozen=True)
class DataSource:
    """Where a dataset comes from; every run records it.

    Attributes:
        kind: One of `d4rl`, `minari`, `embedded`, `path`, `arrays`.
        name: D4RL name, Minari id, file name, or a name chosen by the user.
        location: Path of the file or folder; None for arrays.
    """

    kind: SourceKind
    name: str
    location: str | None = None

    def __str__(self) -> str:
        """Return the label that error messages start with."""
        return self.location or f"{self.kind} {self.name}"


@dataclass(frozen=True, eq=False)
class OfflineDataset:
    """Transitions in recorded order, as checked, private and read-only arrays.

    Actions outside [-1, 1] by at most 1e-5, a rounding error, are clipped; nothing else changes. Observations and
    rewards are float32, or float64 if they are given in more digits than float32 has: they are rounded after they
    have been scaled (`prepare`), not before.

    Attributes:
        observations: [N, O] float32 or float64.
        actions: [N, A] float32 in [-1, 1].
        rewards: Raw rewards, [N] float32 or float64.
        masks: 1 - terminated, [N] float32; a time limit never zeroes a mask.
        next_observations: [N, O], of the dtype of `observations`.
        episode_ends: Whether this row is the last one of its episode, for whatever reason, [N] bool; always true in
            the last row.
        source: Where the data come from.
        notes: What a reader decided about the data that is not obvious, one line each, for the dataset card.

    Raises:
        UserError: Shapes do not match, a value is NaN or infinite, a mask or an episode end is neither 0 nor 1, or
            an action is outside [-1, 1].
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    masks: np.ndarray
    next_observations: np.ndarray
    episode_ends: np.ndarray
    source: DataSource
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Copy, check and freeze the arrays."""
        where = str(self.source)
        fields = _numbers(self.arrays(), where)
        checks.require_rows(fields, where)
        checks.require_same_width(fields["observations"], fields["next_observations"], where)
        checks.require_flags(fields["masks"], "masks", where)
        ends = checks.require_flags(fields.pop("episode_ends"), "episode_ends", where).copy()
        ends[-1] = True
        of_pair = precision.storage_dtype(fields["observations"], fields["next_observations"])
        of_rewards = precision.storage_dtype(fields["rewards"])
        dtypes = {"observations": of_pair, "next_observations": of_pair, "rewards": of_rewards}
        frozen = {key: checks.as_float(array, key, where, dtypes.get(key, np.float32)) for key, array in fields.items()}
        frozen["episode_ends"] = ends
        frozen["actions"] = checks.clip_rounding(frozen["actions"], where)
        for key, array in frozen.items():
            array.setflags(write=False)
            object.__setattr__(self, key, array)

    @classmethod
    def from_arrays(
        cls,
        *,
        observations: ArrayLike,
        actions: ArrayLike,
        rewards: ArrayLike,
        masks: ArrayLike,
        next_observations: ArrayLike,
        episode_ends: ArrayLike | None = None,
        action_scaling: ActionScaling | None = None,
        clip_actions: bool = False,
        source: DataSource | None = None,
        notes: tuple[str, ...] = (),
    ) -> "OfflineDataset":
        """Make a dataset from anything that NumPy can turn into arrays.

        Args:
            observations: [N, O].
            actions: [N, A], in [-1, 1] after `action_scaling`.
            rewards: [N] or [N, 1].
            masks: 1 - terminated, [N] or [N, 1]. A time limit is not a termination.
            next_observations: [N, O].
            episode_ends: Whether an episode ends in this row, [N] or [N, 1]; None cuts at zero masks and wherever
                `observations[t+1]` differs from `next_observations[t]` by more than 1e-6.
            action_scaling: Map of the actions to [-1, 1]; None leaves them as they are.
            clip_actions: Whether to clip actions that are slightly outside their bounds, by at most a tenth of the half
                of the range, instead of refusing them. A warning and the dataset card say how many and how far.
            source: Origin; None names the data `arrays`.
            notes: Lines for the dataset card.

        Returns:
            The dataset, with copies of the arrays.

        Raises:
            UserError: As for the class, or the action scaling does not fit the actions.
        """
        source = source or DataSource("arrays", "arrays")
        where = str(source)
        given = Transitions(
            observations=observations,
            actions=actions,
            rewards=rewards,
            masks=masks,
            next_observations=next_observations,
        )
        columns = _numbers(given.columns(), where)
        checks.require_rows(columns, where)
        if np.mean(columns["masks"]) < 0.1:
            _LOG.warning("%s: nearly every transition is terminal; masks are 1 - terminated: are they inverted?", where)
        if action_scaling is not None:
            size, bounds = columns["actions"].shape[1], action_scaling.low.size
            if bounds not in (1, size):
                raise UserError(f"{where}: actions has {size} columns, but there are action bounds for {bounds}")
        if clip_actions:
            columns["actions"], note = checks.clip_slight(columns["actions"], action_scaling, where)
            if note is not None:
                _LOG.warning("%s: %s", where, note)
                notes = (*notes, note)
        if action_scaling is not None:
            checks.require_inside(columns["actions"], action_scaling, where)
            columns["actions"] = action_scaling.to_unit(columns["actions"])
        if episode_ends is not None:
            return cls(**columns, **_numbers({"episode_ends": episode_ends}, where), source=source, notes=notes)
        checked = cls(**columns, episode_ends=np.zeros(len(columns["rewards"]), bool), source=source, notes=notes)
        segments = find_segments(checked.observations, checked.next_observations, checked.masks)
        return dataclasses.replace(checked, episode_ends=segments.ends)

    @classmethod
    def from_npz(
        cls,
        path: str | Path,
        *,
        action_scaling: ActionScaling | None = None,
        clip_actions: bool = False,
        source: DataSource | None = None,
    ) -> "OfflineDataset":
        """Read a dataset from a `.npz` file.

        Args:
            path: File with the arrays of `from_arrays` by name; `terminals` may replace `masks` = 1 - terminals.
            action_scaling: Map of the actions to [-1, 1].
            clip_actions: As in `from_arrays`.
            source: Origin; None names the file.

        Returns:
            The dataset.

        Raises:
            UserError: The file is missing, damaged, larger than the memory or lacks a key, or `from_arrays` refuses
                its arrays.
        """
        path = resolve_path(path)
        source = source or DataSource("path", path.name, str(path))
        require_memory(npz_headers(path), str(path))
        arrays = open_npz(path)
        if "terminals" in arrays:
            terminals = checks.numbers(arrays["terminals"], "terminals", str(path), ndim=1)
            masks = ~checks.require_flags(terminals, "terminals", str(path))
            if "masks" in arrays:
                checks.require_complement(arrays["masks"], masks, str(path))
            arrays["masks"] = masks
        for key in COLUMNS:
            if key not in arrays:
                alternative = " (or terminals)" if key == "masks" else ""
                raise UserError(f"{path}: missing key {key!r}{alternative}; the file has {', '.join(sorted(arrays))}")
        columns: dict[str, Any] = {key: arrays[key] for key in COLUMNS}
        return cls.from_arrays(
            **columns,
            episode_ends=arrays.get("episode_ends"),
            action_scaling=action_scaling,
            clip_actions=clip_actions,
            source=source,
        )

    def save_npz(self, path: str | Path) -> None:
        """Write the arrays to a `.npz` file that `from_npz` reads back bit for bit.

        The file appears under its name only when it is complete.

        Args:
            path: Name of the file; its folder is made if missing.

        Raises:
            UserError: The file cannot be written.
        """
        arrays: dict[str, Any] = self.arrays()
        write_atomically(resolve_path(path), lambda file: np.savez(file, **arrays))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the transitions' five columns and `episode_ends` by name, without copies."""
        return {key: getattr(self, key) for key in _NDIM}

    def __len__(self) -> int:
        """Return the number N of transitions."""
        return len(self.rewards)

    @property
    def observation_size(self) -> int:
        """Length O of an observation."""
        return self.observations.shape[1]

    @property
    def action_size(self) -> int:
        """Length A of an action."""
        return self.actions.shape[1]

    @functools.cached_property
    def content_hash(self) -> str:
        """The sha256 of all names, shapes and bytes in hexadecimal, whatever the source."""
        digest = hashlib.sha256()
        for name, array in self.arrays().items():
            digest.update(f"{name} {array.dtype.str} {array.shape};".encode())
            digest.update(array.data)
        return digest.hexdigest()

    @functools.cached_property
    def episodes(self) -> Segments:
        """The M recorded episodes, as `episode_ends` cuts them."""
        return Segments.from_ends(self.episode_ends)

    @functools.cached_property
    def _jumps(self) -> np.ndarray:
        """The rows before the last, [n] int64, that do not terminate and whose next observation is not the next row."""
        return np.flatnonzero(find_jumps(self.observations, self.next_observations) & (self.masks[:-1] != 0.0))

    @property
    def has_trajectories(self) -> bool:
        """Whether the rows are in the order of their episodes: at least half of those that could go on do.

        It is false for a replay buffer in random order and for several environments that were recorded in turn.
        """
        return bool(2 * self._jumps.size <= np.count_nonzero(self.masks[:-1]))

    def require_trajectories(
        self,
        problem: str = "returns mean nothing",
        remedy: str = "choose what needs no returns, such as selection.rule=advantage, "
        "dataset.reward_range_scaling=False or online.buffer=all",
    ) -> None:
        """Require rows in the order of their episodes, for everything that is based on returns or successors.

        Recorded ends may be right although the rows between them are not each other's successors, as in data of
        which every fourth row was kept. So these are a warning.

        Args:
            problem: What goes wrong without the order, for the message.
            remedy: What to do other than sort the rows.

        Raises:
            UserError: Most rows are not followed by their next observation, and each of them is an episode of its own.
        """
        if self.has_trajectories:
            return
        found = (
            f"{self.source}: {self._jumps.size:,} of {len(self):,} rows are not followed by their next observation, so "
            "the rows are in no order of episodes"
        )
        if 2 * np.count_nonzero(self.episode_ends[self._jumps]) > self._jumps.size:
            raise UserError(f"{found} and {problem}: sort the rows, or {remedy}")
        _LOG.warning("%s unless episode_ends says otherwise: check that returns are sums over whole episodes", found)

    def episode_returns(self) -> np.ndarray:
        """Return the undiscounted sum of raw rewards of each episode, [M] float64."""
        return self.episodes.sums(self.rewards)

    def episode_lengths(self) -> np.ndarray:
        """Return the number of transitions of each episode, [M] int64."""
        return self.episodes.lengths

    def require_sizes(self, task: Task) -> None:
        """Require the observation and action sizes of a task.

        Args:
            task: The task that the data are for.

        Raises:
            UserError: A size differs.
        """
        for key, size, needed in (
            ("observation", self.observation_size, task.observation_size),
            ("action", self.action_size, task.action_size),
        ):
            if size != needed:
                raise UserError(f"{self.source}: {key}s have size {size}, but task {task.name} has {needed}")

    def describe_line(self) -> str:
        """Return one line with the source, file, numbers of transitions and episodes, and mean return."""
        location = f" ({self.source.location})" if self.source.location else ""
        episodes = "in no order of episodes"
        if self.has_trajectories:
            episodes = f"{len(self.episodes):,} episodes, mean return {self.episode_returns().mean():.2f}"
        return f"data: {self.source.kind} {self.source.name}{location}: {len(self):,} transitions, {episodes}"

    def card(self) -> str:
        """Return the dataset card: source, sizes, returns, terminals and hash in a few lines."""
        source, returns = self.source, self.episode_returns()
        quantiles = ", ".join(
            f"{name} {value:.2f}"
            for name, value in zip(
                ("min", "10 %", "median", "90 %", "max"),
                np.quantile(returns, [0.0, 0.1, 0.5, 0.9, 1.0]),
                strict=True,
            )
        )
        lines = {
            "dataset": source.name,
            "source": source.kind + (f", {source.location}" if source.location else ""),
            "transitions": f"{len(self):,}, observations {self.observation_size}, actions {self.action_size}",
            "episodes": f"{len(self.episodes):,}, mean length {self.episode_lengths().mean():.1f}",
            "returns": f"mean {returns.mean():.2f}; {quantiles}",
            "terminals": f"{100.0 * np.mean(self.masks == 0.0):.3f} % of the transitions",
        }
        order = f"{self._jumps.size:,} of {len(self):,} rows are not followed by their next observation"
        notes = self.notes if self.has_trajectories else (*self.notes, f"{order}: returns may mean nothing")
        entries = [*lines.items(), *(("note", note) for note in notes), ("content", f"sha256 {self.content_hash}")]
        return "\n".join(f"{key:<12} {text}" for key, text in entries)


def _numbers(arrays: Mapping[str, object], where: str) -> dict[str, np.ndarray]:
    """Return arrays of finite numbers of the right ranks, by name."""
    return {key: checks.numbers(array, key, where, ndim=_NDIM[key]) for key, array in arrays.items()}
