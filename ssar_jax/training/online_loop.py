"""The hot path of the online phase: one device call per environment step, for all seeds of a group.

A call stores the transitions just made, takes the updates that are due and answers the next observations with
actions. Like `loop`, this is a place with `jit`, donation, sharding and the mapping over seeds. On an accelerator all
seeds are one group, under `vmap`. On a CPU a group has one seed per device: seeds that shared one would have to be
copied out of a stack and back at every step, which costs more than a call.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ssar_jax.algorithms.base import Algorithm
from ssar_jax.ops.trees import averages
from ssar_jax.training.loop import REPLICATED, SEEDS, Layout, SeedKeys
from ssar_jax.training.packing import Bundle, make_bundling
from ssar_jax.training.replay_buffer import Replay, Ring, Transitions
from ssar_jax.types import AnyArray, Array, Average, Batch, Key, Metrics


class Carry(NamedTuple):
    """What stays on the devices from one environment step to the next; leaves [rows, ...].

    Attributes:
        states: the algorithm's states, bundled.
        ring: the online transitions.
        observations: those that `actions` answer.
        actions: what the environments are doing now.
        sums: of all metrics since they were last fetched, in the order of their names, leaves [rows, M].
    """

    states: Bundle
    ring: Ring
    observations: AnyArray
    actions: AnyArray
    sums: Average


def join_outcome(rewards: AnyArray, masks: AnyArray, next_observations: AnyArray, observations: AnyArray) -> np.ndarray:
    """What the environments made of the actions, as one array, for it is handed over faster than four.

    Args:
        rewards: [rows], after the task's reward map.
        masks: [rows], 1 - terminated.
        next_observations: [rows, O].
        observations: [rows, O], the same, or the first of a new episode.

    Returns:
        [rows, 2 + 2 O].
    """
    return np.concatenate([rewards[:, None], masks[:, None], next_observations, observations], axis=1, dtype=np.float32)


def _split_outcome(joined: Array) -> tuple[Array, Array, Array, Array]:
    """Undoes `join_outcome`."""
    next_observations, observations = jnp.split(joined[:, 2:], 2, axis=1)
    return joined[:, 0], joined[:, 1], next_observations, observations


class OnlineProgram(NamedTuple):
    """The compiled functions of the online phase, for one group of seeds after the other.

    Attributes:
        metric_names: offline rows -> the names of the M metrics, sorted.
        begin: (states, ring, observations [rows, O], sums, keys) -> carry with the first actions.
        step: (carry, offline rows, outcome, keys, numbers) -> carry with the next actions, after storing the outcome,
            see `join_outcome`, as transition number `numbers[0]` and taking the online updates `numbers[1]` + 1 to
            `numbers[2]`. The carry is donated.
        states: carry -> the states, leaves [rows, ...].
        with_states: (carry, states) -> the carry with others.
    """

    metric_names: Callable[[Transitions], list[str]]
    begin: Callable[[Any, Ring, Array, Average, SeedKeys], Carry]
    step: Callable[[Carry, Transitions, np.ndarray, SeedKeys, np.ndarray], Carry]
    states: Callable[[Carry], Any]
    with_states: Callable[[Carry, Any], Carry]


def make_program(
    algorithm: Algorithm,
    like: Any,
    replay: Replay,
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
        like: shapes and types of one seed's state.
        replay: the buffers.
        layout: where the seeds of a group live.
        batch_size: B.
        noise: standard deviation of what is added to the algorithm's own actions.
        annealing: the factor on the regulariser by number of online updates, the current one included.
        first_update: number of updates before the online phase; `step` goes on counting from there.
    """
    bundle, unbundle = make_bundling(like)

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

    def over_rows(function: Callable[..., Any], *rows: Any) -> Any:
        """Calls function(s, *row) for all rows s of a device; leaves [rows, ...]."""
        if layout.vmapped:
            return jax.vmap(function)(jnp.arange(len(jax.tree.leaves(rows)[0])), *rows)
        return jax.tree.map(lambda leaf: leaf[None], function(0, *jax.tree.map(lambda leaf: leaf[0], rows)))

    def begin(states: Any, ring: Ring, observations: AnyArray, sums: Average, keys: SeedKeys) -> Carry:
        def act_first(s: Array | int, state: Any, observations: Array, key: Key) -> Array:
            return act(state, observations, key, jnp.int32(0))

        actions = over_rows(act_first, states, observations, keys.act)
        return Carry(bundle_rows(states), ring, observations, actions, sums)

    def step(carry: Carry, offline: Transitions, outcome: Array, keys: SeedKeys, numbers: Array) -> Carry:
        steps, start, stop = numbers
        rewards, masks, next_observations, observations = _split_outcome(outcome)
        new = Transitions(carry.observations, carry.actions, rewards, masks, next_observations)
        ring = replay.add(carry.ring, new, steps)  # with its axis of rows: cut out of it, it would be copied

        def step_seed(s: Array | int, state: Bundle, sums: Average, observations: Array, keys: SeedKeys) -> Any:
            def one_update(i: Array, row: tuple[Any, Average]) -> tuple[Any, Average]:
                state, sums = row
                batch_key, draw_key = jax.random.split(jax.random.fold_in(keys.update, first_update + i + 1))
                batch, is_online = replay.sample(offline, ring, s, batch_key, batch_size, steps + 1)
                state, metrics = update(state, batch, is_online, draw_key, i + 1)
                return state, jax.tree.map(jnp.add, sums, _pack(metrics))

            updated, sums = jax.lax.fori_loop(start, stop, one_update, (unbundle(state), sums))
            return bundle(updated), sums, act(updated, observations, keys.act, steps + 1)

        states, sums, actions = over_rows(step_seed, carry.states, carry.sums, observations, keys)
        return Carry(states, ring, observations, actions, sums)

    def bundle_rows(states: Any) -> Bundle:
        return over_rows(lambda s, state: bundle(state), states)

    def unbundle_rows(bundles: Bundle) -> Any:
        return over_rows(lambda s, state: unbundle(state), bundles)

    def metric_names(offline: Transitions) -> list[str]:
        columns = *offline, np.empty(len(offline.rewards), np.float32)  # with the flags
        batch = Batch._make(jax.ShapeDtypeStruct((batch_size, *column.shape[1:]), column.dtype) for column in columns)
        is_online = jax.ShapeDtypeStruct((batch_size,), bool)
        return sorted(jax.eval_shape(update, like, batch, is_online, jax.random.key(0), jnp.int32(1))[1])

    def compile_over(function: Callable[..., Any], *in_specs: Any, donated: tuple[int, ...] = ()) -> Any:
        sharded = jax.shard_map(function, mesh=layout.mesh, in_specs=in_specs, out_specs=SEEDS, check_vma=False)
        return jax.jit(sharded, donate_argnums=donated)

    compiled_bundle, compiled_unbundle = compile_over(bundle_rows, SEEDS), compile_over(unbundle_rows, SEEDS)
    return OnlineProgram(
        metric_names,
        compile_over(begin, *[SEEDS] * 5, donated=(1, 3)),
        compile_over(step, SEEDS, REPLICATED, SEEDS, SEEDS, REPLICATED, donated=(0,)),
        lambda carry: compiled_unbundle(carry.states),
        lambda carry, states: carry._replace(states=compiled_bundle(states)),
    )


def _pack(metrics: Metrics) -> Average:
    """All metrics of an update side by side, in the order of their names: two arrays are carried faster than fifty."""
    columns = [metrics[name] for name in sorted(metrics)]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves, axis=-1), *columns)
