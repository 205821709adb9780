"""CQL and, with a state-adaptive coefficient, CQL(SA).

Kumar et al., "Conservative Q-Learning for Offline Reinforcement Learning", 2020, https://arxiv.org/abs/2006.04779;
"Selective State-Adaptive Regularization", 2025, https://arxiv.org/abs/2505.19923.

Soft actor-critic whose critics are also pushed down on the policy's and on random actions and up on the data's:
CQL(H) with importance sampling. All losses of a step see the parameters from before it.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from ssar_jax.algorithms.base import Algorithm, Phase
from ssar_jax.algorithms.conservative import (
    CriticRows,
    conservative_gradients,
    critic_metrics,
    penalised_actions,
    repeated,
    values_of,
)
from ssar_jax.algorithms.cql_hyperparameters import (
    PUBLISHED,
    Hyperparameters,
    hyperparameters_from_config,
    make_critics,
)
from ssar_jax.coefficients import build as build_coefficient
from ssar_jax.coefficients.base import Coefficient
from ssar_jax.coefficients.trust_region import floor_share, stochastic_slack
from ssar_jax.networks.actors import TanhGaussianActor
from ssar_jax.ops.distributions import TanhGaussian
from ssar_jax.ops.losses import conservative_difference, soft_td_target, temperature_loss
from ssar_jax.ops.trees import apply_gradients, averages, gradient_step, polyak
from ssar_jax.types import Array, Batch, Key, Metrics, Params

MAX_CLONED_ACTION = 0.9999
"""Actions are cloned up to here, the limit to which the published CQL(SA) clips its data."""

MAX_MULTIPLIER = 1e6
"""Upper limit of the Lagrange multiplier."""


class CQLState(NamedTuple):
    """Everything that training changes."""

    actor: Params
    actor_opt: optax.OptState
    critics: Params
    critics_opt: optax.OptState
    target_critics: Params
    log_temperature: Array
    temperature_opt: optax.OptState
    log_multiplier: Array
    multiplier_opt: optax.OptState
    coefficient: Any


class CQLDraws(NamedTuple):
    """Random numbers of one update: standard normals, and `uniform` on (-1, 1).

    Attributes:
        actions: [B, A].
        target_actions: [B, A], or [B, K, A] with max backup.
        uniform: [B, K, A].
        current: [B, K, A].
        following: [B, K, A].
    """

    actions: Array
    target_actions: Array
    uniform: Array
    current: Array
    following: Array


def make(action_size: int, coefficient: Coefficient, hyperparameters: Hyperparameters = PUBLISHED) -> Algorithm:
    """Builds CQL around a coefficient.

    Args:
        action_size: A.
        coefficient: `constant.make(10.0)` for CQL, `state_adaptive.make(...)` for CQL(SA).
        hyperparameters: everything else.
    """
    hp = hyperparameters
    actor = TanhGaussianActor(hp.actor_hidden_sizes, action_size)
    critics = make_critics(hp)
    actor_optimiser = optax.adam(hp.actor_learning_rate)
    critic_optimiser = optax.adam(hp.critic_learning_rate)
    target_entropy = -float(action_size)
    gap = hp.target_gap if hp.lagrange else 0.0

    def init(key: Key, observations: Array, actions: Array) -> CQLState:
        actor_key, critics_key, coefficient_key = jax.random.split(key, 3)
        actor_params = actor.init(actor_key, observations)["params"]
        critics_params = critics.init(critics_key, observations, actions)
        log_temperature, log_multiplier = jnp.zeros(()), jnp.ones(())
        return CQLState(
            actor_params,
            actor_optimiser.init(actor_params),
            critics_params,
            critic_optimiser.init(critics_params),
            jax.tree.map(jnp.copy, critics_params),  # buffers of its own, so that the state can be donated
            log_temperature,
            actor_optimiser.init(log_temperature),
            log_multiplier,
            critic_optimiser.init(log_multiplier),
            coefficient.init(coefficient_key, observations),
        )

    def draw(key: Key, batch: Batch) -> CQLDraws:
        keys = jax.random.split(key, 5)
        single, dtype = batch.actions.shape, batch.actions.dtype
        several = (single[0], hp.num_actions, single[1])
        return CQLDraws(
            actions=jax.random.normal(keys[0], single, dtype),
            target_actions=jax.random.normal(keys[1], several if hp.max_backup else single, dtype),
            uniform=jax.random.uniform(keys[2], several, dtype, -1.0, 1.0),
            current=jax.random.normal(keys[3], several, dtype),
            following=jax.random.normal(keys[4], several, dtype),
        )

    def policy(params: Params, observations: Array) -> TanhGaussian:
        return actor.apply({"params": params}, observations)  # pyright: ignore[reportReturnType]

    def actor_loss(
        params: Params, batch: Batch, noise: Array, critics_params: Params, temperature: Array, step: Array
    ) -> tuple[Array, tuple[TanhGaussian, Array]]:
        """E[alpha log pi - min_e Q_e + w |a_pi - a|^2]; in the first `bc_steps` the data's density instead of Q."""
        distribution = policy(params, batch.observations)
        actions, log_prob = distribution.sample(noise)
        values = jnp.min(critics.apply(critics_params, batch.observations, actions), axis=0)
        gain = values - hp.actor_bc_weight * jnp.sum((actions - batch.actions) ** 2, axis=-1)
        if hp.bc_steps > 0:
            # At exactly +-1 the density is infinite, and so would be a gradient that `where` does not stop.
            inside = jnp.clip(batch.actions, -MAX_CLONED_ACTION, MAX_CLONED_ACTION)
            cloning = jnp.sum(distribution.log_prob(inside), axis=-1)
            gain = jnp.where(step <= hp.bc_steps, cloning, gain)
        return jnp.mean(temperature * log_prob - gain), (distribution, log_prob)

    def difference(sampled_values: Array, data_values: Array, log_densities: Array) -> tuple[Array, Array]:
        return conservative_difference(
            sampled_values,
            data_values,
            log_densities if hp.importance_sampling else None,
            temperature=hp.softmax_temperature,
            minimum=hp.difference_min,
            maximum=hp.difference_max,
        )

    def critic_rows(state: CQLState, batch: Batch, draws: CQLDraws, current: TanhGaussian, weight: Array) -> CriticRows:
        """Samples the actions of the penalty and of the TD target from the policy before its step."""
        following = policy(state.actor, batch.next_observations)
        target_actions, target_log_prob = (repeated(following) if hp.max_backup else following).sample(
            draws.target_actions
        )
        target_values = values_of(critics, state.target_critics, batch.next_observations, target_actions)
        entropy_weight = jnp.exp(state.log_temperature) * hp.temperature_multiplier if hp.backup_entropy else 0.0
        target = soft_td_target(batch.rewards, batch.masks, target_values, target_log_prob, hp.discount, entropy_weight)
        sampled, log_densities = penalised_actions(draws.uniform, following, draws.following, current, draws.current)
        rows = CriticRows(batch.observations, batch.actions, target, weight, sampled, log_densities)
        return jax.lax.stop_gradient(rows)

    def update(
        state: CQLState, batch: Batch, draws: CQLDraws, *, step: Array, annealing: Array | float, phase: Phase
    ) -> tuple[CQLState, Metrics]:
        temperature = jnp.exp(state.log_temperature) * hp.temperature_multiplier
        weight = coefficient.weight(state.coefficient, batch.observations, batch.trusted, annealing)

        actor_params, actor_opt, pi_loss, (current, log_prob), actor_gradients = gradient_step(
            actor_loss, actor_optimiser, state.actor, state.actor_opt,
            batch, draws.actions, state.critics, temperature, step,
        )  # fmt: skip
        log_temperature, temperature_opt, alpha_loss, _, temperature_gradient = gradient_step(
            temperature_loss, actor_optimiser, state.log_temperature, state.temperature_opt, log_prob, target_entropy
        )

        rows = critic_rows(state, batch, draws, current, weight)
        multiplier = jnp.clip(jnp.exp(state.log_multiplier), 0.0, MAX_MULTIPLIER) if hp.lagrange else jnp.ones(())
        (q_loss, parts), critic_gradients = conservative_gradients(
            critics, state.critics, rows, multiplier, difference, gap
        )
        critics_params, critics_opt = apply_gradients(
            critic_optimiser, state.critics, state.critics_opt, critic_gradients
        )

        metrics = critic_metrics(critics, q_loss, parts, critic_gradients, rows, multiplier) | {
            "actor/loss": pi_loss,
            "actor/entropy": -jnp.mean(log_prob),
            "actor/temperature": temperature,
            "actor/temperature_loss": alpha_loss,
            "actor/std": jnp.mean(jnp.exp(current.log_std)),
            "actor/grad_norm": optax.tree.norm(actor_gradients),
            "actor/temperature_grad_norm": jnp.abs(temperature_gradient),
            "actor/regulariser_weight": jnp.mean(weight),
        }

        log_multiplier, multiplier_opt = state.log_multiplier, state.multiplier_opt
        if hp.lagrange:
            mean_penalty = jnp.sum(jnp.mean(parts["penalty"], axis=0))
            log_multiplier, multiplier_opt, value, _, gradient = gradient_step(
                multiplier_loss, critic_optimiser, log_multiplier, multiplier_opt, mean_penalty
            )
            metrics["critic/multiplier"] = multiplier
            metrics["critic/multiplier_loss"] = value
            metrics["critic/multiplier_grad_norm"] = jnp.abs(gradient)

        metrics = averages(metrics)
        coefficient_state = state.coefficient
        if phase == "offline":
            # Unlike TD3+BC the trust region is that of the policy after its step, as in the authors' program.
            distribution = policy(actor_params, batch.observations)

            def slack(n: Array) -> tuple[Array, Metrics]:
                share = averages({"coefficient/floor_share": floor_share(distribution, n)})
                return stochastic_slack(distribution, batch.actions, n), share

            coefficient_state, coefficient_metrics = coefficient.update(
                coefficient_state, batch.observations, slack, batch.trusted, step
            )
            metrics |= coefficient_metrics
        state = CQLState(
            actor_params,
            actor_opt,
            critics_params,
            critics_opt,
            _move_targets(state.target_critics, critics_params, hp, step),
            log_temperature,
            temperature_opt,
            log_multiplier,
            multiplier_opt,
            coefficient_state,
        )
        return state, metrics

    def act(params: Params, observations: Array, key: Key | None) -> Array:
        distribution = policy(params, observations)
        if key is None:
            return distribution.mode
        return distribution.sample(jax.random.normal(key, distribution.mean.shape))[0]

    def diagnose(state: CQLState, observations: Array) -> dict[str, Array]:
        return {"beta": coefficient.apply(state.coefficient, observations)}

    return Algorithm(init, draw, update, lambda state: state.actor, act, diagnose)


def multiplier_loss(log_multiplier: Array, mean_penalty: Array) -> tuple[Array, None]:
    """-1/2 alpha' sum_e E[beta (D_e - gap)]: alpha' grows while the difference exceeds the gap."""
    return -0.5 * jnp.clip(jnp.exp(log_multiplier), 0.0, MAX_MULTIPLIER) * mean_penalty, None


def _move_targets(targets: Params, online: Params, hp: Hyperparameters, step: Array) -> Params:
    if hp.target_update_period == 1:
        return polyak(targets, online, hp.tau)
    due = step % hp.target_update_period == 0
    return jax.lax.cond(due, lambda: polyak(targets, online, hp.tau), lambda: targets)


def from_config(config: Any, action_size: int) -> Algorithm:
    """Builds CQL from a config of `configs/cql.py`."""
    coefficient = build_coefficient.from_config(config.coefficient)
    return make(action_size, coefficient, hyperparameters_from_config(config))
