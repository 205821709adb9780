"""Run on one or two host devices: three seeds against three single runs. Prints `same` or fails.

On one device the seeds take turns; on two they are padded to four.
"""

import jax
import numpy as np

from ssar_jax.training import loop
from ssar_jax.training.trainer import OfflineTrainer
from tests.conftest import random_rows
from tests.training import small_sa

SEEDS = (3, 4, 8)


def main() -> None:
    """Trains together and alone, in chunks and in one go, through a reload and without one."""
    devices = len(jax.devices())
    data, trusted = random_rows(), np.arange(60).reshape(3, 20) % 2
    layout = loop.choose_layout(3)
    assert (layout.mesh.size, layout.rows(3), layout.vmapped) == (devices, {1: 3, 2: 4}[devices], False)
    make = {1: small_sa.make, 2: small_sa.make_base}[devices]  # the baseline compiles in half of the time
    together = OfflineTrainer(make(), data, seeds=SEEDS, trusted=trusted, batch_size=4)
    together.advance(4)
    together.load(together.states(), 4)
    metrics = together.advance(6)
    for index, seed in enumerate(SEEDS):
        alone = OfflineTrainer(make(), data, seeds=[seed], trusted=trusted[index], batch_size=4)
        alone.advance(4)
        for name, value in alone.advance(6).items():
            np.testing.assert_array_equal(value, metrics[name][index : index + 1], name)
        jax.tree.map(
            lambda a, b, i=index: np.testing.assert_array_equal(a, b[i : i + 1]), alone.states(), together.states()
        )
    print("same")


if __name__ == "__main__":
    main()
