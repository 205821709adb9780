"""FamCQL, which is FamO2O on top of CQL: a family of policies, and a network that chooses a member for each state.

Wang et al., "Train Once, Get a Family: State-Adaptive Balances for Offline-to-Online Reinforcement Learning", 2023,
https://arxiv.org/abs/2310.17966; Kumar et al., 2020, https://arxiv.org/abs/2006.04779, for the critics.

The policy receives a balance coefficient b with each state; b is the weight of Q in the policy's loss. Offline, b is
drawn at random, so that the policy learns a family over b. A balance network, trained in both phases, chooses b for
each state. All losses of an update are evaluated at the parameters before the update, and each trains one network.

Difference from the authors' program: it draws new noise for every loss; here losses share samples where they can.
"""

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from ssar_jax.algorithms import sac_steps
from ssar_jax.algorithms.base import Algorithm, Phase
from ssar_jax.algorithms.conservative import (
    CriticRows,
    conservative_gradients,
    critic_metrics,
    penalized_actions,
    values_of,
)
from ssar_jax.algorithms.operations import forward, train
from ssar_jax.algorithms.sac_steps import smallest_value, temperature_step
from ssar_jax.choices import BalanceMap, NextCoefficient
from ssar_jax.networks.actors import TanhGaussianActor
from ssar_jax.networks.balance import EMBEDDING_SIZE, MLP_OPTIONS, embed, to_coefficients
from ssar_jax.networks.critics import Critic, make_ensemble
from ssar_jax.ops.distributions import TanhGaussian
from ssar_jax.ops.gradients import apply_gradients, create_train_state, gradient_step
from ssar_jax.ops.losses import conservative_difference, soft_td_target
from ssar_jax.ops.shapes import assert_batch
from ssar_jax.ops.trees import averages, copy_params, polyak
from ssar_jax.ranges import require_hyperparameters, require_ordered
from ssar_jax.types import Array, Batch, Key, Metrics, Params, TrainState

DIFFERENCE = partial(conservative_difference, temperature=1.0, minimum=-math.inf, maximum=math.inf)
"""The difference of CQL(H) with importance sampling and without clips."""


class FamCQLState(NamedTuple):
    """The training state of FamCQL; `temperature` holds log alpha."""

    actor: TrainState
    balance: TrainState
    critics: TrainState
    target_critics: Params
    temperature: TrainState


class FamCQLPolicy(NamedTuple):
    """The parameters for acting: those of the policy family and of the balance network."""

    actor: Params
    balance: Params


class FamCQLDraws(NamedTuple):
    """The random arrays of one update, standard normal except for `coefficients` and `uniform`.

    Attributes:
        balance: noise of the balance network's samples, [B, 1].
        coefficients: balance coefficients of the offline phase, uniform on (low, high), [B].
        actions: noise of the actions in the actor loss, [B, A].
        balanced_actions: noise of the actions in the balance network's loss, [B, A].
        target_actions: noise of the next actions in the TD target, [B, A].
        uniform: random actions of the penalty, uniform on (-1, 1), [B, K, A].
        current: noise of the penalty's actions at the states, [B, K, A].
        following: noise of the penalty's actions at the next states, [B, K, A].
    """

    balance: Array
    coefficients: Array
    actions: Array
    balanced_actions: Array
    target_actions: Array
    uniform: Array
    current: Array
    following: Array


