"""The hot path of the online phase: one device call per environment step, for all seeds.

A call stores the transitions just made, takes the updates that are due and answers the next observations with
actions. Like `loop`, this is a place with `jit`, donation, sharding and the mapping over seeds.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ssar_jax.algorithms.base import Algorithm
from ssar_jax.ops.trees import averages
from ssar_jax.training.loop import REPLICATED, SEEDS, Layout, SeedKeys
from ssar_jax.training.replay import Replay, Ring, Transitions
from ssar_jax.types import AnyArray, Array, Key, Metrics


class Carry(NamedTuple):
    """What stays on the devices from one environment step to the next; leaves [rows, ...].

    Attributes:
        states: the algorithm's states.
        ring: the online transitions.
        observations: those that `actions` answer.
        actions: what the environments are doing now.
        sums: sums of the metrics since they were last fetched.
    """

    states: Any
    ring: Ring
    observations: AnyArray
    actions: AnyArray
    sums: Metrics


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
        begin: (states, ring, observations [rows, O], offline rows) -> carry with the first actions.
        step: (carry, offline rows, outcome, steps, start, stop) -> carry with the next actions, after storing the
            outcome as transition number `steps` and taking the online updates start + 1 to stop. The carry is donated.
    """

    begin: Callable[[Any, Ring, Array, Transitions], Carry]
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

    def act(state: Any, observations: Array, key: Key, steps: Array) -> Array:
        act_key, noise_key = jax.random.split(jax.random.fold_in(key, steps))
        actions = algorithm.act(algorithm.policy(state), observations, act_key)
        if noise > 0.0:
            actions = jnp.clip(actions + noise * jax.random.normal(noise_key, actions.shape), -1.0, 1.0)
        return actions

    def over_seeds(function: Callable[..., Any], *arguments: Any) -> Any:
        """Maps over the leading axis; a loop on a CPU, and no loop where a device has one seed alone."""
        if layout.vmapped:
            return jax.vmap(function)(*arguments)
        if len(jax.tree.leaves(arguments[0])[0]) == 1:
            first = function(*jax.tree.map(lambda leaf: leaf[0], arguments))
            return jax.tree.map(lambda leaf: leaf[None], first)
        return jax.lax.map(lambda row: function(*row), arguments)

    def act_all(states: Any, observations: AnyArray, keys: SeedKeys, steps: Array) -> Array:
        return over_seeds(lambda state, seen, key: act(state, seen, key, steps), states, observations, keys.act)

    def update_all(
        states: Any, offline: Transitions, ring: Ring, keys: SeedKeys, added: Array, number: Array
    ) -> tuple[Any, Metrics]:
        folded = jax.vmap(lambda key: jax.random.split(jax.random.fold_in(key, first_update + number)))(keys.update)
        batches, is_online = replay.sample(offline, ring, folded[:, 0], batch_size, added)
        return over_seeds(
            lambda state, batch, online, key: update(state, batch, online, key, number),
            states, batches, is_online, folded[:, 1],
        )  # fmt: skip

    def begin(states: Any, ring: Ring, observations: Array, offline: Transitions, keys: SeedKeys) -> Carry:
        one = jnp.int32(1)
        shapes = jax.eval_shape(update_all, states, offline, ring, keys, one, one)[1]
        sums = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        return Carry(states, ring, observations, act_all(states, observations, keys, jnp.int32(0)), sums)

    def step(
        carry: Carry, offline: Transitions, outcome: Outcome, keys: SeedKeys, steps: Array, start: Array, stop: Array
    ) -> Carry:
        new = Transitions(carry.observations, carry.actions, outcome.rewards, outcome.masks, outcome.next_observations)
        ring = replay.add(carry.ring, new, steps)

        def one_update(i: Array, carried: tuple[Any, Metrics]) -> tuple[Any, Metrics]:
            states, metrics = update_all(carried[0], offline, ring, keys, steps + 1, i + 1)
            return states, jax.tree.map(jnp.add, carried[1], metrics)

        states, sums = jax.lax.fori_loop(start, stop, one_update, (carry.states, carry.sums))
        actions = act_all(states, outcome.observations, keys, steps + 1)
        return Carry(states, ring, outcome.observations, actions, sums)

    def compile_over(function: Callable[..., Any], in_specs: tuple[Any, ...], donated: tuple[int, ...]) -> Any:
        sharded = jax.shard_map(function, mesh=layout.mesh, in_specs=in_specs, out_specs=SEEDS, check_vma=False)
        return jax.jit(sharded, donate_argnums=donated)

    compiled_begin = compile_over(begin, (SEEDS, SEEDS, SEEDS, REPLICATED, SEEDS), (0, 1))
    compiled_step = compile_over(step, (SEEDS, REPLICATED, SEEDS, SEEDS, *[REPLICATED] * 3), (0,))
    return OnlineProgram(
        lambda *arguments: compiled_begin(*arguments, keys),
        lambda carry, offline, outcome, *numbers: compiled_step(carry, offline, outcome, keys, *numbers),
    )
