"""S seeds in one program equal S single runs, for the real algorithm and every layout of the seeds."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from ssar_jax.training import loop
from ssar_jax.training.layout import choose_layout
from ssar_jax.training.trainer import OfflineTrainer
from tests.conftest import random_rows
from tests.training import small_sa

ROOT = Path(__file__).parents[2]
SEEDS = (3, 4, 8)


def train(seeds, *chunks, vmapped=None, algorithm=None):
    trainer = OfflineTrainer(
        algorithm or small_sa.make(),
        random_rows(),
        seeds=seeds,
        trusted=np.arange(20) % 2,
        batch_size=4,
        layout=choose_layout(len(seeds), vmapped),
    )
    metrics = [trainer.advance(length) for length in chunks]
    return trainer.states(), metrics[-1]


@pytest.fixture(scope="module")
def single_runs():
    """States and metrics of ten updates of every seed, alone."""
    return [train([seed], 10) for seed in SEEDS]


@pytest.fixture(scope="module")
def looped():
    """States and metrics of ten updates of all seeds in one program."""
    return train(SEEDS, 10)


@pytest.mark.slow
def test_vmapped_seeds_equal_single_runs_to_rounding(single_runs):
    """Batched products round differently: 1e-6 after ten updates."""
    states, _ = train(SEEDS, 10, vmapped=True)
    for index, (alone, _) in enumerate(single_runs):
        jax.tree.map(lambda a, b, i=index: np.testing.assert_allclose(a, b[i : i + 1], atol=1e-6), alone, states)


def test_seeds_differ_and_training_moves_everything(looped):
    """Otherwise the equalities above would mean little."""
    states, metrics = looped
    start = loop.initial_states(small_sa.make(), SEEDS, choose_layout(3), 3, 2)
    for name in ("actor", "target_actor", "critics", "target_critics"):
        for trained, initial in zip(*map(jax.tree.leaves, (getattr(states, name), getattr(start, name))), strict=True):
            if trained[0].size > 1:  # not the last bias of a critic, whose initial value is zero for all seeds
                assert not np.array_equal(trained, initial), name
                assert not np.array_equal(trained[0], trained[1]), name
    assert not np.array_equal(metrics["critic/loss"][0], metrics["critic/loss"][1])


def test_the_real_algorithm_compiles_once_for_chunks_of_any_length(looped):
    """Counted as Python calls of `update`; and 4 + 4 + 2 updates are ten, bit for bit."""
    algorithm, calls = small_sa.make(), []

    def update(*arguments, **options):
        calls.append(options["phase"])
        return algorithm.update(*arguments, **options)

    states, _ = train(SEEDS, 4, 4, 2, algorithm=algorithm._replace(update=update))
    assert calls == ["offline"]
    jax.tree.map(np.testing.assert_array_equal, states, looped[0])


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
def test_seeds_equal_single_runs_bit_for_bit(devices):
    """In a subprocess, because the number of devices is fixed when JAX starts.

    So is XLA's code generator; with that of the default suite, programs of one seed and of several round differently.
    """
    result = subprocess.run(
        [sys.executable, "-m", "tests.training.seeds_on_devices"],
        cwd=ROOT,
        env=os.environ | {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (result.returncode, result.stdout) == (0, "same\n"), result.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("devices", "bound"), [(1, 0.0), (2, 1e-6)])
def test_seeds_at_the_published_widths(devices, bound):
    """Programs for several devices round differently from those for one, by 1.2e-7 when it was measured."""
    result = subprocess.run(
        [sys.executable, "-m", "tests.training.seeds_at_real_width"],
        cwd=ROOT,
        env=os.environ
        | {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices} --xla_cpu_multi_thread_eigen=false"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    assert float(result.stdout) <= bound


def test_loaded_states_do_not_compile_again():
    """Their types must be those of fresh states, weak types included."""
    algorithm, calls = small_sa.make(), []

    def update(*arguments, **options):
        calls.append(options["phase"])
        return algorithm.update(*arguments, **options)

    trainer = OfflineTrainer(algorithm._replace(update=update), random_rows(), batch_size=4)
    trainer.advance(2)
    trainer.load(trainer.states(), 2)
    trainer.advance(2)
    assert calls == ["offline"]
