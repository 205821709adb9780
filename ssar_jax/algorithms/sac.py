"""Soft actor-critic (SAC) with automatic temperature, which trains the policies of the embedded suite.

Haarnoja et al., "Soft Actor-Critic Algorithms and Applications", 2018, https://arxiv.org/abs/1812.05905.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from ssar_jax.algorithms import sac_steps
from ssar_jax.algorithms.base import Algorithm, Phase
from ssar_jax.algorithms.sac_steps import smallest_value, temperature_step
from ssar_jax.networks.actors import TanhGaussianActor
from ssar_jax.networks.critics import Critic, make_ensemble
from ssar_jax.ops.distributions import TanhGaussian
from ssar_jax.ops.gradients import create_train_state, gradient_step
from ssar_jax.ops.losses import soft_td_target
from ssar_jax.ops.shapes import assert_batch
from ssar_jax.ops.trees import averages, copy_params, polyak
from ssar_jax.ranges import require_hyperparameters
from ssar_jax.types import Array, Batch, Key, Metrics, Params, TrainState


class SACState(NamedTuple):
    """The training state of SAC; `temperature` holds log alpha."""

    actor: TrainState
    critics: TrainState
    target_critics: Params
    temperature: TrainState


class SACDraws(NamedTuple):
    """The random arrays of one update.

    Attributes:
        actions: noise of the actions in the actor loss, standard normal [B, A].
        next_actions: noise of the next actions in the TD target, standard normal [B, A].
    """

    actions: Array
    next_actions: Array


class SACConfig(NamedTuple):
    """The hyperparameters of SAC.

    Attributes:
        hidden_sizes: widths of the hidden layers of actor and critics.
        learning_rate: Adam's learning rate for actor, critics and temperature, or a schedule of it.
        discount: discount factor.
        tau: Polyak rate of the target critics.
    """

    hidden_sizes: tuple[int, ...] = (256, 256)
    learning_rate: float | optax.Schedule = 3e-4
    discount: float = 0.99
    tau: float = 0.005


PUBLISHED = SACConfig()
"""The defaults."""


def sac(action_size: int, config: SACConfig = PUBLISHED) -> Algorithm:
    """Builds SAC.

    Args:
        action_size: number of action dimensions A.
        config: the hyperparameters.

    Raises:
        UserError: if a hyperparameter is out of its range, such as `tau=7`.
    """
    require_hyperparameters(config)
    actor = TanhGaussianActor(config.hidden_sizes, action_size, log_std_offset=0.0)
    critics = make_ensemble([Critic(config.hidden_sizes)] * 2)
    optimizer = optax.adam(config.learning_rate)

    def init(key: Key, observations: Array, actions: Array) -> SACState:
        actor_key, critics_key = jax.random.split(key)
        critics_params = critics.init(critics_key, observations, actions)
        return SACState(
            actor=create_train_state(actor.init(actor_key, observations)["params"], optimizer),
            critics=create_train_state(critics_params, optimizer),
            target_critics=copy_params(critics_params),
            temperature=create_train_state(jnp.zeros(()), optimizer),
        )

    def policy(params: Params, observations: Array) -> TanhGaussian:
        return actor.apply({"params": params}, observations)  # pyright: ignore[reportReturnType]

    def draw(key: Key, batch: Batch) -> SACDraws:
        action_key, next_key = jax.random.split(key)
        like = batch.actions.shape, batch.actions.dtype
        return SACDraws(jax.random.normal(action_key, *like), jax.random.normal(next_key, *like))

    def critic_loss(params: Params, batch: Batch, target: Array) -> tuple[Array, Array]:
        """sum_e E[(Q_e(s, a) - y)^2]; Haarnoja et al., equation 5 without its factor 1/2."""
        values = critics.apply(params, batch.observations, batch.actions)
        return jnp.sum(jnp.mean((values - target) ** 2, axis=1)), jnp.mean(values)

    def actor_loss(
        params: Params, batch: Batch, noise: Array, critics_params: Params, temperature: Array
    ) -> tuple[Array, Array]:
        """E[alpha log pi(a | s) - min_e Q_e(s, a)], a ~ pi(. | s); Haarnoja et al., equation 9."""
        actions, log_prob = policy(params, batch.observations).sample(noise)
        values = smallest_value(critics, critics_params, batch.observations, actions)
        return jnp.mean(temperature * log_prob - values), log_prob

    def update(
        state: SACState, batch: Batch, draws: SACDraws, *, step: Array, annealing: Array | float, phase: Phase
    ) -> tuple[SACState, Metrics]:
        assert_batch(batch, action_size)
        del step, annealing, phase  # SAC has no schedule, and its phases do not differ
        temperature = jnp.exp(state.temperature.params)

        next_actions, next_log_prob = policy(state.actor.params, batch.next_observations).sample(draws.next_actions)
        next_values = critics.apply(state.target_critics, batch.next_observations, next_actions)
        target = soft_td_target(batch.rewards, batch.masks, next_values, next_log_prob, config.discount, temperature)
        critics_state, q_loss, q_mean, _ = gradient_step(critic_loss, optimizer, state.critics, batch, target)

        actor_state, pi_loss, log_prob, _ = gradient_step(
            actor_loss, optimizer, state.actor, batch, draws.actions, critics_state.params, temperature
        )
        temperature_state, _, _ = temperature_step(optimizer, state.temperature, log_prob, action_size)
        metrics = averages(
            {
                "critic/loss": q_loss,
                "critic/q_mean": q_mean,
                "actor/loss": pi_loss,
                "actor/entropy": -jnp.mean(log_prob),
                "actor/temperature": temperature,
            }
        )
        state = SACState(
            actor=actor_state,
            critics=critics_state,
            target_critics=polyak(state.target_critics, critics_state.params, config.tau),
            temperature=temperature_state,
        )
        return state, metrics

    def act(params: Params, observations: Array, key: Key | None) -> Array:
        return sac_steps.act(policy(params, observations), key)

    return Algorithm(init, draw, update, lambda state: state.actor.params, act)
