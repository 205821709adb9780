"""Run on one or two host devices: two seeds of TD3+BC(SA) at its published widths against two single runs.

Prints the largest difference of a parameter after 20 updates.
"""

import jax
import numpy as np

from configs import td3_bc
from experiments.benchmarking.measurements import random_data
from ssar_jax.algorithms import registry
from ssar_jax.training.trainer import OfflineTrainer

SEEDS = (3, 4)
UPDATES = 20


def main() -> None:
    """Compares all leaves of the states."""
    algorithm = registry.build(td3_bc.get_config("halfcheetah-m"), action_size=6)
    data = random_data(17, 6, 5_000)

    def train(seeds: tuple[int, ...]) -> list[np.ndarray]:
        trainer = OfflineTrainer(algorithm, data, seeds=seeds)
        trainer.advance(UPDATES)
        return jax.tree.leaves(trainer.states())

    together = train(SEEDS)
    differences = [
        np.abs(np.float64(leaf) - np.float64(alone)).max()
        for index, seed in enumerate(SEEDS)
        for leaf, alone in zip((leaf[index] for leaf in together), (leaf[0] for leaf in train((seed,))), strict=True)
    ]
    print(max(differences))


if __name__ == "__main__":
    main()
