"""The hot path: many updates of many seeds as one compiled program.

Here and in `online_loop` stand the hot path's `jit`, donation, sharding and mapping over seeds. Seeds are first spread
over the devices. Within a device they run in a loop on a CPU, where matrix products are the limit and batching them
gains nothing, and under `vmap` on an accelerator.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ssar_jax.algorithms.base import Algorithm, Phase
from ssar_jax.types import Array, Average, Batch, Key, Metrics

SEEDS = PartitionSpec("seeds")
REPLICATED = PartitionSpec()


class Layout(NamedTuple):
    """Where seeds live.

    Attributes:
        mesh: one axis of devices, `seeds`.
        vmapped: whether the seeds of a device are vmapped, or else looped over.
    """

    mesh: Mesh
    vmapped: bool

    def rows(self, num_seeds: int) -> int:
        """Length of the leading axis: the number of seeds, rounded up to fill all devices."""
        return -(-num_seeds // self.mesh.size) * self.mesh.size


class TrainingData(NamedTuple):
    """A prepared dataset on the devices.

    Attributes:
        observations: [N, O].
        actions: [N, A].
        rewards: [N].
        masks: [N].
        next_observations: [N, O].
        trusted: [S, N], the selected rows of each seed.
    """

    observations: Array
    actions: Array
    rewards: Array
    masks: Array
    next_observations: Array
    trusted: Array


def choose_layout(num_seeds: int, vmapped: bool | None = None) -> Layout:
    """Spreads seeds over the default backend's devices, no more of them than there are seeds.

    Args:
        num_seeds: S.
        vmapped: see `Layout`; None takes a loop on a CPU and `vmap` elsewhere.
    """
    devices = jax.devices()[:num_seeds]
    if vmapped is None:
        vmapped = jax.default_backend() != "cpu"
    return Layout(Mesh(np.array(devices), ("seeds",)), vmapped)


def groups(num_seeds: int, layout: Layout) -> list[slice]:
    """Which seeds to train at a time, where one group can follow another: all under `vmap`, else one per device."""
    size = num_seeds if layout.vmapped else layout.mesh.size
    return [slice(first, first + size) for first in range(0, num_seeds, size)]


class SeedKeys(NamedTuple):
    """The keys of one seed, in which no other seed has a part.

    Attributes:
        init: of its initialisation.
        update: of its updates, folded with their numbers.
        act: of its actions in the online phase, folded with the environment steps.
    """

    init: Key
    update: Key
    act: Key


def seed_keys(seed: int) -> SeedKeys:
    """Derives the keys of a seed."""
    return SeedKeys(*jax.random.split(jax.random.key(seed), 3))


def stack_keys(seeds: Sequence[int], layout: Layout) -> SeedKeys:
    """The keys of all seeds, each [rows], where the seeds live."""
    keys = [seed_keys(seed) for seed in pad(list(seeds), layout)]
    sharding = NamedSharding(layout.mesh, SEEDS)
    return SeedKeys(*(jax.device_put(jnp.stack(column), sharding) for column in zip(*keys, strict=True)))


def initial_states(
    algorithm: Algorithm, seeds: Sequence[int], layout: Layout, observation_size: int, action_size: int
) -> Any:
    """Initialises every seed and stacks the states, [rows, ...], spread over the devices.

    Where the seeds do not fill all devices, the last one is repeated; the copies are never looked at.
    """
    keys = jnp.stack([seed_keys(seed).init for seed in pad(list(seeds), layout)])
    shapes = jnp.zeros((1, observation_size)), jnp.zeros((1, action_size))
    # A loop, not vmap: batched matrix decompositions and draws may round differently from single ones.
    init = jax.jit(lambda keys: jax.lax.map(lambda key: algorithm.init(key, *shapes), keys))
    return jax.device_put(init(keys), NamedSharding(layout.mesh, SEEDS))


def abstract_states(algorithm: Algorithm, num_seeds: int, observation_size: int, action_size: int) -> Any:
    """Shapes and types of the states of S seeds, leaves [S, ...], without computing any."""
    shapes = (
        jax.ShapeDtypeStruct((1, observation_size), jnp.float32),
        jax.ShapeDtypeStruct((1, action_size), jnp.float32),
    )
    state = jax.eval_shape(algorithm.init, jax.random.key(0), *shapes)
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((num_seeds, *leaf.shape), leaf.dtype), state)


def place_states(states: Any, layout: Layout) -> Any:
    """Spreads states of S seeds, leaves [S, ...] on the host, over the devices."""

    def place(leaf: np.ndarray) -> Array:
        missing = layout.rows(len(leaf)) - len(leaf)
        return jax.device_put(np.concatenate([leaf, *[leaf[-1:]] * missing]), NamedSharding(layout.mesh, SEEDS))

    return jax.tree.map(place, states)


def place_data(
    columns: Sequence[np.ndarray], trusted: np.ndarray, seeds: Sequence[int], layout: Layout
) -> TrainingData:
    """Puts a dataset on every device.

    Args:
        columns: observations, actions, rewards, masks and next observations.
        trusted: [N] for all seeds, or [S, N].
        seeds: S seeds.
        layout: where they live.
    """
    per_seed = np.broadcast_to(trusted, (len(seeds), trusted.shape[-1]))
    rows = per_seed[pad(list(range(len(seeds))), layout)]
    arrays = [jax.device_put(column, NamedSharding(layout.mesh, REPLICATED)) for column in columns]
    return TrainingData._make([*arrays, jax.device_put(rows, NamedSharding(layout.mesh, SEEDS))])


def make_chunk(
    algorithm: Algorithm, seeds: Sequence[int], layout: Layout, *, batch_size: int, phase: Phase
) -> Callable[[Any, TrainingData, int, int], tuple[Any, dict[str, Array]]]:
    """Compiles a function that takes every seed through a number of updates.

    The number is an argument of the compiled program, so that chunks of any length share one compilation.
    The random numbers of update i of a seed depend on that seed and i alone: neither the other seeds nor the
    lengths of the chunks change them.

    Args:
        algorithm: what to train.
        seeds: S seeds.
        layout: where they live.
        batch_size: B.
        phase: which phase the updates belong to.

    Returns:
        A function (states, data, start, stop) -> (states, metrics) that performs the updates start + 1 to stop.
        States are donated. Metrics are means over the chunk, [rows]; NaN where a metric did not occur.
    """
    keys = stack_keys(seeds, layout).update
    train_seed = partial(_train_seed, algorithm, batch_size, phase)

    def train_device(states: Any, data: TrainingData, keys: Key, start: Array, stop: Array) -> tuple[Any, Any]:
        def train(state: Any, trusted: Array, key: Key) -> tuple[Any, dict[str, Array]]:
            return train_seed(state, data._replace(trusted=trusted), key, start, stop)

        if layout.vmapped:
            return jax.vmap(train)(states, data.trusted, keys)
        return jax.lax.map(lambda seed: train(*seed), (states, data.trusted, keys))

    data_specs = TrainingData._make([REPLICATED] * 5 + [SEEDS])
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
    @jax.jit  # traced once, although its shapes are asked for before it runs
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
    """Says of an algorithm of one's own what JAX would say in riddles."""
    for name, metric in metrics.items():
        if not isinstance(metric, Average) or metric.total.shape or metric.weight.shape:
            raise TypeError(f"the metric {name!r} must be an Average of scalars, as ops.trees.averages makes them")


def sample(data: TrainingData, key: Key, batch_size: int) -> Batch:
    """Draws a minibatch uniformly with replacement.

    Args:
        data: a dataset whose `trusted` is that of one seed, [N].
        key: a key.
        batch_size: B.
    """
    rows = jax.random.randint(key, (batch_size,), 0, data.rewards.shape[0])
    return Batch(*(column[rows] for column in data))


def pad(items: list, layout: Layout) -> list:
    """Repeats the last item until all devices have the same number."""
    return items + items[-1:] * (layout.rows(len(items)) - len(items))
