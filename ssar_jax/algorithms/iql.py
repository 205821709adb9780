"""Implicit Q-learning (IQL) in its two published forms.

Kostrikov et al., "Offline Reinforcement Learning with Implicit Q-Learning", 2021, https://arxiv.org/abs/2110.06169.
`order="corl"` is CORL's program, whose losses all use V from before its step; `order="official"` is the authors'
program, where actor and Q use V from after its step.

Experimental and not published: a state-adaptive coefficient beta(s) in the actor's weight. The weighted regression
solves max E[A] - KL(pi, data) / temperature in each state, so 1 / temperature is the strength of the regularization,
and beta(s) scales it. A factor on the whole actor loss would not regularize: it changes the relative weight of states,
but not the optimal policy in any of them, and Adam cancels its mean.
"""

import math
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from ssar_jax.algorithms.base import Algorithm, Phase
from ssar_jax.algorithms.iql_values import (
    ValueState,
    critic_step,
    init_values,
    make_value_networks,
    value_step,
)
from ssar_jax.algorithms.operations import forward, train
from ssar_jax.choices import ActorSchedule, OnlineActorSchedule
from ssar_jax.coefficients import build as build_coefficient
from ssar_jax.coefficients.base import Coefficient
from ssar_jax.coefficients.constant import constant
from ssar_jax.coefficients.trust_region import deterministic_slack
from ssar_jax.networks import initializers
from ssar_jax.networks.actors import DeterministicActor, GaussianActor
from ssar_jax.ops.distributions import gaussian_log_prob
from ssar_jax.ops.gradients import create_train_state, gradient_step
from ssar_jax.ops.shapes import assert_batch
from ssar_jax.ops.trees import averages
from ssar_jax.ranges import require_hyperparameters
from ssar_jax.types import Array, Batch, Key, Metrics, Params, TrainState

MAX_WEIGHT = 100.0
"""Upper limit of the weight exp(temperature * advantage)."""

MIN_COEFFICIENT = 1e-3
"""Lower limit of the annealed coefficient, by which the temperature is divided."""


class IQLState(NamedTuple):
    """The training state of IQL."""

    values: ValueState
    actor: TrainState
    coefficient: Any


class IQLConfig(NamedTuple):
    """The hyperparameters of IQL; the defaults are CORL's for most locomotion tasks.

    Attributes:
        order: the program whose order of updates, reduction of the critic losses and initializers are used.
        discount: discount factor.
        tau: Polyak rate of the target critics.
        hidden_sizes: widths of the hidden layers of all networks.
        learning_rate: Adam's learning rate for all networks.
        actor_schedule: whether the actor's learning rate falls to 0 on a cosine over `actor_decay_steps`.
        actor_decay_steps: number of updates after which the cosine reaches 0, where the learning rate stays.
        online_actor_schedule: the schedule of the online phase. `cosine_wrap` continues the cosine, on which the rate
            rises again from 0, as in CORL's fine-tuning.
        expectile: the expectile of Q over the dataset's actions that V estimates.
        temperature: factor on the advantage in the actor's weight; 0 gives behavior cloning.
        deterministic: whether the actor is deterministic, with a squared-error loss.
        delta: width of the trust region per unit of its size n.
    """

    order: Literal["corl", "official"] = "corl"
    discount: float = 0.99
    tau: float = 0.005
    hidden_sizes: tuple[int, ...] = (256, 256)
    learning_rate: float = 3e-4
    actor_schedule: ActorSchedule = "cosine"
    actor_decay_steps: int = 1_000_000
    online_actor_schedule: OnlineActorSchedule = "constant"
    expectile: float = 0.7
    temperature: float = 3.0
    deterministic: bool = False
    delta: float = 0.1


PUBLISHED = IQLConfig()
"""The defaults."""

PLAIN = constant(1.0)
"""The coefficient of the published IQL."""


def advantage_weights(advantages: Array, temperature: float | Array) -> Array:
    """Computes the weights of the actor loss, min(exp(temperature * advantage), 100).

    Kostrikov et al., 2021, equation 7; the limit is that of both programs.

    Args:
        advantages: [B].
        temperature: scalar or [B].

    Returns:
        Weights, [B].
    """
    return jnp.minimum(jnp.exp(temperature * advantages), MAX_WEIGHT)


