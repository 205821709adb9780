"""SPOT's density model: trains the conditional VAE of every seed, which the states of a run then take.

Every seed trains its own. The parameters are cached under a key of everything that went in.
"""

from collections.abc import Sequence
from typing import Any, BinaryIO

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from ssar_jax.algorithms.spot import density_algorithm
from ssar_jax.data.files import open_npz, way_out
from ssar_jax.data.scaling import PreparedData
from ssar_jax.networks.vae import VAE
from ssar_jax.runs.interruption import Interruption
from ssar_jax.runs.pretraining import cache
from ssar_jax.runs.pretraining.partial_results import Unfinished
from ssar_jax.training.trainer import OfflineTrainer
from ssar_jax.types import Params

_VERSION = 2


def load_or_train(
    data: PreparedData,
    dataset_hash: str,
    *,
    seeds: Sequence[int],
    hidden_sizes: Sequence[int] = (750, 750),
    learning_rate: float = 1e-3,
    batch_size: int = 256,
    num_updates: int = 100_000,
) -> Params:
    """The density models of all seeds, trained on a dataset or taken from the cache.

    Args:
        data: the dataset as SPOT will see it.
        dataset_hash: hash of the raw dataset.
        seeds: S seeds.
        hidden_sizes: widths of the hidden layers, those of the algorithm.
        learning_rate: Adam's rate.
        batch_size: B of the density model.
        num_updates: updates of the density model.

    Returns:
        Their parameters, leaves [S, ...].

    Raises:
        Interrupted: where a signal asked to stop; what is trained so far is kept.
        UserError: where a density model diverges, or the cache is damaged or cannot be written to.
    """
    numbers = {
        "hidden_sizes": tuple(hidden_sizes),
        "learning_rate": learning_rate,
        "batch_size": batch_size,
        "num_updates": num_updates,
    }
    files = cache.cached_files(
        "density",
        ".npz",
        cache.describe(data, dataset_hash) | numbers | {"version": _VERSION},
        seeds,
        train=lambda *group: _train(data, *group, **numbers),
        save=_save,
    )
    with way_out("delete it, it is trained again"):
        per_seed = [unflatten_dict(open_npz(file), sep="/") for file in files]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *per_seed)


def install(trainer: OfflineTrainer, models: Params) -> None:
    """Puts the density models of all seeds, leaves [S, ...], into the states of a trainer of SPOT."""
    trainer.load(trainer.states()._replace(density=models), trainer.step)


def _save(stream: BinaryIO, params: Params) -> None:
    arrays: dict[str, Any] = {"/".join(path): leaf for path, leaf in flatten_dict(params).items()}
    np.savez(stream, **arrays)


def _train(
    data: PreparedData,
    seeds: list[int],
    unfinished: Unfinished,
    interruption: Interruption,
    *,
    hidden_sizes: tuple[int, ...],
    learning_rate: float,
    batch_size: int,
    num_updates: int,
) -> dict[int, Params]:
    """Trains the density models and returns the parameters of every seed."""
    network = VAE(hidden_sizes, data.transitions.actions.shape[1])
    states = cache.train(
        density_algorithm(network, learning_rate),
        data,
        seeds,
        batch_size=batch_size,
        num_updates=num_updates,
        unfinished=unfinished,
        interruption=interruption,
        title=f"density model: {num_updates:,} updates of the conditional VAE",
        loss="density/loss",
        remedy="choose a lower --config.density.learning_rate, or look for huge values in the dataset",
    )
    return {seed: jax.tree.map(lambda leaf, s=s: leaf[s], states.params) for s, seed in enumerate(seeds)}
