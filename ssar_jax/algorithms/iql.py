"""Implicit Q-learning in its two published forms.

Kostrikov et al., "Offline Reinforcement Learning with Implicit Q-Learning", 2021,
https://arxiv.org/abs/2110.06169. `order="corl"` is CORL's program (all losses see the old V), `order="official"` the
authors' (actor and Q see the new one).

Experimental, and in no paper: a state-adaptive coefficient beta(s) within the actor's weight. The weight solves
max E[A] - KL(pi, data) / temperature in every state, so that 1 / temperature is what regularises there, and beta(s)
scales it. A factor on the whole loss would do nothing of the kind: it weighs states against each other, but leaves the
solution in each where it is, and Adam removes its mean.
"""

import math
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from ssar_jax.algorithms.base import Algorithm, Phase
from ssar_jax.algorithms.iql_values import ValueState, make_value_learner, update_values
from ssar_jax.coefficients import build as build_coefficient
from ssar_jax.coefficients import constant
from ssar_jax.coefficients.base import Coefficient
from ssar_jax.coefficients.trust_region import deterministic_slack
from ssar_jax.networks import initializers
from ssar_jax.networks.actors import DeterministicActor, GaussianActor
from ssar_jax.ops.distributions import gaussian_log_prob
from ssar_jax.ops.trees import averages, gradient_step
from ssar_jax.types import Array, Batch, Key, Metrics, Params

MAX_WEIGHT = 100.0
"""Upper limit of the exponentiated advantage."""

MIN_COEFFICIENT = 1e-3
"""Lower limit of the annealed coefficient, which divides the temperature."""

ActorSchedule = Literal["cosine", "constant"]
OnlineActorSchedule = Literal["constant", "cosine_wrap"]


class IQLState(NamedTuple):
    """Everything that training changes."""

    values: ValueState
    actor: Params
    actor_opt: optax.OptState
    coefficient: Any