class FamCQLConfig(NamedTuple):
    """The hyperparameters of FamCQL, as published.

    Attributes:
        discount: discount factor.
        tau: Polyak rate of the target critics.
        actor_hidden_sizes: widths of the policy family's hidden layers.
        actor_learning_rate: Adam's learning rate for the policy family and the temperature.
        balance_hidden_sizes: widths of the balance network's hidden layers.
        balance_learning_rate: Adam's learning rate for the balance network.
        balance_map: map from its outputs to coefficients, see `to_coefficients`.
        low: lower end of the range from which offline coefficients are drawn.
        high: upper end of that range.
        next_coefficient: the coefficient of the policy at s': `current` takes the one chosen at s, as published, `next`
            the one chosen at s'.
        critic_hidden_sizes: widths of both critics' hidden layers.
        critic_layer_norm: whether LayerNorm follows every hidden linear layer of the critics.
        critic_learning_rate: Adam's learning rate for the critics.
        num_actions: number K of sampled actions per state, for each of the three kinds.
        penalty_weight: weight of the conservative difference.
    """

    discount: float = 0.99
    tau: float = 0.005
    actor_hidden_sizes: tuple[int, ...] = (256, 256)
    actor_learning_rate: float = 3e-4
    balance_hidden_sizes: tuple[int, ...] = (256, 256)
    balance_learning_rate: float = 3e-4
    balance_map: BalanceMap = "official"
    low: float = 0.5
    high: float = 1.5
    next_coefficient: NextCoefficient = "current"
    critic_hidden_sizes: tuple[int, ...] = (256, 256)
    critic_layer_norm: bool = True
    critic_learning_rate: float = 3e-4
    num_actions: int = 10
    penalty_weight: float = 1.0


PUBLISHED = FamCQLConfig()
"""The defaults."""


