"""Replay buffers of the online phase, as pure functions: the offline rows once, every seed's own rows beside them.

A seed's buffer is one ring of slots. The kept offline rows fill the first ones, new transitions follow, and once
the ring is full they overwrite from the first slot on. The offline rows are the same for all seeds, so they are
stored once and what a slot holds is computed. Seeds advance in lockstep, so one counter serves them all.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ssar_jax.types import AnyArray, Array, Batch, Key

Mode = Literal["all", "part", "half", "none"]
"""What the online phase starts with: `all` offline rows; `part`, those of the best trajectories; `none`; `half` keeps
the offline rows apart and makes half of every minibatch of them."""

Trust = Literal["one", "zero", "stale"]
"""The trust flag of a new transition; `stale` leaves the flag of the slot it is written to."""


class Transitions(NamedTuple):
    """Columns of transitions with any leading axes [...], on the devices or on the host.

    Attributes:
        observations: [..., O].
        actions: [..., A].
        rewards: [...].
        masks: [...].
        next_observations: [..., O].
    """

    observations: AnyArray
    actions: AnyArray
    rewards: AnyArray
    masks: AnyArray
    next_observations: AnyArray


class Ring(NamedTuple):
    """What the buffers of S seeds hold besides the offline rows.

    Attributes:
        rows: the online transitions, [S, R, ...].
        trusted: the flag of every slot, [S, C].
    """

    rows: Transitions
    trusted: Array


class Replay(NamedTuple):
    """Buffers as pure functions over a `Ring`. `added` is the number of transitions each seed has added so far.

    Attributes:
        init: (trusted [S, C], O, A) -> an empty ring, on the host.
        add: (ring, transitions [S, ...], added) -> the ring with one more transition per seed.
        read: (offline rows, ring, s, slots [B], added) -> (seed number s's minibatch, whether a row is online [B]).
        sample: (offline rows, ring, s, key, B, added) -> the same of slots drawn uniformly with replacement.
        size: added -> number of slots filled.
        pointer: added -> the slot written next.
    """

    init: Callable[[Any, int, int], Any]
    add: Callable[[Ring, Transitions, Array], Ring]
    read: Callable[[Transitions, Ring, Array | int, Array, Array], tuple[Batch, Array]]
    sample: Callable[[Transitions, Ring, Array | int, Key, int, Array], tuple[Batch, Array]]
    size: Callable[[Array], Array]
    pointer: Callable[[Array], Array]


def make(*, kept: int, capacity: int, num_steps: int, half: bool = False, trust: Trust = "one") -> Replay:
    """Builds the buffers' functions.

    Args:
        kept: number of offline rows at the start, K.
        capacity: number of slots C; with `half` K more, for the offline rows are kept apart.
        num_steps: number of transitions that will be added at most; more than that are not stored.
        half: whether half of a minibatch is offline rows, which then are never overwritten.
        trust: the flag of new transitions.
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

    def init(trusted: Any, observation_size: int, action_size: int) -> Any:
        shape = len(trusted), storage
        columns = (observation_size,), (action_size,), (), (), (observation_size,)
        return Ring(Transitions(*(np.zeros(shape + column, np.float32) for column in columns)), trusted)  # pyright: ignore

    def add(ring: Ring, transitions: Transitions, added: Array) -> Ring:
        def write(column: Array, new: Array, row: Array) -> Array:
            return jax.lax.dynamic_update_slice_in_dim(column, new[:, None].astype(column.dtype), row, axis=1)

        rows = jax.tree.map(lambda column, new: write(column, new, added % storage), ring.rows, transitions)
        if trust == "stale":
            return ring._replace(rows=rows)
        flags = jnp.full(ring.trusted.shape[:1], trust == "one", ring.trusted.dtype)
        return Ring(rows, write(ring.trusted, flags, pointer(added)))

    def read(offline: Transitions, ring: Ring, seed: Array | int, slots: Array, added: Array) -> tuple[Batch, Array]:
        # The newest transition of a slot lies as many additions back as the slot lies behind the last one written.
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
        return Batch._make((*columns, trusted)), is_online

    def sample(
        offline: Transitions, ring: Ring, seed: Array | int, key: Key, batch_size: int, added: Array
    ) -> tuple[Batch, Array]:
        if half:
            offline_key, online_key = jax.random.split(key)
            of_offline = jax.random.randint(offline_key, (batch_size // 2,), 0, kept)
            of_online = jax.random.randint(online_key, (batch_size - batch_size // 2,), kept, size(added))
            slots = jnp.concatenate([of_offline, of_online])
        else:
            slots = jax.random.randint(key, (batch_size,), 0, size(added))
        return read(offline, ring, seed, slots, added)

    return Replay(init, add, read, sample, size, pointer)
