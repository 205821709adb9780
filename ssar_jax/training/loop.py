"""The offline training loop: many updates of many seeds as one compiled program.

`jit`, donation, sharding and the mapping over seeds are used only here and in `online_loop`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding

from ssar_jax.algorithms.base import Algorithm, Phase
from ssar_jax.training.layout import REPLICATED, SEEDS, Layout, pad, seed_keys, stack_keys
from ssar_jax.transitions import Transitions
from ssar_jax.types import Array, Average, Batch, Key, Metrics


class TrainingData(NamedTuple):
    """A prepared dataset on the devices.

    Attributes:
        transitions: the N rows, on every device.
        trusted: the selected rows of every seed, [S, N].
    """

    transitions: Transitions
    trusted: Array


def initial_states(
    algorithm: Algorithm, seeds: Sequence[int], layout: Layout, observation_size: int, action_size: int
) -> Any:
    """Initializes every seed and spreads the states over the devices.

    Args:
        algorithm: the algorithm.
        seeds: S seeds; the last one is repeated to fill all devices.
        layout: the layout of the seeds.
        observation_size: observation size O.
        action_size: action size A.

    Returns:
        The states, leaves [rows, ...].
    """
    keys = jnp.stack([seed_keys(seed).init for seed in pad(list(seeds), layout)])
    shapes = jnp.zeros((1, observation_size)), jnp.zeros((1, action_size))
    # In a loop: under vmap, batched matrix decompositions and draws may round differently from single ones.
    init = jax.jit(lambda keys: jax.lax.map(lambda key: algorithm.init(key, *shapes), keys))
    return jax.device_put(init(keys), NamedSharding(layout.mesh, SEEDS))


def abstract_states(algorithm: Algorithm, num_seeds: int, observation_size: int, action_size: int) -> Any:
    """Returns shapes and types of the states without computing them.

    Args:
        algorithm: the algorithm.
        num_seeds: number of seeds S.
        observation_size: observation size O.
        action_size: action size A.

    Returns:
        The states of all seeds as `jax.ShapeDtypeStruct`, leaves [S, ...].
    """
    shapes = (
        jax.ShapeDtypeStruct((1, observation_size), jnp.float32),
        jax.ShapeDtypeStruct((1, action_size), jnp.float32),
    )
    state = jax.eval_shape(algorithm.init, jax.random.key(0), *shapes)
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((num_seeds, *leaf.shape), leaf.dtype), state)


def place_data(transitions: Transitions, trusted: np.ndarray, seeds: Sequence[int], layout: Layout) -> TrainingData:
    """Copies a dataset to every device.

    Args:
        transitions: N rows on the host.
        trusted: the selected rows, [N] for all seeds or [S, N].
        seeds: S seeds.
        layout: the layout of the seeds.

    Returns:
        The dataset on the devices.
    """
    per_seed = np.broadcast_to(trusted, (len(seeds), trusted.shape[-1]))
    rows = per_seed[pad(list(range(len(seeds))), layout)]
    return TrainingData(
        transitions=jax.device_put(transitions, NamedSharding(layout.mesh, REPLICATED)),
        trusted=jax.device_put(rows, NamedSharding(layout.mesh, SEEDS)),
    )


def make_chunk(
    algorithm: Algorithm, seeds: Sequence[int], layout: Layout, *, batch_size: int, phase: Phase
) -> Callable[[Any, TrainingData, int, int], tuple[Any, dict[str, Array]]]:
    """Compiles a function that performs a number of updates of every seed.

    The number is an argument of the compiled program, so that chunks of any length share one compilation.
    The random numbers of update i of a seed are a function of that seed and i; they do not depend on the other seeds
    or the lengths of the chunks.

    Args:
        algorithm: the algorithm to train.
        seeds: S seeds.
        layout: the layout of the seeds.
        batch_size: minibatch size B.
        phase: phase of the updates.

    Returns:
        A function (states, data, start, stop) -> (states, metrics) that performs the updates start + 1 to stop.
        States are donated. Metrics are means over the chunk, [rows]; NaN if a metric did not occur.
    """
    keys = stack_keys(seeds, layout).update
    train_seed = partial(_train_seed, algorithm, batch_size, phase)

    def train_device(states: Any, data: TrainingData, keys: Key, start: Array, stop: Array) -> tuple[Any, Any]:
        def train(state: Any, trusted: Array, key: Key) -> tuple[Any, dict[str, Array]]:
            return train_seed(state, data._replace(trusted=trusted), key, start, stop)

        if layout.vmapped:
            return jax.vmap(train)(states, data.trusted, keys)
        return jax.lax.map(lambda seed: train(*seed), (states, data.trusted, keys))

    data_specs = TrainingData(transitions=REPLICATED, trusted=SEEDS)  # pyright: ignore[reportArgumentType]
    sharded = jax.shard_map(
        train_device,
        mesh=layout.mesh,
        in_specs=(SEEDS, data_specs, SEEDS, REPLICATED, REPLICATED),
        out_specs=SEEDS,
        check_vma=False,
    )
    compiled = jax.jit(sharded, donate_argnums=0)
    return lambda states, data, start, stop: compiled(states, data, keys, start, stop)


def _train_seed(
    algorithm: Algorithm,
    batch_size: int,
    phase: Phase,
    state: Any,
    data: TrainingData,
    key: Key,
    start: Array,
    stop: Array,
) -> tuple[Any, dict[str, Array]]:
    @jax.jit  # so that `eval_shape` and the loop share one trace
    def one_update(state: Any, step: Array) -> tuple[Any, Metrics]:
        index_key, draw_key = jax.random.split(jax.random.fold_in(key, step))
        batch = sample(data, index_key, batch_size)
        draws = algorithm.draw(draw_key, batch)
        return algorithm.update(state, batch, draws, step=step, annealing=1.0, phase=phase)

    def accumulate(i: Array, carry: tuple[Any, Metrics]) -> tuple[Any, Metrics]:
        state, metrics = one_update(carry[0], i + 1)
        return state, jax.tree.map(jnp.add, carry[1], metrics)

    shapes = jax.eval_shape(one_update, state, start)[1]
    _require_averages(shapes)
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    state, sums = jax.lax.fori_loop(start, stop, accumulate, (state, zeros))
    return state, {name: average.total / average.weight for name, average in sums.items()}


def _require_averages(metrics: Any) -> None:
    """Requires the metrics of a custom algorithm to be averages of scalars, naming the one that is not."""
    for name, metric in metrics.items():
        if not isinstance(metric, Average) or metric.total.shape or metric.weight.shape:
            raise TypeError(f"the metric {name!r} must be an Average of scalars, as returned by ops.trees.averages")


def sample(data: TrainingData, key: Key, batch_size: int) -> Batch:
    """Draws a minibatch uniformly with replacement.

    Args:
        data: a dataset with `trusted` of one seed, [N].
        key: random key.
        batch_size: minibatch size B.

    Returns:
        The minibatch, leaves [B, ...].
    """
    rows = jax.random.randint(key, (batch_size,), 0, data.transitions.rewards.shape[0])
    columns: Any = jax.tree.map(lambda column: column[rows], data.transitions)
    return Batch(**columns._asdict(), trusted=data.trusted[rows])