def actor_learning_rate(config: IQLConfig, step: Array, phase: Phase) -> Array | float:
    """Computes the actor's learning rate: constant, or rate * (1 + cos(pi (step - 1) / decay_steps)) / 2.

    Args:
        config: the hyperparameters.
        step: number of updates so far including this one and those of the offline phase, scalar.
        phase: the phase of the update.

    Returns:
        The learning rate, scalar.
    """
    schedule = config.actor_schedule if phase == "offline" else config.online_actor_schedule
    if schedule == "constant":
        return config.learning_rate
    progress = (step - 1.0) / config.actor_decay_steps
    if schedule == "cosine":
        progress = jnp.minimum(progress, 1.0)
    return 0.5 * config.learning_rate * (1.0 + jnp.cos(jnp.pi * progress))


def iql(action_size: int, coefficient: Coefficient = PLAIN, config: IQLConfig = PUBLISHED) -> Algorithm:
    """Builds IQL.

    Args:
        action_size: number of action dimensions A.
        coefficient: strength of the regularization relative to `1 / temperature`: `constant(1.0)` as published, or
            `state_adaptive(1.0)`, which is experimental.
        config: the other hyperparameters.

    Raises:
        UserError: if a hyperparameter is out of its range, such as `tau=7`.
    """
    require_hyperparameters(config)
    official = config.order == "official"
    options: dict[str, Any] = {}
    if official:
        options = {"kernel_init": initializers.orthogonal(math.sqrt(2.0)), "bias_init": jax.nn.initializers.zeros}
    networks = make_value_networks(config.hidden_sizes, config.learning_rate, options)
    if config.deterministic:
        actor: Any = DeterministicActor(config.hidden_sizes, action_size)
    else:
        actor = GaussianActor(config.hidden_sizes, action_size, -5.0 if official else -20.0, options)

    def init(key: Key, observations: Array, actions: Array) -> IQLState:
        value_key, actor_key, coefficient_key = jax.random.split(key, 3)
        actor_params = actor.init(actor_key, observations)["params"]
        return IQLState(
            values=init_values(networks, value_key, observations, actions),
            actor=create_train_state(actor_params, optax.adam(config.learning_rate)),
            coefficient=coefficient.init(coefficient_key, observations),
        )

    def draw(key: Key, batch: Batch) -> tuple[()]:
        del key, batch  # an update of IQL draws nothing
        return ()

    def update_values(values: ValueState, batch: Batch) -> tuple[ValueState, Array, dict[str, Array]]:
        """Takes a step on V, then one on Q, and returns the advantages [B] for the actor loss.

        Q and the advantages use V from before its step in CORL's program and from after its step in the authors'.
        """
        before = values.value.params
        values, advantages, value_loss = value_step(networks, values, batch, config.expectile)
        if official:
            target = jnp.min(networks.critics.apply(values.target_critics, batch.observations, batch.actions), axis=0)
            advantages = target - networks.value(values.value.params, batch.observations)
        next_values = networks.value(values.value.params if official else before, batch.next_observations)
        values, critic_loss, q_mean = critic_step(
            networks, values, batch, next_values,
            discount=config.discount, tau=config.tau, reduction=jnp.sum if official else jnp.mean,
        )  # fmt: skip
        return values, advantages, {"value/loss": value_loss, "critic/loss": critic_loss, "critic/q_mean": q_mean}

    def actor_loss(params: Params, batch: Batch, weights: Array) -> tuple[Array, Array]:
        """-E[weight * log pi(a | s)], Kostrikov et al., equation 7; E[weight * |pi(s) - a|^2] if deterministic."""
        if config.deterministic:
            mean = actor.apply({"params": params}, batch.observations)
            distance = jnp.sum((mean - batch.actions) ** 2, axis=-1)
        else:
            mean, log_std = actor.apply({"params": params}, batch.observations)
            distance = -jnp.sum(gaussian_log_prob(batch.actions, mean, log_std), axis=-1)
        return jnp.mean(weights * distance), mean

    def update(
        state: IQLState, batch: Batch, draws: tuple[()], *, step: Array, annealing: Array | float, phase: Phase
    ) -> tuple[IQLState, Metrics]:
        assert_batch(batch, action_size)
        del draws  # there are none
        values, advantages, metrics = update_values(state.values, batch)
        beta = coefficient.weight(state.coefficient, batch.observations, batch.trusted, annealing)
        temperature = config.temperature / jnp.maximum(beta, MIN_COEFFICIENT)
        weights = jax.lax.stop_gradient(advantage_weights(advantages, temperature))
        actor_optimizer = optax.adam(actor_learning_rate(config, step, phase))
        actor_state, loss, mean, gradients = gradient_step(actor_loss, actor_optimizer, state.actor, batch, weights)
        coefficient_state, coefficient_metrics = state.coefficient, {}
        if phase == "offline":
            coefficient_state, coefficient_metrics = coefficient.update(
                state.coefficient,
                batch.observations,
                lambda n: (deterministic_slack(mean, batch.actions, n, config.delta), {}),
                batch.trusted,
                step,
            )
        metrics |= {
            "actor/loss": loss,
            "actor/grad_norm": optax.tree.norm(gradients),
            "actor/weight_mean": jnp.mean(weights),
            "value/advantage_mean": jnp.mean(advantages),
            "value/positive_share": jnp.mean((advantages >= 0.0).astype(advantages.dtype)),
        }
        state = IQLState(values=values, actor=actor_state, coefficient=coefficient_state)
        return state, averages(metrics) | coefficient_metrics

    def act(params: Params, observations: Array, key: Key | None) -> Array:
        output = actor.apply({"params": params}, observations)
        if config.deterministic:
            return output
        mean, log_std = output
        if key is None:
            return mean
        return jnp.clip(mean + jnp.exp(log_std) * jax.random.normal(key, mean.shape), -1.0, 1.0)

    def diagnose(state: IQLState, observations: Array) -> dict[str, Array]:
        return {} if coefficient is PLAIN else {"beta": coefficient.apply(state.coefficient, observations)}

    return Algorithm(init, draw, update, lambda state: state.actor.params, act, diagnose)


