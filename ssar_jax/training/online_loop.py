"""The online training loop: one device call per environment step, for all seeds of a group.

A call stores the new transitions, performs the updates that are due and computes the actions for the next
observations. Like `loop`, this module uses `jit`, donation, sharding and the mapping over seeds. On an accelerator all
seeds are one group, under `vmap`. On a CPU a group has one seed per device: several seeds on one device would have to
be sliced from stacked arrays and written back at every step, which costs more than a call.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ssar_jax.algorithms.base import Algorithm
from ssar_jax.ops.trees import averages
from ssar_jax.training.layout import REPLICATED, SEEDS, Layout, SeedKeys
from ssar_jax.training.packing import Packed, make_packing
from ssar_jax.training.replay_buffer import Replay, Ring
from ssar_jax.transitions import Transitions
from ssar_jax.types import AnyArray, Array, Average, Batch, Key, Metrics


class Carry(NamedTuple):
    """The arrays that stay on the devices between environment steps; leaves [rows, ...].

    Attributes:
        states: the algorithm's states, packed.
        ring: the online transitions.
        observations: the current observations, scaled, [rows, O].
        actions: the actions for these observations, [rows, A].
        sums: sums of all metrics since they were last fetched, in the order of their names, leaves [rows, M].
    """

    states: Packed
    ring: Ring
    observations: AnyArray
    actions: AnyArray
    sums: Average


def join_outcome(rewards: AnyArray, masks: AnyArray, next_observations: AnyArray, observations: AnyArray) -> np.ndarray:
    """Concatenates the outcome of an environment step, because one array is transferred faster than four.

    Args:
        rewards: rewards after the task's reward map, [rows].
        masks: 1 - terminated, [rows].
        next_observations: the observations after the step, [rows, O].
        observations: the observations to act on next, [rows, O]: the same, or the first of a new episode.

    Returns:
        The outcome, [rows, 2 + 2 O].
    """
    return np.concatenate([rewards[:, None], masks[:, None], next_observations, observations], axis=1, dtype=np.float32)


def _split_outcome(joined: Array) -> tuple[Array, Array, Array, Array]:
    """Inverts `join_outcome`."""
    next_observations, observations = jnp.split(joined[:, 2:], 2, axis=1)
    return joined[:, 0], joined[:, 1], next_observations, observations


class OnlineProgram(NamedTuple):
    """The compiled functions of the online phase, shared by all groups of seeds.

    Attributes:
        metric_names: function of the offline rows that returns the names of the M metrics, sorted.
        begin: (states, ring, observations [rows, O], sums, keys) -> carry with the first actions.
        step: (carry, offline rows, outcome, keys, numbers) -> carry with the next actions. Stores the outcome (see
            `join_outcome`) as transition `numbers[0]` and performs the online updates `numbers[1]` + 1 to
            `numbers[2]`. The carry is donated.
        fill: (extra columns of the ring, first, stop, values) -> the columns with the values of ended episodes, see
            `Replay.fill`. The columns are donated.
        states: function of the carry that returns the states, leaves [rows, ...].
        with_states: (carry, states) -> carry with these states.
    """

    metric_names: Callable[[Transitions], list[str]]
    begin: Callable[[Any, Ring, Array, Average, SeedKeys], Carry]
    step: Callable[[Carry, Transitions, np.ndarray, SeedKeys, np.ndarray], Carry]
    fill: Callable[..., Mapping[str, Array]]
    states: Callable[[Carry], Any]
    with_states: Callable[[Carry, Any], Carry]


def make_program(
    algorithm: Algorithm,
    state_like: Any,
    replay: Replay,
    layout: Layout,
    *,
    batch_size: int,
    noise: float,
    annealing: Callable[[Array], Array],
    first_update: int,
) -> OnlineProgram:
    """Compiles the online phase.

    The random numbers of update i are a function of the seed and i, those of the action at environment step t of the
    seed and t.

    Args:
        algorithm: the algorithm to train.
        state_like: shapes and types of the state of one seed.
        replay: the functions of the replay buffers.
        layout: the layout of the seeds of a group.
        batch_size: minibatch size B.
        noise: standard deviation of Gaussian noise added to the actions, which are in [-1, 1].
        annealing: function of the number of online updates, including the current one, that returns the factor on
            the regularizer.
        first_update: number of updates before the online phase; `step` continues from there.

    Returns:
        The compiled functions.
    """
    pack, unpack = make_packing(state_like)
    unknown = {column.name: column.unknown for column in algorithm.columns}

    def update(state: Any, batch: Any, is_online: Array, key: Key, number: Array) -> tuple[Any, Metrics]:
        factor = annealing(number)
        draws = algorithm.draw(key, batch)
        step = first_update + number
        state, metrics = algorithm.update(state, batch, draws, step=step, annealing=factor, phase="online")
        return state, metrics | averages({"online/batch_share": jnp.mean(is_online), "online/annealing": factor})

    def act(state: Any, observations: Any, key: Key, steps: Array) -> Array:
        act_key, noise_key = jax.random.split(jax.random.fold_in(key, steps))
        actions = algorithm.act(algorithm.policy_params(state), observations, act_key)
        if noise > 0.0:
            actions = jnp.clip(actions + noise * jax.random.normal(noise_key, actions.shape), -1.0, 1.0)
        return actions

    def over_rows(function: Callable[..., Any], *rows: Any) -> Any:
        """Calls function(s, *row) for every row s of a device; leaves [rows, ...]."""
        if layout.vmapped:
            return jax.vmap(function)(jnp.arange(len(jax.tree.leaves(rows)[0])), *rows)
        return jax.tree.map(lambda leaf: leaf[None], function(0, *jax.tree.map(lambda leaf: leaf[0], rows)))

    def begin(states: Any, ring: Ring, observations: AnyArray, sums: Average, keys: SeedKeys) -> Carry:
        def act_first(s: Array | int, state: Any, observations: Array, key: Key) -> Array:
            return act(state, observations, key, jnp.int32(0))

        actions = over_rows(act_first, states, observations, keys.act)
        return Carry(states=pack_rows(states), ring=ring, observations=observations, actions=actions, sums=sums)

    def step(carry: Carry, offline: Transitions, outcome: Array, keys: SeedKeys, numbers: Array) -> Carry:
        steps, start, stop = numbers
        rewards, masks, next_observations, observations = _split_outcome(outcome)
        new = Transitions(
            observations=carry.observations,
            actions=carry.actions,
            rewards=rewards,
            masks=masks,
            next_observations=next_observations,
            extras={name: jnp.full_like(rows[:, 0], unknown[name]) for name, rows in carry.ring.rows.extras.items()},
        )
        ring = replay.add(carry.ring, new, steps)  # for all rows at once: slicing the ring would copy it

        def step_seed(s: Array | int, state: Packed, sums: Average, observations: Array, keys: SeedKeys) -> Any:
            def one_update(i: Array, row: tuple[Any, Average]) -> tuple[Any, Average]:
                state, sums = row
                batch_key, draw_key = jax.random.split(jax.random.fold_in(keys.update, first_update + i + 1))
                batch, is_online = replay.sample(offline, ring, s, batch_key, batch_size, steps + 1)
                state, metrics = update(state, batch, is_online, draw_key, i + 1)
                return state, jax.tree.map(jnp.add, sums, _stack_metrics(metrics))

            updated, sums = jax.lax.fori_loop(start, stop, one_update, (unpack(state), sums))
            return pack(updated), sums, act(updated, observations, keys.act, steps + 1)

        states, sums, actions = over_rows(step_seed, carry.states, carry.sums, observations, keys)
        return Carry(states=states, ring=ring, observations=observations, actions=actions, sums=sums)

    def pack_rows(states: Any) -> Packed:
        return over_rows(lambda s, state: pack(state), states)

    def unpack_rows(packed: Packed) -> Any:
        return over_rows(lambda s, state: unpack(state), packed)

    def metric_names(offline: Transitions) -> list[str]:
        rows = Batch(**offline._asdict(), trusted=offline.rewards)
        like: Any = jax.tree.map(lambda c: jax.ShapeDtypeStruct((batch_size, *c.shape[1:]), c.dtype), rows)
        is_online = jax.ShapeDtypeStruct((batch_size,), bool)
        return sorted(jax.eval_shape(update, state_like, like, is_online, jax.random.key(0), jnp.int32(1))[1])

    def compile_over(function: Callable[..., Any], *in_specs: Any, donated: tuple[int, ...] = ()) -> Any:
        sharded = jax.shard_map(function, mesh=layout.mesh, in_specs=in_specs, out_specs=SEEDS, check_vma=False)
        return jax.jit(sharded, donate_argnums=donated)

    compiled_pack, compiled_unpack = compile_over(pack_rows, SEEDS), compile_over(unpack_rows, SEEDS)
    return OnlineProgram(
        metric_names=metric_names,
        begin=compile_over(begin, *[SEEDS] * 5, donated=(1, 3)),
        step=compile_over(step, SEEDS, REPLICATED, SEEDS, SEEDS, REPLICATED, donated=(0,)),
        fill=compile_over(replay.fill, *[SEEDS] * 4, donated=(0,)),
        states=lambda carry: compiled_unpack(carry.states),
        with_states=lambda carry, states: carry._replace(states=compiled_pack(states)),
    )


def _stack_metrics(metrics: Metrics) -> Average:
    """Stacks all metrics of an update in the order of their names, because two arrays are carried faster than many."""
    columns = [metrics[name] for name in sorted(metrics)]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves, axis=-1), *columns)
