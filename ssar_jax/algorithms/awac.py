"""Advantage-weighted actor-critic (AWAC).

Nair et al., "AWAC: Accelerating Online Reinforcement Learning with Offline Datasets", 2020,
https://arxiv.org/abs/2006.09359. The actor is trained by maximum likelihood of the dataset's actions, weighted by the
exponential of their advantage, offline and online alike. The defaults and the order of updates are those of the AWAC in
CORL (Tarasov et al., 2022, https://arxiv.org/abs/2210.07105).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from ssar_jax.algorithms.base import Algorithm, Phase
from ssar_jax.algorithms.iql import advantage_weights
from ssar_jax.algorithms.operations import forward, train
from ssar_jax.algorithms.td3_steps import critic_step
from ssar_jax.networks.actors import GaussianActor
from ssar_jax.networks.critics import Critic, make_ensemble
from ssar_jax.ops.distributions import gaussian_log_prob
from ssar_jax.ops.gradients import create_train_state, gradient_step
from ssar_jax.ops.losses import td_target
from ssar_jax.ops.shapes import assert_batch
from ssar_jax.ops.trees import averages, copy_params, polyak
from ssar_jax.ranges import require_hyperparameters
from ssar_jax.types import Array, Batch, Key, Metrics, Params, TrainState


class AWACState(NamedTuple):
    """The training state of AWAC."""

    actor: TrainState
    critics: TrainState
    target_critics: Params


class AWACDraws(NamedTuple):
    """The random arrays of an update.

    Attributes:
        next_actions: noise of the next actions in the critics' target, standard normal [B, A].
        actions: noise of the policy's actions whose value is the baseline of the advantage, standard normal [B, A].
    """

    next_actions: Array
    actions: Array


class AWACConfig(NamedTuple):
    """The hyperparameters of AWAC; the defaults are CORL's for locomotion.

    Attributes:
        discount: discount factor.
        tau: Polyak rate of the target critics.
        hidden_sizes: widths of the hidden layers of all networks.
        learning_rate: Adam's learning rate for all networks.
        kl_weight: lambda, the weight of the divergence from the data, by which the advantage is divided.
    """

    discount: float = 0.99
    tau: float = 0.005
    hidden_sizes: tuple[int, ...] = (256, 256, 256)
    learning_rate: float = 3e-4
    kl_weight: float = 0.3333


PUBLISHED = AWACConfig()
"""The defaults."""


def awac(action_size: int, config: AWACConfig = PUBLISHED) -> Algorithm:
    """Builds AWAC.

    Args:
        action_size: number of action dimensions A.
        config: the hyperparameters.

    Raises:
        UserError: if a hyperparameter is out of its range, such as `tau=7`.
    """
    require_hyperparameters(config)
    actor: Any = GaussianActor(config.hidden_sizes, action_size, squash_mean=False)
    critics = make_ensemble([Critic(config.hidden_sizes)] * 2)
    optimizer = optax.adam(config.learning_rate)

    def init(key: Key, observations: Array, actions: Array) -> AWACState:
        actor_key, critics_key = jax.random.split(key)
        critics_params = critics.init(critics_key, observations, actions)
        return AWACState(
            actor=create_train_state(actor.init(actor_key, observations)["params"], optimizer),
            critics=create_train_state(critics_params, optimizer),
            target_critics=copy_params(critics_params),
        )

    def draw(key: Key, batch: Batch) -> AWACDraws:
        keys = jax.random.split(key)
        return AWACDraws(*(jax.random.normal(k, batch.actions.shape, batch.actions.dtype) for k in keys))

    def sample(params: Params, observations: Array, noise: Array) -> Array:
        """Returns actions of the policy, clipped to [-1, 1], for standard normal noise."""
        mean, log_std = actor.apply({"params": params}, observations)
        return jnp.clip(mean + jnp.exp(log_std) * noise, -1.0, 1.0)

    def update_critics(state: AWACState, batch: Batch, noise: Array) -> tuple[AWACState, Metrics]:
        """Takes a step of clipped double Q-learning with a sampled next action; Nair et al., 2020, algorithm 1."""
        next_actions = sample(state.actor.params, batch.next_observations, noise)
        next_values = critics.apply(state.target_critics, batch.next_observations, next_actions)
        target = td_target(batch.rewards, batch.masks, next_values, config.discount)
        critics_state, metrics = critic_step(critics, optimizer, state.critics, batch, target)
        return state._replace(critics=critics_state), metrics

    def advantages(state: AWACState, batch: Batch, noise: Array) -> Array:
        """Computes min_e Q_e(s, a) - min_e Q_e(s, a') with a' from the policy, [B]; Nair et al., 2020."""
        actions = sample(state.actor.params, batch.observations, noise)
        values = [
            jnp.min(critics.apply(state.critics.params, batch.observations, a), axis=0)
            for a in (batch.actions, actions)
        ]
        return values[0] - values[1]

    def actor_loss(params: Params, batch: Batch, weights: Array) -> tuple[Array, Array]:
        """-E[weight * log pi(a | s)], weight = min(exp(advantage / lambda), 100); Nair et al., 2020, algorithm 1."""
        mean, log_std = actor.apply({"params": params}, batch.observations)
        log_prob = jnp.sum(gaussian_log_prob(batch.actions, mean, log_std), axis=-1)
        return -jnp.mean(weights * log_prob), jnp.mean(jnp.exp(log_std))

    def update(
        state: AWACState, batch: Batch, draws: AWACDraws, *, step: Array, annealing: Array | float, phase: Phase
    ) -> tuple[AWACState, Metrics]:
        assert_batch(batch, action_size)
        del step, annealing, phase  # both phases are the same
        state, metrics = update_critics(state, batch, draws.next_actions)
        advantage = advantages(state, batch, draws.actions)
        weights = advantage_weights(advantage, 1.0 / config.kl_weight)
        actor_state, loss, std, gradients = gradient_step(actor_loss, optimizer, state.actor, batch, weights)
        metrics |= averages(
            {
                "actor/loss": loss,
                "actor/grad_norm": optax.tree.norm(gradients),
                "actor/weight_mean": jnp.mean(weights),
                "actor/std_mean": std,
                "critic/advantage_mean": jnp.mean(advantage),
            }
        )
        target_critics = polyak(state.target_critics, state.critics.params, config.tau)
        return state._replace(actor=actor_state, target_critics=target_critics), metrics

    def act(params: Params, observations: Array, key: Key | None) -> Array:
        mean, log_std = actor.apply({"params": params}, observations)
        if key is not None:
            mean = mean + jnp.exp(log_std) * jax.random.normal(key, mean.shape)
        return jnp.clip(mean, -1.0, 1.0)

    return Algorithm(init, draw, update, lambda state: state.actor.params, act)


def from_config(config: Any, action_size: int) -> Algorithm:
    """Builds AWAC from a config.

    Args:
        config: a config of `configs/awac.py`, read by attribute.
        action_size: number of action dimensions A.
    """
    return awac(
        action_size,
        AWACConfig(
            discount=config.discount,
            tau=config.critic.tau,
            hidden_sizes=tuple(config.critic.hidden_sizes),
            learning_rate=config.critic.learning_rate,
            kl_weight=config.actor.kl_weight,
        ),
    )


def operations(config: Any, observation_size: int, action_size: int) -> float:
    """Counts the floating-point operations per update, see `algorithms.operations`.

    Args:
        config: a config of `configs/awac.py`.
        observation_size: observation size O.
        action_size: number of action dimensions A.
    """
    batch, hidden = config.batch_size, config.critic.hidden_sizes
    critic = (observation_size + action_size, *hidden, 1)
    actor = (observation_size, *hidden, action_size)
    # Two critics: trained, in the target, and at two actions for the advantage; the actor: trained, and two samples.
    critics = 2 * (train(batch, *critic) + 3 * forward(batch, *critic))
    return critics + train(batch, *actor) + 2 * forward(batch, *actor)