def fam_cql(action_size: int, config: FamCQLConfig = PUBLISHED) -> Algorithm:
    """Builds FamCQL.

    Args:
        action_size: number of action dimensions A.
        config: the hyperparameters.

    Raises:
        UserError: if a hyperparameter is out of its range, such as `tau=7`, or `low` is above `high`.
    """
    require_hyperparameters(config)
    require_ordered(config, "low", "high")
    actor = TanhGaussianActor(config.actor_hidden_sizes, action_size, mlp_options=MLP_OPTIONS)
    balance = TanhGaussianActor(config.balance_hidden_sizes, 1, mlp_options=MLP_OPTIONS)
    critics = make_ensemble([Critic(config.critic_hidden_sizes, config.critic_layer_norm, MLP_OPTIONS)] * 2)
    actor_optimizer = optax.adam(config.actor_learning_rate)
    balance_optimizer = optax.adam(config.balance_learning_rate)
    critic_optimizer = optax.adam(config.critic_learning_rate)

    def init(key: Key, observations: Array, actions: Array) -> FamCQLState:
        actor_key, balance_key, critics_key = jax.random.split(key, 3)
        actor_params = actor.init(actor_key, with_embedding(observations, jnp.zeros(len(observations))))["params"]
        critics_params = critics.init(critics_key, observations, actions)
        return FamCQLState(
            actor=create_train_state(actor_params, actor_optimizer),
            balance=create_train_state(balance.init(balance_key, observations)["params"], balance_optimizer),
            critics=create_train_state(critics_params, critic_optimizer),
            target_critics=copy_params(critics_params),
            temperature=create_train_state(jnp.zeros(()), actor_optimizer),
        )

    def draw(key: Key, batch: Batch) -> FamCQLDraws:
        keys = jax.random.split(key, 8)
        single, dtype = batch.actions.shape, batch.actions.dtype
        rows, several = single[0], (single[0], config.num_actions, single[1])
        return FamCQLDraws(
            balance=jax.random.normal(keys[0], (rows, 1), dtype),
            coefficients=jax.random.uniform(keys[1], (rows,), dtype, config.low, config.high),
            actions=jax.random.normal(keys[2], single, dtype),
            balanced_actions=jax.random.normal(keys[3], single, dtype),
            target_actions=jax.random.normal(keys[4], single, dtype),
            uniform=jax.random.uniform(keys[5], several, dtype, -1.0, 1.0),
            current=jax.random.normal(keys[6], several, dtype),
            following=jax.random.normal(keys[7], several, dtype),
        )

    def family(params: Params, observations: Array, coefficients: Array) -> TanhGaussian:
        """The policies with coefficients [...] at observations [..., O]."""
        return actor.apply({"params": params}, with_embedding(observations, coefficients))  # pyright: ignore[reportReturnType]

    def chosen(params: Params, observations: Array, noise: Array | None) -> Array:
        """The balance network's coefficients [...]: samples with noise [..., 1], or its modes without."""
        distribution: Any = balance.apply({"params": params}, observations)
        squashed = distribution.mode if noise is None else distribution.sample(noise)[0]
        return to_coefficients(squashed[..., 0], config.low, config.high, config.balance_map)

    def actor_loss(
        params: Params, observations: Array, coefficients: Array, noise: Array, critics_params: Params, alpha: Array
    ) -> tuple[Array, tuple[TanhGaussian, Array]]:
        """E[alpha log pi(a | s, b) - b min_e Q_e(s, a)], a ~ pi(. | s, b); Wang et al., 2023."""
        distribution = family(params, observations, coefficients)
        actions, log_prob = distribution.sample(noise)
        values = smallest_value(critics, critics_params, observations, actions)
        return jnp.mean(alpha * log_prob - coefficients * values), (distribution, log_prob)

    def balance_loss(
        params: Params, observations: Array, draws: FamCQLDraws, actor_params: Params, critics_params: Params
    ) -> tuple[Array, Array]:
        """-E[min_e Q_e(s, a)], a ~ pi(. | s, b(s)); Wang et al., 2023.

        The gradient reaches the balance network through the embedding of b.
        """
        coefficients = chosen(params, observations, draws.balance)
        actions, _ = family(actor_params, observations, coefficients).sample(draws.balanced_actions)
        return -jnp.mean(smallest_value(critics, critics_params, observations, actions)), coefficients

    def critic_rows(
        state: FamCQLState, batch: Batch, draws: FamCQLDraws, current: TanhGaussian, coefficients: Array
    ) -> CriticRows:
        """Samples the actions of the penalty and of the TD target from the policy before this update."""
        if config.next_coefficient == "next":
            # The same noise as at s: it correlates the two coefficients, but each has the right distribution.
            coefficients = chosen(state.balance.params, batch.next_observations, draws.balance)
        following = family(state.actor.params, batch.next_observations, coefficients)
        actions, log_prob = following.sample(draws.target_actions)
        values = values_of(critics, state.target_critics, batch.next_observations, actions)
        target = soft_td_target(batch.rewards, batch.masks, values, log_prob, config.discount, entropy_weight=0.0)
        sampled, log_densities = penalized_actions(draws.uniform, following, draws.following, current, draws.current)
        weight = jnp.full_like(target, config.penalty_weight)
        rows = CriticRows(batch.observations, batch.actions, target, weight, sampled, log_densities)
        return jax.lax.stop_gradient(rows)

    def update(
        state: FamCQLState, batch: Batch, draws: FamCQLDraws, *, step: Array, annealing: Array | float, phase: Phase
    ) -> tuple[FamCQLState, Metrics]:
        assert_batch(batch, action_size)
        del step, annealing  # FamCQL has no schedule
        temperature, multiplier = jnp.exp(state.temperature.params), jnp.ones(())

        balance_state, choice_loss, balanced, balance_gradients = gradient_step(
            balance_loss, balance_optimizer, state.balance,
            batch.observations, draws, state.actor.params, state.critics.params,
        )  # fmt: skip
        coefficients = draws.coefficients if phase == "offline" else balanced
        actor_state, pi_loss, (current, log_prob), actor_gradients = gradient_step(
            actor_loss, actor_optimizer, state.actor,
            batch.observations, coefficients, draws.actions, state.critics.params, temperature,
        )  # fmt: skip
        temperature_state, alpha_loss, _ = temperature_step(actor_optimizer, state.temperature, log_prob, action_size)
        rows = critic_rows(state, batch, draws, current, balanced)
        (q_loss, parts), critic_gradients = conservative_gradients(
            critics, state.critics.params, rows, multiplier, DIFFERENCE, gap=0.0
        )
        critics_state = apply_gradients(critic_optimizer, state.critics, critic_gradients)

        metrics = critic_metrics(q_loss, parts, critic_gradients, rows, multiplier) | {
            "actor/loss": pi_loss,
            "actor/entropy": -jnp.mean(log_prob),
            "actor/temperature": temperature,
            "actor/temperature_loss": alpha_loss,
            "actor/std": jnp.mean(jnp.exp(current.log_std)),
            "actor/grad_norm": optax.tree.norm(actor_gradients),
            "balance/loss": choice_loss,
            "balance/coefficient_mean": jnp.mean(balanced),
            "balance/coefficient_std": jnp.std(balanced),
            "balance/grad_norm": optax.tree.norm(balance_gradients),
        }
        state = FamCQLState(
            actor=actor_state,
            balance=balance_state,
            critics=critics_state,
            target_critics=polyak(state.target_critics, critics_state.params, config.tau),
            temperature=temperature_state,
        )
        return state, averages(metrics)

    def act(params: FamCQLPolicy, observations: Array, key: Key | None) -> Array:
        # The coefficient is the balance network's mode even if the action is sampled, as in the authors' program.
        return sac_steps.act(family(params.actor, observations, chosen(params.balance, observations, None)), key)

    def diagnose(state: FamCQLState, observations: Array) -> dict[str, Array]:
        return {"balance": chosen(state.balance.params, observations, None)}

    return Algorithm(
        init, draw, update, lambda state: FamCQLPolicy(state.actor.params, state.balance.params), act, diagnose
    )


