"""Layout of the seeds: how they are spread over devices, and how arrays are placed there.

Seeds are first spread over the devices. Within a device they run in a loop on a CPU, where matrix products are the
bottleneck and batching does not speed them up, and under `vmap` on an accelerator.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ssar_jax.networks.backend import is_batched
from ssar_jax.types import Array, Key

SEEDS = PartitionSpec("seeds")
REPLICATED = PartitionSpec()


class Layout(NamedTuple):
    """How seeds are spread over devices.

    Attributes:
        mesh: devices along one axis, `seeds`.
        vmapped: whether the seeds of a device run under `vmap`; otherwise they run in a loop.
    """

    mesh: Mesh
    vmapped: bool

    def rows(self, num_seeds: int) -> int:
        """Returns the length of the leading axis: the number of seeds, rounded up to a multiple of the devices.

        Args:
            num_seeds: number of seeds S.
        """
        return -(-num_seeds // self.mesh.size) * self.mesh.size


def choose_layout(num_seeds: int, vmapped: bool | None = None) -> Layout:
    """Spreads seeds over the devices of the default backend, using at most one device per seed.

    Args:
        num_seeds: number of seeds S.
        vmapped: whether to use `vmap`, see `Layout`; None uses it on accelerators, unless `use_layout` says otherwise.

    Returns:
        The layout.
    """
    devices = jax.devices()[:num_seeds]
    return Layout(Mesh(np.array(devices), ("seeds",)), is_batched() if vmapped is None else vmapped)


def groups(num_seeds: int, layout: Layout) -> list[slice]:
    """Divides seeds into groups that are trained one after another: all seeds under `vmap`, else one per device.

    Args:
        num_seeds: number of seeds S.
        layout: the layout of the seeds.

    Returns:
        The seeds of every group, as slices.
    """
    size = num_seeds if layout.vmapped else layout.mesh.size
    return [slice(first, first + size) for first in range(0, num_seeds, size)]


class SeedKeys(NamedTuple):
    """The random keys of one seed, which do not depend on the other seeds.

    Attributes:
        init: key of the initialization.
        update: key of the updates; to be folded with the number of the update.
        act: key of the actions in the online phase; to be folded with the environment step.
    """

    init: Key
    update: Key
    act: Key


def seed_keys(seed: int) -> SeedKeys:
    """Derives the keys of a seed.

    Args:
        seed: the seed.
    """
    return SeedKeys(*jax.random.split(jax.random.key(seed), 3))


def stack_keys(seeds: Sequence[int], layout: Layout) -> SeedKeys:
    """Derives the keys of all seeds and spreads them over the devices.

    Args:
        seeds: S seeds.
        layout: the layout of the seeds.

    Returns:
        The keys, each [rows].
    """
    keys = [seed_keys(seed) for seed in pad(list(seeds), layout)]
    sharding = NamedSharding(layout.mesh, SEEDS)
    return SeedKeys(*(jax.device_put(jnp.stack(column), sharding) for column in zip(*keys, strict=True)))


def place_states(states: Any, layout: Layout) -> Any:
    """Spreads states over the devices; the last row is repeated to fill them.

    Args:
        states: states of all seeds, leaves [S, ...] on the host.
        layout: the layout of the seeds.

    Returns:
        The states, leaves [rows, ...] on the devices.
    """

    def place(leaf: np.ndarray) -> Array:
        missing = layout.rows(len(leaf)) - len(leaf)
        return jax.device_put(np.concatenate([leaf, *[leaf[-1:]] * missing]), NamedSharding(layout.mesh, SEEDS))

    return jax.tree.map(place, states)


def pad(items: list, layout: Layout) -> list:
    """Repeats the last item until all devices have the same number of items.

    Args:
        items: one item per seed.
        layout: the layout of the seeds.

    Returns:
        One item per row.
    """
    return items + items[-1:] * (layout.rows(len(items)) - len(items))