def from_config(config: Any, action_size: int) -> Algorithm:
    """Builds IQL from a config.

    Args:
        config: a config of `configs/iql.py`, read by attribute. If `actor.decay_steps` is None, the actor's learning
            rate decays over the whole offline phase.
        action_size: number of action dimensions A.
    """
    adaptive = getattr(config, "coefficient", None)
    decay_steps = config.num_updates if config.actor.decay_steps is None else config.actor.decay_steps
    iql_config = IQLConfig(
        order="official" if config.variant == "official" else "corl",
        discount=config.discount,
        tau=config.critic.tau,
        hidden_sizes=tuple(config.critic.hidden_sizes),
        learning_rate=config.critic.learning_rate,
        actor_schedule=config.actor.schedule,
        actor_decay_steps=decay_steps,
        online_actor_schedule=config.online.actor_schedule,
        expectile=config.critic.expectile,
        temperature=config.actor.temperature,
        deterministic=config.actor.deterministic,
    )
    if adaptive is None:
        return iql(action_size, config=iql_config)
    return iql(action_size, build_coefficient.from_config(adaptive), iql_config._replace(delta=adaptive.delta))


def length_matters(config: Any) -> bool:
    """Whether the actor's learning rate decays over the whole offline phase.

    Args:
        config: a config of `configs/iql.py`.
    """
    return config.actor.schedule != "constant" and config.actor.decay_steps is None


def operations(config: Any, observation_size: int, action_size: int) -> float:
    """Counts the floating-point operations per update, see `algorithms.operations`.

    Args:
        config: a config of `configs/iql.py`.
        observation_size: observation size O.
        action_size: number of action dimensions A.
    """
    batch, hidden = config.batch_size, config.critic.hidden_sizes
    critic, value = (observation_size + action_size, *hidden, 1), (observation_size, *hidden, 1)
    critics = 2 * train(batch, *critic) + 2 * forward(batch, *critic)
    values = train(batch, *value) + forward(batch, *value)
    total = critics + values + train(batch, observation_size, *hidden, action_size)
    if "coefficient" in config:
        total += train(batch, observation_size, *config.coefficient.hidden_sizes, 1)
    return total
