"""Run on one or two host devices: three seeds against three single runs. Prints `same` or fails.

On one device the seeds run in a loop; on two they are padded to four. Offline, and on two devices also online.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from ssar_jax.algorithms.base import Algorithm
from ssar_jax.training.layout import choose_layout
from ssar_jax.training.trainer import OfflineTrainer
from tests.conftest import random_rows
from tests.training import small_sa
from tests.training.small_tuner import fine_tuner, make_dataset

SEEDS = (3, 4, 8)


def train(make: Callable[..., Algorithm]) -> None:
    """Compares training together, with a reload, with training alone."""
    data, trusted = random_rows(), np.arange(60).reshape(3, 20) % 2
    together = OfflineTrainer(make(), data, seeds=SEEDS, trusted=trusted, batch_size=4)
    together.advance(4)
    together.load(together.states(), 4)
    metrics = together.advance(6)
    for index, seed in enumerate(SEEDS):
        alone = OfflineTrainer(make(), data, seeds=[seed], trusted=trusted[index], batch_size=4)
        alone.advance(4)
        require_same(alone.advance(6), metrics, index)
        require_same(alone.states(), together.states(), index)


def fine_tune() -> None:
    """The same in environments, with an algorithm that compiles fast; the third seed is padded with a copy."""
    dataset, options = make_dataset(), {"noise": 0.1, "num_steps": 10}
    together = fine_tuner(dataset, seeds=SEEDS, **options)
    together.advance(10)
    for index in (1, 2):
        alone = fine_tuner(dataset, seeds=SEEDS[index : index + 1], **options)
        alone.advance(10)
        assert alone.finished_returns[0] == together.finished_returns[index]
        require_same(alone.save()[:2], together.save()[:2], index)


def require_same(alone: Any, together: Any, index: int) -> None:
    """Compares the leaves [1, ...] of one seed with its rows in those of all."""
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b[index : index + 1]), alone, together)


def main() -> None:
    """Runs both phases in the layout that this number of devices gives."""
    devices, layout = len(jax.devices()), choose_layout(3)
    assert (layout.mesh.size, layout.rows(3), layout.vmapped) == (devices, {1: 3, 2: 4}[devices], False)
    make = {1: small_sa.make, 2: small_sa.make_base}[devices]  # the baseline compiles in half of the time
    train(make)
    if devices == 2:  # on one, a seed runs the very program of a single run
        fine_tune()
    print("same")


if __name__ == "__main__":
    main()
