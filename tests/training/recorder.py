"""An algorithm that learns nothing and records the rows, draws and steps of its updates."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ssar_jax.algorithms.base import Algorithm
from ssar_jax.types import Average

CAPACITY = 12
"""Number of recorded updates."""
DELAY = 3
"""Period of the delayed metric."""


class RecorderState(NamedTuple):
    """The record so far.

    Attributes:
        initial: scalar, drawn from the key of the initialization.
        rows: [CAPACITY, B] first observations of the minibatches, which are row numbers in the tests.
        trusted: [CAPACITY, B] trust flags of the minibatches.
        draws: [CAPACITY, B, A] random draws of the updates.
        weight: scalar that every update changes, so that rounding and order matter.
    """

    initial: jax.Array
    rows: jax.Array
    trusted: jax.Array
    draws: jax.Array
    weight: jax.Array


def make(batch_size=4, action_size=2):
    """Builds the algorithm.

    Its metrics at update t: `every/step` is t; `delayed/step` is t at every third update and absent otherwise;
    `never/step` is always absent.
    """

    def init(key, observations, actions):
        del observations, actions
        per_row = jnp.full((CAPACITY, batch_size), -1.0, jnp.float32)
        draws = jnp.full((CAPACITY, batch_size, action_size), -1.0, jnp.float32)
        return RecorderState(jax.random.normal(key), per_row, per_row, draws, jnp.zeros(()))

    def draw(key, batch):
        return jax.random.normal(key, batch.actions.shape)

    def update(state, batch, draws, *, step, annealing, phase):
        assert (annealing, phase) == (1.0, "offline")
        slot = step - 1
        state = state._replace(
            rows=state.rows.at[slot].set(batch.observations[:, 0]),
            trusted=state.trusted.at[slot].set(batch.trusted),
            draws=state.draws.at[slot].set(draws),
            weight=0.9 * state.weight + jnp.mean(batch.rewards[:, None] * draws),
        )
        value = jnp.asarray(step, jnp.float32)
        due = jnp.asarray(step % DELAY == 0, jnp.float32)
        return state, {
            "every/step": Average(value, jnp.ones(())),
            "delayed/step": Average(due * value, due),
            "never/step": Average(jnp.zeros(()), jnp.zeros(())),
        }

    def act(params, observations, key):
        del key
        return jnp.tanh(params * observations[..., :action_size])

    def diagnose(state, observations):
        return {"product": state.initial * observations[:, 0]}

    return Algorithm(
        init=init,
        draw=draw,
        update=update,
        policy_params=lambda state: state.initial,
        act=act,
        diagnose=diagnose,
    )
