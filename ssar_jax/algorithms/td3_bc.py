"""TD3+BC and, with a state-adaptive coefficient, TD3+BC(SA).

Fujimoto and Gu, "A Minimalist Approach to Offline Reinforcement Learning", 2021, https://arxiv.org/abs/2106.06860;
Luo et al., "Learning to Trust Bellman Updates: Selective State-Adaptive Regularization for Offline RL", 2025,
https://arxiv.org/abs/2505.19923.

Difference from Fujimoto and Gu: their alpha multiplies the Q term, here the coefficient 1 / alpha multiplies the
behavior-cloning term, so that TD3+BC and TD3+BC(SA) are the same code. The actor loss is smaller by the factor
alpha = 2.5; its optimum and, except for Adam's epsilon, the updates are the same.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from ssar_jax.algorithms.base import Algorithm, Phase
from ssar_jax.algorithms.operations import forward, train
from ssar_jax.algorithms.td3_steps import critic_step, smoothed_target_actions, update_when
from ssar_jax.coefficients import build as build_coefficient
from ssar_jax.coefficients.base import Coefficient
from ssar_jax.coefficients.constant import constant
from ssar_jax.coefficients.trust_region import deterministic_slack
from ssar_jax.networks.actors import DeterministicActor
from ssar_jax.networks.critics import Critic, make_ensemble
from ssar_jax.ops.gradients import create_train_state, gradient_step
from ssar_jax.ops.losses import td_target
from ssar_jax.ops.shapes import assert_batch
from ssar_jax.ops.trees import averages, copy_params, polyak
from ssar_jax.ranges import require_hyperparameters
from ssar_jax.types import Array, Batch, Key, Metrics, Params, TrainState


class TD3BCState(NamedTuple):
    """The training state of TD3+BC."""

    actor: TrainState
    target_actor: Params
    critics: TrainState
    target_critics: Params
    coefficient: Any


class TD3BCConfig(NamedTuple):
    """The hyperparameters of TD3+BC; the defaults are those published for TD3+BC(SA).

    Attributes:
        discount: discount factor.
        tau: Polyak rate of the target networks.
        critic_hidden_sizes: widths of the critics' hidden layers.
        critic_layer_norm: whether LayerNorm follows every hidden linear layer of the critics.
        critic_learning_rate: Adam's learning rate for the critics.
        actor_hidden_sizes: widths of the actor's hidden layers.
        actor_learning_rate: Adam's learning rate for the actor.
        policy_freq: number of critic updates per update of actor, coefficient and targets in the offline phase.
        online_policy_freq: the same number in the online phase.
        decouple_online_targets: whether the targets move every `policy_freq` updates in the online phase too; in the
            authors' program they move every `online_policy_freq` updates.
        policy_noise: standard deviation of the target policy's smoothing noise.
        noise_clip: clip on the smoothing noise.
        delta: width of the trust region per unit of its size n.
    """

    discount: float = 0.99
    tau: float = 0.005
    critic_hidden_sizes: tuple[int, ...] = (256, 256)
    critic_layer_norm: bool = True
    critic_learning_rate: float = 3e-4
    actor_hidden_sizes: tuple[int, ...] = (256, 256)
    actor_learning_rate: float = 3e-4
    policy_freq: int = 2
    online_policy_freq: int = 2
    decouple_online_targets: bool = False
    policy_noise: float = 0.2
    noise_clip: float = 0.5
    delta: float = 0.1


PUBLISHED = TD3BCConfig()
"""The defaults."""

PUBLISHED_COEFFICIENT = constant(0.4)
"""The coefficient of the published TD3+BC, 1 / alpha with alpha = 2.5."""


def td3_bc(
    action_size: int, coefficient: Coefficient = PUBLISHED_COEFFICIENT, config: TD3BCConfig = PUBLISHED
) -> Algorithm:
    """Builds TD3+BC with a given coefficient.

    Args:
        action_size: number of action dimensions A.
        coefficient: weight of the behavior-cloning term: `constant(0.4)` for TD3+BC, `state_adaptive(0.4)` for
            TD3+BC(SA).
        config: the other hyperparameters.

    Raises:
        UserError: if a hyperparameter is out of its range, such as `tau=7`.
    """
    require_hyperparameters(config)
    actor = DeterministicActor(config.actor_hidden_sizes, action_size)
    critics = make_ensemble([Critic(config.critic_hidden_sizes, config.critic_layer_norm)] * 2)
    actor_optimizer = optax.adam(config.actor_learning_rate)
    critic_optimizer = optax.adam(config.critic_learning_rate)

    def init(key: Key, observations: Array, actions: Array) -> TD3BCState:
        actor_key, critics_key, coefficient_key = jax.random.split(key, 3)
        actor_params = actor.init(actor_key, observations)["params"]
        critics_params = critics.init(critics_key, observations, actions)
        return TD3BCState(
            actor=create_train_state(actor_params, actor_optimizer),
            target_actor=copy_params(actor_params),
            critics=create_train_state(critics_params, critic_optimizer),
            target_critics=copy_params(critics_params),
            coefficient=coefficient.init(coefficient_key, observations),
        )

    def draw(key: Key, batch: Batch) -> Array:
        """Draws the smoothing noise, standard normal [B, A]."""
        return jax.random.normal(key, batch.actions.shape, batch.actions.dtype)

    def policy(params: Params, observations: Array) -> Array:
        return actor.apply({"params": params}, observations)  # pyright: ignore[reportReturnType]

    def actor_loss(params: Params, critics_params: Params, weight: Array, batch: Batch) -> tuple[Array, Any]:
        """-lambda E[Q_1(s, pi(s))] + E[beta (pi(s) - a)^2], lambda = 1 / E|Q_1|; Fujimoto and Gu, equation 3."""
        actions = policy(params, batch.observations)
        values = critics.apply_first(critics_params, batch.observations, actions)
        scale = 1.0 / jax.lax.stop_gradient(jnp.mean(jnp.abs(values)))
        squared_error = (actions - batch.actions) ** 2
        loss = -scale * jnp.mean(values) + jnp.mean(weight[:, None] * squared_error)
        return loss, (actions, scale, jnp.mean(squared_error))

    def update_critics(state: TD3BCState, batch: Batch, noise: Array) -> tuple[TD3BCState, Metrics]:
        """Takes a step of clipped double Q-learning with a smoothed target policy."""
        next_actions = smoothed_target_actions(
            policy(state.target_actor, batch.next_observations), noise, config.policy_noise, config.noise_clip
        )
        next_values = critics.apply(state.target_critics, batch.next_observations, next_actions)
        target = td_target(batch.rewards, batch.masks, next_values, config.discount)
        critics_state, metrics = critic_step(critics, critic_optimizer, state.critics, batch, target)
        return state._replace(critics=critics_state), metrics

    def update_actor(
        state: TD3BCState, batch: Batch, step: Array, annealing: Array | float, phase: Phase
    ) -> tuple[TD3BCState, Metrics]:
        """Takes a step of the actor and, offline, one of the coefficient."""
        weight = coefficient.weight(state.coefficient, batch.observations, batch.trusted, annealing)
        actor_state, loss, (actions, scale, squared_error), gradients = gradient_step(
            actor_loss, actor_optimizer, state.actor, state.critics.params, weight, batch
        )
        metrics = averages(
            {
                "actor/loss": loss,
                "actor/q_scale": scale,
                "actor/squared_error": squared_error,
                "actor/grad_norm": optax.tree.norm(gradients),
                "actor/regulariser_weight": jnp.mean(weight),
            }
        )
        state = state._replace(actor=actor_state)
        if phase == "offline":
            # The trust region is that of the policy before its step, which gave `actions` in the actor loss.
            coefficient_state, coefficient_metrics = coefficient.update(
                state.coefficient,
                batch.observations,
                lambda n: (deterministic_slack(actions, batch.actions, n, config.delta), {}),
                batch.trusted,
                step,
            )
            state, metrics = state._replace(coefficient=coefficient_state), metrics | coefficient_metrics
        return state, metrics

    def update_targets(state: TD3BCState) -> TD3BCState:
        return state._replace(
            target_actor=polyak(state.target_actor, state.actor.params, config.tau),
            target_critics=polyak(state.target_critics, state.critics.params, config.tau),
        )

    def update(
        state: TD3BCState, batch: Batch, draws: Array, *, step: Array, annealing: Array | float, phase: Phase
    ) -> tuple[TD3BCState, Metrics]:
        assert_batch(batch, action_size)
        online = phase == "online"
        decoupled = online and config.decouple_online_targets
        frequency = config.online_policy_freq if online else config.policy_freq
        state, metrics = update_critics(state, batch, draws)

        def delayed(state: TD3BCState) -> tuple[TD3BCState, Metrics]:
            state, metrics = update_actor(state, batch, step, annealing, phase)
            return state if decoupled else update_targets(state), metrics

        state, delayed_metrics = update_when(step % frequency == 0, delayed, state)
        if decoupled:
            state = jax.lax.cond(step % config.policy_freq == 0, update_targets, lambda state: state, state)
        return state, metrics | delayed_metrics

    def act(params: Params, observations: Array, key: Key | None) -> Array:
        del key  # the policy is deterministic
        return policy(params, observations)

    def diagnose(state: TD3BCState, observations: Array) -> dict[str, Array]:
        return {"beta": coefficient.apply(state.coefficient, observations)}

    return Algorithm(
        init=init,
        draw=draw,
        update=update,
        policy_params=lambda state: state.actor.params,
        act=act,
        diagnose=diagnose,
        coefficient_period=config.policy_freq,
    )


def from_config(config: Any, action_size: int) -> Algorithm:
    """Builds TD3+BC from a config.

    Args:
        config: a config of `configs/td3_bc.py`, read by attribute.
        action_size: number of action dimensions A.
    """
    return td3_bc(
        action_size,
        build_coefficient.from_config(config.coefficient),
        TD3BCConfig(
            discount=config.discount,
            tau=config.critic.tau,
            critic_hidden_sizes=tuple(config.critic.hidden_sizes),
            critic_layer_norm=config.critic.layer_norm,
            critic_learning_rate=config.critic.learning_rate,
            actor_hidden_sizes=tuple(config.actor.hidden_sizes),
            actor_learning_rate=config.actor.learning_rate,
            policy_freq=config.actor.policy_freq,
            online_policy_freq=config.online.policy_freq,
            decouple_online_targets=config.online.decouple_targets,
            policy_noise=config.actor.policy_noise,
            noise_clip=config.actor.noise_clip,
            delta=config.coefficient.delta,
        ),
    )


def operations(config: Any, observation_size: int, action_size: int) -> float:
    """Counts the floating-point operations per update, averaged over the delayed steps; see `algorithms.operations`.

    Args:
        config: a config of `configs/td3_bc.py`.
        observation_size: observation size O.
        action_size: number of action dimensions A.
    """
    batch = config.batch_size
    critic = (observation_size + action_size, *config.critic.hidden_sizes, 1)
    actor = (observation_size, *config.actor.hidden_sizes, action_size)
    every = 2 * train(batch, *critic) + 2 * forward(batch, *critic) + forward(batch, *actor)
    # The actor loss needs the gradient of the critic's inputs, not of its kernels.
    delayed = train(batch, *actor) + 2 * forward(batch, *critic)
    if config.coefficient.kind == "state_adaptive":
        delayed += train(batch, observation_size, *config.coefficient.hidden_sizes, 1)
    return every + delayed / config.actor.policy_freq
