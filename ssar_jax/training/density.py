"""SPOT's density model: trains the conditional VAE of every seed and puts it into the states of a run.

Every seed trains its own. The parameters are cached under a key of everything that went in.
"""

from collections.abc import Sequence
from typing import Any, BinaryIO

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from ssar_jax.algorithms.spot import density_algorithm
from ssar_jax.data.files import open_npz
from ssar_jax.data.normalisation import PreparedData
from ssar_jax.networks.vae import VAE
from ssar_jax.training import pretraining
from ssar_jax.training.trainer import OfflineTrainer
from ssar_jax.training.unfinished import Unfinished
from ssar_jax.types import Params

_VERSION = 2


def install(
    trainer: OfflineTrainer,
    data: PreparedData,
    dataset_hash: str,
    *,
    hidden_sizes: Sequence[int] = (750, 750),
    learning_rate: float = 1e-3,
    batch_size: int = 256,
    num_updates: int = 100_000,
) -> None:
    """Gives the states of a trainer of SPOT their density models, trained on its data or taken from the cache.

    Args:
        trainer: of SPOT.
        data: the dataset that the trainer was given.
        dataset_hash: hash of the raw dataset.
        hidden_sizes: widths of the hidden layers, those of the algorithm.
        learning_rate: Adam's rate.
        batch_size: B of the density model.
        num_updates: updates of the density model.

    Raises:
        UserError: where the density model diverges.
    """
    numbers = {
        "hidden_sizes": tuple(hidden_sizes),
        "learning_rate": learning_rate,
        "batch_size": batch_size,
        "num_updates": num_updates,
    }
    files = pretraining.cached_files(
        "density",
        ".npz",
        pretraining.describe(data, dataset_hash) | numbers | {"version": _VERSION},
        trainer.seeds,
        train=lambda missing, unfinished: _train(data, missing, unfinished, **numbers),
        save=_save,
    )
    per_seed = [unflatten_dict(open_npz(file), sep="/") for file in files]
    params = jax.tree.map(lambda *leaves: np.stack(leaves), *per_seed)
    trainer.load(trainer.states()._replace(density=params), trainer.step)


def _save(stream: BinaryIO, params: Params) -> None:
    arrays: dict[str, Any] = {"/".join(path): leaf for path, leaf in flatten_dict(params).items()}
    np.savez(stream, **arrays)


def _train(
    data: PreparedData,
    seeds: list[int],
    unfinished: Unfinished,
    *,
    hidden_sizes: tuple[int, ...],
    learning_rate: float,
    batch_size: int,
    num_updates: int,
) -> dict[int, Params]:
    """Trains the density models and returns the parameters of every seed."""
    network = VAE(hidden_sizes, data.transitions.actions.shape[1])
    states = pretraining.train(
        density_algorithm(network, learning_rate),
        data,
        seeds,
        batch_size=batch_size,
        num_updates=num_updates,
        unfinished=unfinished,
        title=f"density model: {num_updates:,} updates of the conditional VAE",
        loss="density/loss",
        remedy="choose a lower --config.density.learning_rate, or look for huge values in the dataset",
    )
    return {seed: jax.tree.map(lambda leaf, s=s: leaf[s], states.params) for s, seed in enumerate(seeds)}