class Hyperparameters(NamedTuple):
    """The numbers of IQL; the defaults are CORL's for most locomotion tasks.

    Attributes:
        order: which program's order of updates, reduction of the twin losses and initialisers.
        discount: discount factor.
        tau: rate of the target critics.
        hidden_sizes: widths of the hidden layers of all networks.
        learning_rate: Adam's rate for all networks.
        actor_schedule: whether the actor's rate falls to 0 on a cosine over `actor_decay_steps`.
        actor_decay_steps: see `actor_schedule`; past it the rate stays at 0.
        online_actor_schedule: of the online phase. `cosine_wrap` goes on along the cosine, on which the rate climbs
            again from 0: CORL's fine-tuning, kept to match its numbers.
        expectile: of the value loss.
        temperature: factor on the advantage in the actor's weight; 0 gives behaviour cloning.
        deterministic: whether the actor is deterministic and cloned by squared distance.
        delta: width of the coefficient's trust region per unit of n.
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


PUBLISHED = Hyperparameters()
"""The defaults."""


PLAIN = constant.make(1.0)
"""The coefficient of IQL as published."""


def advantage_weights(advantages: Array, temperature: float | Array) -> Array:
    """min(exp(temperature * advantage), 100), equation 7; [B], the temperature a scalar or [B]."""
    return jnp.minimum(jnp.exp(temperature * advantages), MAX_WEIGHT)


def actor_learning_rate(hyperparameters: Hyperparameters, step: Array, phase: Phase) -> Array | float:
    """The actor's rate in an update: constant, or rate * (1 + cos(pi (step - 1) / decay_steps)) / 2.

    Args:
        hyperparameters: the schedules.
        step: scalar, number of updates so far including this one, those of the offline phase too.
        phase: which phase the update belongs to.
    """
    hp = hyperparameters
    schedule = hp.actor_schedule if phase == "offline" else hp.online_actor_schedule
    if schedule == "constant":
        return hp.learning_rate
    progress = (step - 1.0) / hp.actor_decay_steps
    if schedule == "cosine":
        progress = jnp.minimum(progress, 1.0)
    return 0.5 * hp.learning_rate * (1.0 + jnp.cos(jnp.pi * progress))


def make(action_size: int, hyperparameters: Hyperparameters = PUBLISHED, coefficient: Coefficient = PLAIN) -> Algorithm:
    """Builds IQL.

    Args:
        action_size: A.
        hyperparameters: everything else.
        coefficient: what the strength of the regularisation is multiplied by; 1 as published, experimental:
            `state_adaptive.make(...)` around 1.
    """
    hp = hyperparameters
    official = hp.order == "official"
    options: dict[str, Any] = {}
    if official:
        options = {
            "kernel_init": initializers.orthogonal(math.sqrt(2.0)),
            "bias_init": jax.nn.initializers.zeros,
        }
    learner = make_value_learner(
        hidden_sizes=hp.hidden_sizes,
        learning_rate=hp.learning_rate,
        discount=hp.discount,
        expectile=hp.expectile,
        tau=hp.tau,
        sum_critic_losses=official,
        mlp_options=options,
    )
    if hp.deterministic:
        actor: Any = DeterministicActor(hp.hidden_sizes, action_size)
    else:
        actor = GaussianActor(hp.hidden_sizes, action_size, -5.0 if official else -20.0, options)

    def init(key: Key, observations: Array, actions: Array) -> IQLState:
        value_key, actor_key, coefficient_key = jax.random.split(key, 3)
        actor_params = actor.init(actor_key, observations)["params"]
        actor_opt = optax.adam(hp.learning_rate).init(actor_params)
        values = learner.init(value_key, observations, actions)
        return IQLState(values, actor_params, actor_opt, coefficient.init(coefficient_key, observations))

    def draw(key: Key, batch: Batch) -> tuple[()]:
        del key, batch  # an update of IQL draws nothing
        return ()

    def actor_loss(params: Params, batch: Batch, weights: Array) -> tuple[Array, Array]:
        """-E[weight * log pi(a | s)], equation 7; deterministic: E[weight * |pi(s) - a|^2]."""
        if hp.deterministic:
            mean = actor.apply({"params": params}, batch.observations)
            distance = jnp.sum((mean - batch.actions) ** 2, axis=-1)
        else:
            mean, log_std = actor.apply({"params": params}, batch.observations)
            distance = -jnp.sum(gaussian_log_prob(batch.actions, mean, log_std), axis=-1)
        return jnp.mean(weights * distance), mean

    def update(
        state: IQLState, batch: Batch, draws: tuple[()], *, step: Array, annealing: Array | float, phase: Phase
    ) -> tuple[IQLState, Metrics]:
        del draws  # there are none
        values = state.values
        if official:
            values, _, value_loss = learner.update_value(values, batch)
            target = jnp.min(learner.critics.apply(values.target_critics, batch.observations, batch.actions), axis=0)
            advantages = target - learner.value(values.value, batch.observations)
            next_values = learner.value(values.value, batch.next_observations)
            values, critic_loss, mean = learner.update_critics(values, batch, next_values)
            metrics = {"value/loss": value_loss, "critic/loss": critic_loss, "critic/q_mean": mean}
        else:
            values, advantages, metrics = update_values(learner, values, batch)
        actor_optimiser = optax.adam(actor_learning_rate(hp, step, phase))
        beta = coefficient.weight(state.coefficient, batch.observations, batch.trusted, annealing)
        temperature = hp.temperature / jnp.maximum(beta, MIN_COEFFICIENT)
        weights = jax.lax.stop_gradient(advantage_weights(advantages, temperature))
        actor_params, actor_opt, loss, mean, gradients = gradient_step(
            actor_loss, actor_optimiser, state.actor, state.actor_opt, batch, weights
        )
        coefficient_state, coefficient_metrics = state.coefficient, {}
        if phase == "offline":
            coefficient_state, coefficient_metrics = coefficient.update(
                coefficient_state,
                batch.observations,
                lambda n: (deterministic_slack(mean, batch.actions, n, hp.delta), {}),
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
        return IQLState(values, actor_params, actor_opt, coefficient_state), averages(metrics) | coefficient_metrics

    def act(params: Params, observations: Array, key: Key | None) -> Array:
        output = actor.apply({"params": params}, observations)
        if hp.deterministic:
            return output
        mean, log_std = output
        if key is None:
            return mean
        return jnp.clip(mean + jnp.exp(log_std) * jax.random.normal(key, mean.shape), -1.0, 1.0)

    def diagnose(state: IQLState, observations: Array) -> dict[str, Array]:
        return {} if coefficient is PLAIN else {"beta": coefficient.apply(state.coefficient, observations)}

    return Algorithm(init, draw, update, lambda state: state.actor, act, diagnose)


def from_config(config: Any, action_size: int) -> Algorithm:
    """Builds IQL from a config of `configs/iql.py`."""
    hyperparameters, adaptive = hyperparameters_from_config(config), getattr(config, "coefficient", None)
    if adaptive is None:
        return make(action_size, hyperparameters)
    return make(action_size, hyperparameters._replace(delta=adaptive.delta), build_coefficient.from_config(adaptive))


def hyperparameters_from_config(config: Any) -> Hyperparameters:
    """Collects the hyperparameters from a config's groups; the actor's rate decays over the run unless told."""
    decay_steps = config.num_updates if config.actor.decay_steps is None else config.actor.decay_steps
    return Hyperparameters(
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
