"""Replay buffers of the online phase, as pure functions.

A seed's buffer is a ring of slots. The kept offline rows fill the first slots, new transitions follow, and once the
ring is full they overwrite it from the first slot on. The offline rows are the same for all seeds, so they are stored
once, and only the online rows are stored per seed; the content of a slot is computed. Seeds advance in lockstep, so
one counter of added transitions serves all of them.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ssar_jax import choices
from ssar_jax.transitions import Transitions
from ssar_jax.types import Array, Batch, Key

_NO_COLUMNS: Mapping[str, Any] = {}

Mode = choices.ReplayMode
Trust = choices.ReplayTrust


class Ring(NamedTuple):
    """The state of the buffers of S seeds, without the offline rows.

    Attributes:
        rows: the online transitions, leaves [S, R, ...].
        trusted: the trust flag of every slot, [S, C].
    """

    rows: Transitions
    trusted: Array


class Replay(NamedTuple):
    """Replay buffers as pure functions of a `Ring`; `added` is the number of transitions added so far per seed.

    Attributes:
        init: (trusted [S, C], O, A, extras) -> an empty ring on the host; of the extra columns [K, ...] only names and
            widths matter.
        add: (ring, transitions [S, ...], added) -> the ring with one more transition per seed.
        fill: (extra columns [S, R, ...], first [S], stop [S], values [S, L, ...]) -> the columns with the first values
            in the rows of the transitions first to stop - 1, at most L of them; the other rows stay.
        read: (offline rows, ring, s, slots [B], added) -> the minibatch in these slots of the s-th seed, and whether
            its rows are online, [B].
        sample: (offline rows, ring, s, key, B, added) -> as `read`, for slots drawn uniformly with replacement.
        size: added -> number of filled slots.
        pointer: added -> the slot that is written next.
    """

    init: Callable[..., Any]
    add: Callable[[Ring, Transitions, Array], Ring]
    fill: Callable[[Mapping[str, Array], Array, Array, Mapping[str, Array]], Mapping[str, Array]]
    read: Callable[[Transitions, Ring, Array | int, Array, Array], tuple[Batch, Array]]
    sample: Callable[[Transitions, Ring, Array | int, Key, int, Array], tuple[Batch, Array]]
    size: Callable[[Array], Array]
    pointer: Callable[[Array], Array]


def make_replay_buffer(*, kept: int, capacity: int, num_steps: int, half: bool = False, trust: Trust = "one") -> Replay:
    """Builds the functions of the replay buffers.

    Args:
        kept: number K of offline rows in the initial buffers.
        capacity: number of slots C; with `half` there are K more for the offline rows.
        num_steps: maximum number of transitions that will be added; storage is allocated for no more.
        half: whether half of every minibatch is offline rows, which are then never overwritten.
        trust: the trust flag of new transitions.

    Returns:
        The functions.

    Raises:
        ValueError: if the offline rows do not fit.
    """
    protected = kept if half else 0
    slots = capacity + protected
    storage = min(capacity, num_steps)
    if kept > slots:
        raise ValueError(f"{kept} offline rows do not fit into a capacity of {capacity}")

    def size(added: Array) -> Array:
        return jnp.minimum(kept + added, slots)

    def pointer(added: Array) -> Array:
        return protected + (kept - protected + added) % capacity

    def init(trusted: Any, observation_size: int, action_size: int, extras: Mapping[str, Any] = _NO_COLUMNS) -> Any:
        shape = len(trusted), storage

        def zeros(*column: int) -> np.ndarray:
            return np.zeros(shape + column, np.float32)

        rows = Transitions(
            observations=zeros(observation_size),
            actions=zeros(action_size),
            rewards=zeros(),
            masks=zeros(),
            next_observations=zeros(observation_size),
            extras={name: zeros(*column.shape[1:]) for name, column in extras.items()},
        )
        return Ring(rows=rows, trusted=trusted)

    def add(ring: Ring, transitions: Transitions, added: Array) -> Ring:
        def write(column: Array, new: Array, row: Array) -> Array:
            return jax.lax.dynamic_update_slice_in_dim(column, new[:, None].astype(column.dtype), row, axis=1)

        rows = jax.tree.map(lambda column, new: write(column, new, added % storage), ring.rows, transitions)
        if trust == "stale":
            return ring._replace(rows=rows)
        flags = jnp.full(ring.trusted.shape[:1], trust == "one", ring.trusted.dtype)
        return Ring(rows=rows, trusted=write(ring.trusted, flags, pointer(added)))

    def fill(
        extras: Mapping[str, Array], first: Array, stop: Array, values: Mapping[str, Array]
    ) -> Mapping[str, Array]:
        def fill_column(column: Array, new: Array) -> Array:
            numbers = first[:, None] + jnp.arange(new.shape[1])
            rows = jnp.where(numbers < stop[:, None], numbers % storage, storage)  # those at the end are dropped
            return column.at[jnp.arange(len(column))[:, None], rows].set(new, mode="drop")

        return jax.tree.map(fill_column, extras, values)

    def read(offline: Transitions, ring: Ring, seed: Array | int, slots: Array, added: Array) -> tuple[Batch, Array]:
        # The transition in a slot was added `age` additions before the latest one.
        age = (pointer(added) - 1 - slots) % capacity
        online_row = added - 1 - age
        is_online = (online_row >= 0) & (slots >= protected)

        def gather(column: Array, offline_column: Array) -> Array:
            new = column[seed, online_row % storage]
            if kept == 0:
                return new
            old = offline_column[jnp.minimum(slots, kept - 1)]
            return jnp.where(is_online.reshape(is_online.shape + (1,) * (new.ndim - 1)), new, old)

        columns: Any = jax.tree.map(gather, ring.rows, offline)
        trusted = ring.trusted[seed, slots].astype(jnp.float32)
        return Batch(**columns._asdict(), trusted=trusted), is_online

    def sample(
        offline: Transitions, ring: Ring, seed: Array | int, key: Key, batch_size: int, added: Array
    ) -> tuple[Batch, Array]:
        if half:
            offline_key, online_key = jax.random.split(key)
            offline_slots = jax.random.randint(offline_key, (batch_size // 2,), 0, kept)
            online_slots = jax.random.randint(online_key, (batch_size - batch_size // 2,), kept, size(added))
            slots = jnp.concatenate([offline_slots, online_slots])
        else:
            slots = jax.random.randint(key, (batch_size,), 0, size(added))
        return read(offline, ring, seed, slots, added)

    return Replay(init=init, add=add, fill=fill, read=read, sample=sample, size=size, pointer=pointer)
