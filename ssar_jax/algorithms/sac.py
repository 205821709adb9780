"""Soft actor-critic with automatic temperature.

Haarnoja et al., "Soft Actor-Critic Algorithms and Applications", 2018, https://arxiv.org/abs/1812.05905.
The library trains its behaviour policies with it; CQL adds its penalty to the same skeleton.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from ssar_jax.algorithms.base import Algorithm, Phase
from ssar_jax.networks.actors import TanhGaussianActor
from ssar_jax.networks.critics import Critic, make_ensemble
from ssar_jax.ops.losses import soft_td_target, temperature_loss
from ssar_jax.ops.trees import averages, gradient_step, polyak
from ssar_jax.types import Array, Batch, Key, Metrics, Params


class SACState(NamedTuple):
    """Everything that training changes."""

    actor: Params
    actor_opt: optax.OptState
    critics: Params
    critics_opt: optax.OptState
    target_critics: Params
    log_temperature: Array
    temperature_opt: optax.OptState


class SACDraws(NamedTuple):
    """Standard normals of one update, both [B, A]."""

    actions: Array
    next_actions: Array


def make(
    action_size: int,
    *,
    hidden_sizes: tuple[int, ...] = (256, 256),
    learning_rate: float = 3e-4,
    discount: float = 0.99,
    tau: float = 0.005,
) -> Algorithm:
    """Builds SAC.

    Args:
        action_size: A.
        hidden_sizes: widths of the hidden layers of actor and critics.
        learning_rate: Adam's rate for actor, critics and temperature.
        discount: discount factor.
        tau: rate of the target networks.
    """
    actor = TanhGaussianActor(hidden_sizes, action_size, log_std_offset=0.0)
    critics = make_ensemble([Critic(hidden_sizes)] * 2)
    optimiser = optax.adam(learning_rate)
    target_entropy = -float(action_size)

    def init(key: Key, observations: Array, actions: Array) -> SACState:
        actor_key, critics_key = jax.random.split(key)
        actor_params = actor.init(actor_key, observations)["params"]
        critics_params = critics.init(critics_key, observations, actions)
        log_temperature = jnp.zeros(())
        return SACState(
            actor_params,
            optimiser.init(actor_params),
            critics_params,
            optimiser.init(critics_params),
            jax.tree.map(jnp.copy, critics_params),  # buffers of its own, so that the state can be donated
            log_temperature,
            optimiser.init(log_temperature),
        )

    def distribution(params: Params, observations: Array) -> Any:
        return actor.apply({"params": params}, observations)

    def draw(key: Key, batch: Batch) -> SACDraws:
        action_key, next_key = jax.random.split(key)
        like = batch.actions.shape, batch.actions.dtype
        return SACDraws(jax.random.normal(action_key, *like), jax.random.normal(next_key, *like))

    def critic_loss(params: Params, batch: Batch, target: Array) -> tuple[Array, Array]:
        """Equation 5: mean squared soft Bellman error, summed over the critics."""
        values = critics.apply(params, batch.observations, batch.actions)
        return jnp.sum(jnp.mean((values - target) ** 2, axis=1)), jnp.mean(values)

    def actor_loss(
        params: Params, batch: Batch, noise: Array, critics_params: Params, temperature: Array
    ) -> tuple[Array, Array]:
        """Equation 9: E[temperature * log pi - min Q]."""
        actions, log_prob = distribution(params, batch.observations).sample(noise)
        values = jnp.min(critics.apply(critics_params, batch.observations, actions), axis=0)
        return jnp.mean(temperature * log_prob - values), log_prob

    def update(
        state: SACState, batch: Batch, draws: SACDraws, *, step: Array, annealing: Array | float, phase: Phase
    ) -> tuple[SACState, Metrics]:
        del step, annealing, phase  # SAC has no schedule and knows one phase
        temperature = jnp.exp(state.log_temperature)

        next_actions, next_log_prob = distribution(state.actor, batch.next_observations).sample(draws.next_actions)
        next_values = critics.apply(state.target_critics, batch.next_observations, next_actions)
        target = soft_td_target(batch.rewards, batch.masks, next_values, next_log_prob, discount, temperature)

        critics_params, critics_opt, q_loss, q_mean, _ = gradient_step(
            critic_loss, optimiser, state.critics, state.critics_opt, batch, target
        )
        actor_params, actor_opt, pi_loss, log_prob, _ = gradient_step(
            actor_loss,
            optimiser,
            state.actor,
            state.actor_opt,
            batch,
            draws.actions,
            critics_params,
            temperature,
        )
        log_temperature, temperature_opt, _, _, _ = gradient_step(
            temperature_loss, optimiser, state.log_temperature, state.temperature_opt, log_prob, target_entropy
        )
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
            actor_params,
            actor_opt,
            critics_params,
            critics_opt,
            polyak(state.target_critics, critics_params, tau),
            log_temperature,
            temperature_opt,
        )
        return state, metrics

    def act(params: Params, observations: Array, key: Key | None) -> Array:
        policy = distribution(params, observations)
        if key is None:
            return policy.mode
        return policy.sample(jax.random.normal(key, policy.mean.shape))[0]

    return Algorithm(init, draw, update, lambda state: state.actor, act)
