"""Online training of the behavior policies of the embedded suite, with snapshots along the way."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np

from ssar_jax.algorithms.base import Algorithm
from ssar_jax.behaviour.policies import GaussianPolicy
from ssar_jax.envs.rollout import FirstEpisodes
from ssar_jax.types import Array, Batch, Key

BLOCK = 50
"""Environment steps per device call, followed by the same number of updates."""


WARMUP_STEPS = 10_000
"""Environment steps with uniform actions before the first update."""


class Evaluation(NamedTuple):
    """Returns of a policy that is being trained.

    Attributes:
        sampled: mean undiscounted return with sampled actions.
        deterministic: mean undiscounted return with the most likely actions.
    """

    sampled: float
    deterministic: float


class Progress(NamedTuple):
    """A snapshot of the training.

    Attributes:
        steps: number of environment steps so far.
        seconds: wall time so far in s.
        policy: the policy.
        evaluation: its returns, at every evaluation interval, else None.
    """

    steps: int
    seconds: float
    policy: GaussianPolicy
    evaluation: Evaluation | None


def train(
    algorithm: Algorithm,
    make_env: Callable[[], gymnasium.Env],
    *,
    seed: int,
    num_steps: int,
    batch_size: int,
    warmup_steps: int = WARMUP_STEPS,
    snapshot_interval: int = 1_000,
    evaluation_interval: int = 10_000,
    evaluation_episodes: int = 5,
) -> Iterator[Progress]:
    """Trains a policy and yields it at every snapshot interval.

    Args:
        algorithm: an algorithm whose policy is a `TanhGaussianActor`, such as SAC.
        make_env: function that builds one environment.
        seed: seed of all random numbers.
        num_steps: number of environment steps.
        batch_size: minibatch size B.
        warmup_steps: number of environment steps with uniform actions before the first update.
        snapshot_interval: number of environment steps between snapshots, a multiple of `BLOCK`.
        evaluation_interval: number of environment steps between evaluations, a multiple of `snapshot_interval`.
        evaluation_episodes: number of episodes per evaluation, once sampled and once deterministic.

    Yields:
        The snapshots in order, from the first after the warm-up.
    """
    assert snapshot_interval % BLOCK == 0
    assert evaluation_interval % snapshot_interval == 0
    rng = np.random.default_rng(seed)
    env, evaluation = make_env(), FirstEpisodes(make_env, evaluation_episodes)
    observation, _ = env.reset(seed=seed)
    sizes = env.observation_space.shape[0], env.action_space.shape[0]  # pyright: ignore
    init_key, update_key = jax.random.split(jax.random.key(seed))
    state = algorithm.init(init_key, jnp.zeros((1, sizes[0])), jnp.zeros((1, sizes[1])))
    buffer = _empty_buffer(num_steps, *sizes)
    train_block = jax.jit(partial(_train_block, algorithm, batch_size), donate_argnums=(0, 1))
    insert = jax.jit(_insert, donate_argnums=0)
    policy = GaussianPolicy.from_params(algorithm.policy_params(state))
    start = time.monotonic()
    for steps in range(BLOCK, num_steps + 1, BLOCK):
        rows = []
        for _ in range(BLOCK):
            if steps <= warmup_steps:
                action = rng.uniform(-1.0, 1.0, sizes[1]).astype(np.float32)
            else:
                action = policy.sample(observation[None], rng)[0]
            next_observation, reward, terminated, truncated, _ = env.step(action)
            rows.append((observation, action, reward, 1.0 - terminated, next_observation))
            observation = next_observation if not (terminated or truncated) else env.reset()[0]
        columns: Any = [np.asarray(column, np.float32) for column in zip(*rows, strict=True)]
        names = ("observations", "actions", "rewards", "masks", "next_observations")
        block = Batch(**dict(zip(names, columns, strict=True)), trusted=jnp.ones(BLOCK))
        if steps <= warmup_steps:
            buffer = insert(buffer, block, steps - BLOCK)
            continue
        state, buffer = train_block(state, buffer, block, steps, update_key)
        policy = GaussianPolicy.from_params(jax.device_get(algorithm.policy_params(state)))
        if steps % snapshot_interval:
            continue
        returns = None
        if steps % evaluation_interval == 0:
            seeds = rng.integers(2**31, size=evaluation_episodes).tolist()
            ways = partial(policy.sample, rng=rng), policy.most_likely
            returns = Evaluation(*(float(evaluation.play(act, seeds).returns.mean()) for act in ways))
        yield Progress(steps, time.monotonic() - start, policy, returns)
    env.close()
    evaluation.close()


def _empty_buffer(capacity: int, observation_size: int, action_size: int) -> Batch:
    observations, scalars = jnp.zeros((capacity, observation_size)), jnp.zeros(capacity)
    return Batch(
        observations=observations,
        actions=jnp.zeros((capacity, action_size)),
        rewards=scalars,
        masks=jnp.copy(scalars),
        next_observations=jnp.copy(observations),
        trusted=jnp.ones(capacity),
    )


def _insert(buffer: Batch, block: Batch, row: Array) -> Batch:
    return jax.tree.map(
        lambda b, new: jax.lax.dynamic_update_slice_in_dim(b, new.astype(b.dtype), row, 0), buffer, block
    )


def _train_block(
    algorithm: Algorithm, batch_size: int, state: Any, buffer: Batch, block: Batch, steps: Array, key: Key
) -> tuple[Any, Batch]:
    """Stores a block of transitions and performs one update for each."""
    buffer = _insert(buffer, block, steps - BLOCK)

    def one_update(i: Array, state: Any) -> Any:
        index_key, draw_key = jax.random.split(jax.random.fold_in(key, steps + i))
        rows = jax.random.randint(index_key, (batch_size,), 0, steps)
        batch = jax.tree.map(lambda column: column[rows], buffer)
        return algorithm.update(
            state, batch, algorithm.draw(draw_key, batch), step=steps + i, annealing=1.0, phase="online"
        )[0]

    return jax.lax.fori_loop(0, BLOCK, one_update, state), buffer
