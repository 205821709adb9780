"""The XLA flags of entry points, and a run on two devices that equals two runs on one."""

import csv
import json

import jax
import numpy as np
import pytest

from experiments.cli import devices
from tests.smoke import small_run


@pytest.fixture
def environment(monkeypatch):
    """Returns a function that returns XLA's flags for a number of seeds on a number of cores."""

    def flags_of(num_seeds, cores, flags=None):
        monkeypatch.setattr(devices.os, "sched_getaffinity", lambda process: set(range(cores)))
        monkeypatch.setattr(devices.os, "environ", {} if flags is None else {"XLA_FLAGS": flags})
        devices.one_per_seed(num_seeds)
        return devices.os.environ.get("XLA_FLAGS")

    return flags_of


@pytest.mark.parametrize(("num_seeds", "cores", "count"), [(2, 2, 2), (5, 2, 2), (2, 8, 2), (3, 4, 3)])
def test_several_seeds_get_a_device_each_as_far_as_there_are_cores(environment, num_seeds, cores, count):
    flags = environment(num_seeds, cores).split()
    assert flags == [f"--xla_force_host_platform_device_count={count}", "--xla_cpu_multi_thread_eigen=false"]


@pytest.mark.parametrize(("num_seeds", "cores"), [(1, 8), (5, 1)])
def test_one_seed_or_one_core_asks_for_nothing(environment, num_seeds, cores):
    assert environment(num_seeds, cores) is None


@pytest.mark.parametrize(("num_seeds", "synchronous"), [(1, True), (2, False)])
def test_one_seed_computes_in_the_calling_thread(environment, monkeypatch, num_seeds, synchronous):
    """Two devices that compute in the calling thread would not run in parallel."""
    updates = []
    monkeypatch.setattr(jax.config, "update", lambda *update: updates.append(update))
    environment(num_seeds, 2)
    assert updates == [("jax_cpu_enable_async_dispatch", False)] * synchronous


@pytest.mark.parametrize("flags", ["", "--xla_cpu_enable_fast_math=false"])
def test_flags_of_the_users_stay_as_they_are(environment, flags):
    assert environment(2, 2, flags) == flags


@pytest.mark.slow
def test_two_seeds_on_two_devices_equal_two_runs(dataset, tmp_path):
    """Three processes with the same flags; tables and states are equal bit for bit."""
    flags = "--xla_force_host_platform_device_count=2 --xla_cpu_multi_thread_eigen=false"
    runs = {
        "both": ("--config.num_seeds=2",),
        "0": ("--config.seed=0",),
        "1": ("--config.seed=1",),
    }
    for name, others in runs.items():
        arguments = small_run.flags(dataset, f"--workdir={tmp_path / name}", *others)
        status, _, messages = small_run.finish(small_run.start(*arguments, XLA_FLAGS=flags))
        assert status == 0, messages
    versions = json.loads((tmp_path / "both" / "versions.json").read_text())
    assert versions["device"].startswith("2 x ")
    assert versions["environment"]["XLA_FLAGS"] == flags
    for seed in (0, 1):
        for name in ("train.csv", "eval.csv"):
            rows = [
                list(csv.DictReader((tmp_path / run / name).read_text().splitlines())) for run in ("both", str(seed))
            ]
            assert [row for row in rows[0] if row["seed"] == str(seed)] == rows[1]
        single, together = small_run.states(tmp_path / str(seed)), small_run.states(tmp_path / "both")
        jax.tree.map(lambda a, b, s=seed: np.testing.assert_array_equal(a, b[s : s + 1]), single, together)
