"""Models that an algorithm needs first, such as SPOT's density model.

They are trained for every seed and cached under a key of everything that determines their parameters.
"""

from collections.abc import Sequence
from typing import Any, BinaryIO

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from ssar_jax.algorithms.base import Algorithm, Pretraining
from ssar_jax.data.scaling import PreparedData
from ssar_jax.errors import UserError
from ssar_jax.files import add_hint, open_npz
from ssar_jax.runs.interruption import Interruption
from ssar_jax.runs.pretraining import cache
from ssar_jax.runs.pretraining.partial_results import PartialResult
from ssar_jax.types import Params

_VERSION = 3


def pretrain(algorithm: Algorithm, data: PreparedData, dataset_hash: str, *, seeds: Sequence[int]) -> Params:
    """Trains the model that an algorithm needs first for every seed, or reads it from the cache.

    Args:
        algorithm: the algorithm, whose `pretraining` describes the model.
        data: the dataset as prepared for the algorithm.
        dataset_hash: hash of the raw dataset, `OfflineDataset.content_hash`.
        seeds: S seeds.

    Returns:
        The parameters, leaves [S, ...], for `OfflineTrainer.install_pretrained`.

    Raises:
        Interrupted: if a signal stopped the training; the progress is saved.
        UserError: if the algorithm needs no model, a model diverges, or the cache is damaged or not writable.
    """
    wanted = algorithm.pretraining
    if wanted is None:
        raise UserError("this algorithm needs no pretrained model: leave `pretrain` out")
    files = cache.cached_files(
        wanted.name,
        ".npz",
        cache.describe(data, dataset_hash) | wanted.recipe | {"version": _VERSION},
        seeds,
        train=lambda *group: _train(wanted, data, *group),
        save=_save,
    )
    with add_hint("delete it to train again"):
        per_seed = [unflatten_dict(open_npz(file), sep="/") for file in files]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *per_seed)


def _save(stream: BinaryIO, params: Params) -> None:
    arrays: dict[str, Any] = {"/".join(path): leaf for path, leaf in flatten_dict(params).items()}
    np.savez(stream, **arrays)


def _train(
    wanted: Pretraining, data: PreparedData, seeds: list[int], partial_result: PartialResult, interruption: Interruption
) -> dict[int, Params]:
    """Trains the models and returns the parameters by seed."""
    states = cache.train(
        wanted.algorithm,
        data,
        seeds,
        batch_size=wanted.batch_size,
        num_updates=wanted.num_updates,
        partial_result=partial_result,
        interruption=interruption,
        title=wanted.title,
        loss=wanted.loss,
        remedy=wanted.remedy,
    )
    params = wanted.extract(states)
    return {seed: jax.tree.map(lambda leaf, s=s: leaf[s], params) for s, seed in enumerate(seeds)}
