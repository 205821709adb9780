"""An algorithm, its registry entry and its config in one file outside the library: a linear policy that clones data."""

from typing import NamedTuple

import jax.numpy as jnp
import optax

from configs import common
from ssar_jax.algorithms.base import Algorithm
from ssar_jax.algorithms.registry import Entry
from ssar_jax.ops.gradients import create_train_state, gradient_step
from ssar_jax.ops.trees import averages
from ssar_jax.types import TrainState


class CloneState(NamedTuple):
    """Everything that training changes."""

    policy: TrainState


def clone(action_size, learning_rate):
    """Builds the algorithm: E|tanh(s W) - a|^2."""
    optimizer = optax.adam(learning_rate)

    def init(key, observations, actions):
        return CloneState(create_train_state(jnp.zeros((observations.shape[1], action_size)), optimizer))

    def act(params, observations, key):
        return jnp.tanh(observations @ params)

    def loss(params, batch):
        return jnp.mean((act(params, batch.observations, None) - batch.actions) ** 2), None

    def update(state, batch, draws, *, step, annealing, phase):
        policy, value, _, _ = gradient_step(loss, optimizer, state.policy, batch)
        return CloneState(policy), averages({"actor/loss": value})

    return Algorithm(init, lambda key, batch: (), update, lambda state: state.policy.params, act)


ENTRY = Entry(
    lambda config, action_size: clone(action_size, config.actor.learning_rate), {"base": "Linear behavior cloning"}
)


def get_config(arg=None):
    """Returns the config; `algorithm` names the entry by its module, so that every command finds it."""
    choice = common.parse_arg(arg, algorithm="custom_algorithm:ENTRY", variants=("base",))
    config = common.shared_config(choice)
    config.actor = {"learning_rate": 1e-2}
    if choice.preset == "short":
        common.use_short_preset(config)
    return config.lock()
