"""What the online buffers hold at the start, and how much memory they take."""

from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from ssar_jax.data.dataset import OfflineDataset
from ssar_jax.data.scaling import PreparedData
from ssar_jax.data.selection import keep_best
from ssar_jax.errors import UserError
from ssar_jax.training import replay_buffer


class InitialBuffer(NamedTuple):
    """The buffers of the online phase before its first transition.

    Attributes:
        functions: of the buffers.
        offline: the kept offline rows, [K, ...], the same for all seeds.
        trusted: the flag of every slot, [1, C] for all seeds or [S, C].
    """

    functions: replay_buffer.Replay
    offline: replay_buffer.Transitions
    trusted: np.ndarray


def kept_rows(mode: replay_buffer.Mode, dataset: OfflineDataset, part_k: int = 50) -> np.ndarray:
    """The rows [K] of a dataset that a mode keeps, in the order of the slots.

    Args:
        mode: see `replay_buffer.Mode`.
        dataset: the raw dataset, whose returns order the trajectories.
        part_k: trajectories kept by the mode `part`.
    """
    if mode == "part":
        return keep_best(dataset, part_k)
    return np.arange(0 if mode == "none" else len(dataset))


def make_buffer(
    mode: replay_buffer.Mode,
    rows: np.ndarray,
    prepared: PreparedData,
    trusted: np.ndarray,
    *,
    capacity: int,
    num_steps: int,
    trust: replay_buffer.Trust = "one",
) -> InitialBuffer:
    """Fills the buffers with the rows that a mode keeps.

    Args:
        mode: see `replay_buffer.Mode`.
        rows: from `kept_rows`, [K].
        prepared: the dataset as prepared for training.
        trusted: the selected rows, [N] or [S, N].
        capacity: number of transitions a buffer holds; with `half`, of online ones beside the kept rows.
        num_steps: number of transitions that will be added.
        trust: the flag of new transitions. `stale` leaves the flag that the authors' program finds in the slot: the
            dataset stays in its buffer behind the kept rows, and slots behind the dataset are trusted.

    Raises:
        UserError: where the kept rows do not fit.
    """
    half = mode == "half"
    if len(rows) > capacity and not half:
        raise UserError(
            f"online.buffer_capacity={capacity} is less than the {len(rows)} offline transitions that "
            f"online.buffer={mode!r} keeps: raise it, or choose part or none"
        )
    functions = replay_buffer.make(kept=len(rows), capacity=capacity, num_steps=num_steps, half=half, trust=trust)
    flags = np.atleast_2d(trusted)
    slots = np.ones((len(flags), capacity + half * len(rows)), bool)
    if trust == "stale" and mode in ("all", "part"):
        behind = flags[:, :capacity]
        slots[:, : behind.shape[1]] = behind
    slots[:, : len(rows)] = flags[:, rows]
    whole = mode in ("all", "half")
    columns = (column if whole else column[rows] for column in prepared.transitions)
    return InitialBuffer(functions, replay_buffer.Transitions(*columns), slots)


def memory_bytes(buffer: InitialBuffer, *, capacity: int, num_steps: int, num_seeds: int) -> int:
    """Bytes of the offline rows, and of every seed's online rows and flags."""
    offline = sum(column.nbytes for column in buffer.offline)
    row = sum(column.itemsize * int(np.prod(column.shape[1:])) for column in buffer.offline)
    return offline + num_seeds * (row * min(capacity, num_steps) + buffer.trusted.shape[1])


def require_memory(need: int, mode: replay_buffer.Mode, num_seeds: int) -> None:
    """Requires the first device to have that many bytes left; backends that do not say are believed.

    Raises:
        UserError: naming the settings that take less.
    """
    free = _free_memory()
    if free is not None and need > free:
        smaller = "online.buffer=part, " if mode in ("all", "half") else ""
        raise UserError(
            f"the replay buffers of {num_seeds} seeds with online.buffer={mode!r} need {need / 2**30:.1f} GiB, "
            f"{free / 2**30:.1f} GiB are free: set {smaller}a smaller online.buffer_capacity or fewer num_seeds"
        )


def _free_memory() -> int | None:
    """Bytes that the first device has left; None where the backend does not say."""
    device = jax.devices()[0]
    if device.platform == "cpu":
        return _available_memory()
    statistics = device.memory_stats()
    return statistics["bytes_limit"] - statistics["bytes_in_use"] if statistics else None


def _available_memory() -> int | None:
    """Bytes that Linux could give without swapping, its caches included; None on other systems."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)
