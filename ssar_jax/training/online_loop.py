"""The hot path of the online phase: one device call per environment step, for all seeds.

A call stores the transitions just made, takes the updates that are due and answers the next observations with
actions. Like `loop`, this is a place with `jit`, donation, sharding and the mapping over seeds.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ssar_jax.algorithms.base import Algorithm
from ssar_jax.ops.trees import averages
from ssar_jax.training.loop import REPLICATED, SEEDS, Layout, SeedKeys
from ssar_jax.training.replay import Replay, Ring, Transitions
from ssar_jax.types import AnyArray, Array, Average, Batch, Key, Metrics


class Carry(NamedTuple):
    """What stays on the devices from one environment step to the next; leaves [rows, ...].

    Attributes:
        states: the algorithm's states.
        ring: the online transitions.
        observations: those that `actions` answer.
        actions: what the environments are doing now.
        sums: of all metrics since they were last fetched, in the order of their names, leaves [rows, M].
    """

    states: Any
    ring: Ring
    observations: AnyArray
    actions: AnyArray
    sums: Average


class Outcome(NamedTuple):
    """What the environments made of the actions; leaves [rows, ...].

    Attributes:
        rewards: [rows], after the task's reward map.
        masks: [rows], 1 - terminated.
        next_observations: [rows, O].
        observations: [rows, O], the same, or the first of a new episode.
    """

    rewards: AnyArray
    masks: AnyArray
    next_observations: AnyArray
    observations: AnyArray


class OnlineProgram(NamedTuple):
    """The compiled functions of the online phase.

    Attributes:
        metric_names: (states, offline rows) -> the names of the M metrics, sorted.
        begin: (states, ring, observations [rows, O], sums) -> carry with the first actions.
        step: (carry, offline rows, outcome, steps, start, stop) -> carry with the next actions, after storing the
            outcome as transition number `steps` and taking the online updates start + 1 to stop. The carry is donated.
    """

    metric_names: Callable[[Any, Transitions], list[str]]
    begin: Callable[[Any, Ring, Array, Average], Carry]
    step: Callable[[Carry, Transitions, Outcome, int, int, int], Carry]


def make_program(
    algorithm: Algorithm,
    replay: Replay,
    keys: SeedKeys,
    layout: Layout,
    *,
    batch_size: int,
    noise: float,
    annealing: Callable[[Array], Array],
    first_update: int,
) -> OnlineProgram:
    """Compiles the online phase.

    The random numbers of update i and of the action at environment step t depend on the seed and on that number
    alone.

    Args:
        algorithm: what to train.
        replay: the buffers.
        keys: of the seeds, each [rows].
        layout: where the seeds live.
        batch_size: B.
        noise: standard deviation of what is added to the algorithm's own actions.
        annealing: the factor on the regulariser by number of online updates, the current one included.
        first_update: number of updates before the online phase; `step` goes on counting from there.
    """

    def update(state: Any, batch: Any, is_online: Array, key: Key, number: Array) -> tuple[Any, Metrics]:
        factor = annealing(number)
        draws = algorithm.draw(key, batch)
        step = first_update + number
        state, metrics = algorithm.update(state, batch, draws, step=step, annealing=factor, phase="online")
        return state, metrics | averages({"online/batch_share": jnp.mean(is_online), "online/annealing": factor})

    def act(state: Any, observations: Any, key: Key, steps: Array) -> Array:
        act_key, noise_key = jax.random.split(jax.random.fold_in(key, steps))
        actions = algorithm.act(algorithm.policy(state), observations, act_key)
        if noise > 0.0:
            actions = jnp.clip(actions + noise * jax.random.normal(noise_key, actions.shape), -1.0, 1.0)
        return actions

    def act_all(states: Any, observations: AnyArray, keys: SeedKeys, steps: Array) -> Array:
        def act_row(row: tuple[Any, AnyArray, Key]) -> Array:
            return act(*row, steps)

        rows = states, observations, keys.act
        return jax.vmap(act_row)(rows) if layout.vmapped else jax.lax.map(act_row, rows)

    def update_seed(
        row: tuple[Any, Average],
        s: Array | int,
        key: Key,
        offline: Transitions,
        ring: Ring,
        added: Array,
        start: Array,
        stop: Array,
    ) -> tuple[Any, Average]:
        """The updates start + 1 to stop of seed number s: (state, sums of metrics) -> the same."""

        def one_update(i: Array, row: tuple[Any, Average]) -> tuple[Any, Average]:
            state, sums = row
            batch_key, draw_key = jax.random.split(jax.random.fold_in(key, first_update + i + 1))
            batch, is_online = replay.sample(offline, ring, s, batch_key, batch_size, added)
            state, metrics = update(state, batch, is_online, draw_key, i + 1)
            return state, jax.tree.map(jnp.add, sums, _pack(metrics))

        return jax.lax.fori_loop(start, stop, one_update, row)

    def update_all(rows: tuple[Any, Average], keys: Key, *shared: Any) -> tuple[Any, Average]:
        """`update_seed` for all rows of a device."""
        if layout.vmapped:
            each = jnp.arange(len(keys))
            return jax.vmap(lambda row, s, key: update_seed(row, s, key, *shared))(rows, each, keys)

        def update_row(s: Array | int, rows: tuple[Any, Average]) -> tuple[Any, Average]:
            row = jax.tree.map(lambda leaf: leaf[s], rows)

            def write(leaf: Array, old: Array, new: Array) -> Array:
                """What updates hand through, such as a frozen coefficient, is not written back."""
                return leaf if new is old else jax.lax.dynamic_update_index_in_dim(leaf, new, s, axis=0)

            return jax.tree.map(write, rows, row, update_seed(row, s, keys[s], *shared))

        # One seed after the other, as offline, each in its place.
        return update_row(0, rows) if len(keys) == 1 else jax.lax.fori_loop(0, len(keys), update_row, rows)

    def metric_names(states: Any, offline: Transitions) -> list[str]:
        columns = *offline, np.empty(len(offline.rewards), np.float32)  # with the flags
        batch = Batch._make(jax.ShapeDtypeStruct((batch_size, *column.shape[1:]), column.dtype) for column in columns)
        row = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), states)
        is_online = jax.ShapeDtypeStruct((batch_size,), bool)
        return sorted(jax.eval_shape(update, row, batch, is_online, jax.random.key(0), jnp.int32(1))[1])

    def begin(states: Any, ring: Ring, observations: Array, sums: Average, keys: SeedKeys) -> Carry:
        return Carry(states, ring, observations, act_all(states, observations, keys, jnp.int32(0)), sums)

    def step(
        carry: Carry, offline: Transitions, outcome: Outcome, keys: SeedKeys, steps: Array, start: Array, stop: Array
    ) -> Carry:
        new = Transitions(carry.observations, carry.actions, outcome.rewards, outcome.masks, outcome.next_observations)
        ring = replay.add(carry.ring, new, steps)

        rows = carry.states, carry.sums
        states, sums = update_all(rows, keys.update, offline, ring, steps + 1, start, stop)
        actions = act_all(states, outcome.observations, keys, steps + 1)
        return Carry(states, ring, outcome.observations, actions, sums)

    def compile_over(function: Callable[..., Any], in_specs: tuple[Any, ...], donated: tuple[int, ...]) -> Any:
        sharded = jax.shard_map(function, mesh=layout.mesh, in_specs=in_specs, out_specs=SEEDS, check_vma=False)
        return jax.jit(sharded, donate_argnums=donated)

    compiled_begin = compile_over(begin, (SEEDS,) * 5, (0, 1, 3))
    compiled_step = compile_over(step, (SEEDS, REPLICATED, SEEDS, SEEDS, *[REPLICATED] * 3), (0,))
    return OnlineProgram(
        metric_names,
        lambda *arguments: compiled_begin(*arguments, keys),
        lambda carry, offline, outcome, *numbers: compiled_step(carry, offline, outcome, keys, *numbers),
    )


def _pack(metrics: Metrics) -> Average:
    """All metrics of an update side by side, in the order of their names: two arrays are carried faster than fifty."""
    columns = [metrics[name] for name in sorted(metrics)]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves, axis=-1), *columns)
