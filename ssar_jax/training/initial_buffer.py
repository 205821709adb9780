"""The initial replay buffers of the online phase, and the memory they need."""

from typing import NamedTuple

import jax
import numpy as np

from ssar_jax.data.dataset import OfflineDataset
from ssar_jax.data.scaling import PreparedData
from ssar_jax.data.selection import keep_best
from ssar_jax.errors import UserError
from ssar_jax.training import replay_buffer
from ssar_jax.training.device_memory import DeviceMemory, on_devices, total_bytes
from ssar_jax.training.layout import Layout
from ssar_jax.transitions import Transitions


class InitialBuffer(NamedTuple):
    """The replay buffers before the first online transition.

    Attributes:
        functions: the functions of the buffers.
        offline: the offline rows in the buffers, leaves [K, ...]; the same for all seeds.
        trusted: the trust flag of every slot, [1, C] for all seeds or [S, C].
    """

    functions: replay_buffer.Replay
    offline: Transitions
    trusted: np.ndarray


def kept_rows(mode: replay_buffer.Mode, dataset: OfflineDataset, part_k: int = 50) -> np.ndarray:
    """Selects the rows of a dataset that a mode keeps.

    Args:
        mode: see `replay_buffer.Mode`.
        dataset: the raw dataset, whose returns order the trajectories.
        part_k: number of trajectories kept by the mode `part`.

    Returns:
        The row numbers, [K], in the order of the slots.
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
    """Builds buffers that contain the rows kept by a mode.

    Args:
        mode: see `replay_buffer.Mode`.
        rows: the row numbers returned by `kept_rows`, [K].
        prepared: the dataset as prepared for training, N rows.
        trusted: the selected rows, [N] or [S, N].
        capacity: maximum number of transitions in a buffer; with `half`, of online transitions.
        num_steps: number of transitions that will be added.
        trust: the trust flag of new transitions. `stale` leaves the flag of the slot, as the authors' program does:
            in its buffer the rest of the dataset follows the kept rows, and slots after the dataset are trusted.

    Returns:
        The initial buffers.

    Raises:
        UserError: if the kept rows do not fit.
    """
    half = mode == "half"
    if len(rows) > capacity and not half:
        raise UserError(
            f"online.buffer_capacity={capacity} is less than the {len(rows)} offline transitions that "
            f"online.buffer={mode!r} keeps: increase it, or choose part or none"
        )
    functions = replay_buffer.make_replay_buffer(
        kept=len(rows), capacity=capacity, num_steps=num_steps, half=half, trust=trust
    )
    flags = np.atleast_2d(trusted)
    slots = np.ones((len(flags), capacity + half * len(rows)), bool)
    if trust == "stale" and mode in ("all", "part"):
        stale = flags[:, :capacity]
        slots[:, : stale.shape[1]] = stale
    slots[:, : len(rows)] = flags[:, rows]
    whole = mode in ("all", "half")
    offline = jax.tree.map(lambda column: column if whole else column[rows], prepared.transitions)
    return InitialBuffer(functions=functions, offline=offline, trusted=slots)


def buffer_memory(
    buffer: InitialBuffer, *, capacity: int, num_steps: int, num_seeds: int, layout: Layout
) -> DeviceMemory:
    """Computes what the replay buffers place on each device: the offline rows; online rows and flags of its seeds.

    Args:
        buffer: the initial buffers.
        capacity: as given to `make_buffer`.
        num_steps: as given to `make_buffer`.
        num_seeds: number of seeds S.
        layout: the layout of the seeds.
    """
    columns = jax.tree.leaves(buffer.offline)
    row = sum(column.itemsize * int(np.prod(column.shape[1:])) for column in columns)
    own = row * min(capacity, num_steps) + buffer.trusted.shape[1]
    return on_devices(total_bytes(buffer.offline), own, num_seeds, layout)