def with_embedding(observations: Array, coefficients: Array) -> Array:
    """Concatenates observations and embedded coefficients, the inputs of the policy family.

    Args:
        observations: [..., O].
        coefficients: balance coefficients, [...].

    Returns:
        Inputs, [..., O + 6].
    """
    return jnp.concatenate([observations, embed(coefficients)], axis=-1)


def from_config(config: Any, action_size: int) -> Algorithm:
    """Builds FamCQL from a config.

    Args:
        config: a config of `configs/fam_cql.py`, read by attribute.
        action_size: number of action dimensions A.
    """
    return fam_cql(
        action_size,
        FamCQLConfig(
            discount=config.discount,
            tau=config.critic.tau,
            actor_hidden_sizes=tuple(config.actor.hidden_sizes),
            actor_learning_rate=config.actor.learning_rate,
            balance_hidden_sizes=tuple(config.balance.hidden_sizes),
            balance_learning_rate=config.balance.learning_rate,
            balance_map=config.balance.map,
            low=config.balance.low,
            high=config.balance.high,
            next_coefficient=config.balance.next_coefficient,
            critic_hidden_sizes=tuple(config.critic.hidden_sizes),
            critic_layer_norm=config.critic.layer_norm,
            critic_learning_rate=config.critic.learning_rate,
            num_actions=config.critic.num_actions,
            penalty_weight=config.critic.penalty_weight,
        ),
    )


def operations(config: Any, observation_size: int, action_size: int) -> float:
    """Counts the floating-point operations per update, see `algorithms.operations`.

    Args:
        config: a config of `configs/fam_cql.py`.
        observation_size: observation size O.
        action_size: number of action dimensions A.
    """
    batch, samples = config.batch_size, config.critic.num_actions
    actor = (observation_size + EMBEDDING_SIZE, *config.actor.hidden_sizes, 2 * action_size)
    balance = (observation_size, *config.balance.hidden_sizes, 2)
    critic = (observation_size + action_size, *config.critic.hidden_sizes, 1)
    critics = 2 * train(batch * (3 * samples + 1), *critic) + 2 * forward(batch, *critic)  # and the target critics
    actor_loss = train(batch, *actor) + 4 * forward(batch, *critic)
    # Policy and critics need the gradient of their inputs only.
    balance_loss = train(batch, *balance) + 2 * forward(batch, *actor) + 4 * forward(batch, *critic)
    next_balance = forward(batch, *balance) if config.balance.next_coefficient == "next" else 0.0
    # The last term is the policy at the next states; the penalty reuses the actor loss's pass at the states.
    return critics + actor_loss + balance_loss + next_balance + forward(batch, *actor)
