"""The projected memory of the devices, by hand and against what is placed there."""

import jax
import numpy as np
import pytest
from jax.sharding import Mesh

from ssar_jax.algorithms import td3_bc
from ssar_jax.training import device_memory, loop
from ssar_jax.training.device_memory import DeviceMemory, offline_memory, on_devices
from ssar_jax.training.layout import Layout, choose_layout
from tests.conftest import random_rows
from tests.data.helpers import user_error

GIB = 2**30


def layout_of(devices):
    """A layout that names one device several times; nothing is placed there."""
    return Layout(Mesh(np.array(jax.devices() * devices), ("seeds",)), vmapped=False)


@pytest.mark.parametrize(("seeds", "devices", "per_device"), [(1, 1, 1), (5, 1, 5), (5, 2, 3), (4, 4, 1)])
def test_seeds_are_spread_over_the_devices_and_data_are_copied(seeds, devices, per_device):
    memory = on_devices(100, 7, seeds, layout_of(devices))
    assert memory == DeviceMemory(devices, 100, 7 * per_device, per_device)


def test_the_projection_is_what_is_placed():
    algorithm, data, seeds = td3_bc.td3_bc(2), random_rows(), (0, 1, 2)
    layout = choose_layout(len(seeds))
    states = loop.initial_states(algorithm, seeds, layout, 3, 2)
    placed = loop.place_data(data.transitions, np.ones(20, np.float32), seeds, layout)
    memory = offline_memory(algorithm, data.transitions, len(seeds), layout)
    assert memory.shared == sum(leaf.nbytes for leaf in jax.tree.leaves(placed.transitions))
    assert memory.own == sum(leaf.nbytes for leaf in jax.tree.leaves((states, placed.trusted)))


def test_it_says_how_much_is_where():
    assert DeviceMemory(1, 2**20, 2**19, 1).describe() == "dataset 1.0 MiB, 1 seed 0.5 MiB"
    text = "dataset 1.0 MiB, 2 seeds 3.0 MiB on each of 4 devices"
    assert DeviceMemory(4, 2**20, 3 * 2**20, 2).describe() == text


def test_the_devices_of_a_cpu_share_its_memory(monkeypatch):
    monkeypatch.setattr(device_memory, "available_memory", lambda: 6 * GIB)
    DeviceMemory(2, 2 * GIB, GIB, 1).require_free("the data", "use less")
    with user_error("the data need 9.0 GiB, 6.0 GiB are free: use less"):
        DeviceMemory(3, 2 * GIB, GIB, 1).require_free("the data", "use less")
    monkeypatch.setattr(device_memory, "available_memory", lambda: None)
    DeviceMemory(3, 2 * GIB, GIB, 1).require_free("the data", "use less")


def test_an_accelerator_has_its_own_memory(monkeypatch):
    class Accelerator:
        platform = "gpu"
        statistics = {"bytes_limit": 5 * GIB, "bytes_in_use": 2 * GIB}  # noqa: RUF012

        def memory_stats(self):
            return self.statistics

    monkeypatch.setattr(jax, "devices", lambda: [Accelerator()] * 4)
    DeviceMemory(4, 2 * GIB, GIB, 1).require_free("the data", "use less")
    with user_error("the data need 3.5 GiB on each of 4 devices, 3.0 GiB are free: use less"):
        DeviceMemory(4, 2 * GIB, 3 * GIB // 2, 1).require_free("the data", "use less")
    monkeypatch.setattr(Accelerator, "statistics", None)
    DeviceMemory(4, 2 * GIB, 3 * GIB, 1).require_free("the data", "use less")
