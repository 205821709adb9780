"""The memory of the devices that train: what is placed on each of them, and what is free there."""

from typing import Any, NamedTuple

import jax
import numpy as np

from ssar_jax.algorithms.base import Algorithm
from ssar_jax.data.memory import available_memory
from ssar_jax.errors import UserError
from ssar_jax.training.layout import Layout
from ssar_jax.training.loop import abstract_states
from ssar_jax.transitions import Transitions


class DeviceMemory(NamedTuple):
    """What a run places on each device, without the working memory of an update.

    Attributes:
        num_devices: number of devices D.
        shared: size of the dataset, of which every device has a copy, in bytes.
        own: size of what the seeds on one device have for themselves, in bytes.
        seeds_per_device: number of these seeds, including padding.
    """

    num_devices: int
    shared: int
    own: int
    seeds_per_device: int

    def describe(self) -> str:
        """Returns sizes and devices in words."""
        where = "" if self.num_devices == 1 else f" on each of {self.num_devices} devices"
        seeds = "1 seed" if self.seeds_per_device == 1 else f"{self.seeds_per_device} seeds"
        return f"dataset {self.shared / 2**20:,.1f} MiB, {seeds} {self.own / 2**20:,.1f} MiB{where}"

    def require_free(self, what: str, remedy: str) -> None:
        """Requires the memory to be free; does nothing if the backend does not report it.

        Args:
            what: what needs the memory, in the plural, for the message.
            remedy: what needs less, for the message.

        Raises:
            UserError: if there is less.
        """
        need, where = self.shared + self.own, ""
        device = jax.devices()[0]
        if device.platform == "cpu":  # its devices are threads, which share the machine's memory
            need, free = need * self.num_devices, available_memory()
        else:
            statistics = device.memory_stats()
            free = statistics["bytes_limit"] - statistics["bytes_in_use"] if statistics else None
            where = f" on each of {self.num_devices} devices" if self.num_devices > 1 else ""
        if free is not None and need > free:
            raise UserError(f"{what} need {need / 2**30:.1f} GiB{where}, {free / 2**30:.1f} GiB are free: {remedy}")


def offline_memory(algorithm: Algorithm, transitions: Transitions, num_seeds: int, layout: Layout) -> DeviceMemory:
    """Computes what the offline phase places on each device: the dataset; states and trust flags of its seeds.

    Args:
        algorithm: the algorithm.
        transitions: N rows.
        num_seeds: number of seeds S.
        layout: the layout of the seeds.
    """
    rows, observation_size = transitions.observations.shape
    state = abstract_states(algorithm, 1, observation_size, transitions.actions.shape[1])
    flags = rows * np.dtype(np.float32).itemsize
    return on_devices(total_bytes(transitions), total_bytes(state) + flags, num_seeds, layout)


def on_devices(shared: int, own: int, num_seeds: int, layout: Layout) -> DeviceMemory:
    """Spreads seeds over devices.

    Args:
        shared: bytes of which every device has a copy.
        own: bytes of each seed.
        num_seeds: number of seeds S.
        layout: the layout of the seeds.
    """
    per_device = layout.rows(num_seeds) // layout.mesh.size
    return DeviceMemory(layout.mesh.size, shared, per_device * own, per_device)


def total_bytes(tree: Any) -> int:
    """Returns the size of all arrays of a tree, or of shapes and types.

    Args:
        tree: the tree.
    """
    return sum(leaf.dtype.itemsize * int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))
