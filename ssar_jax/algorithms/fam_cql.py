"""FamCQL, FamO2O on CQL: a family of policies, and for every state a balance between improving and keeping close.

Wang et al., "Train Once, Get a Family: State-Adaptive Balances for Offline-to-Online Reinforcement Learning", 2023,
https://arxiv.org/abs/2310.17966; Kumar et al., 2020, https://arxiv.org/abs/2006.04779, for the critics.

The policy sees a coefficient b beside the state, the weight of Q in its loss. Offline it learns for all b at once; a
balance network, trained in both phases, chooses b for each state. All losses of a step see the parameters from before
it, and each trains its own network alone. The authors' program draws new noise for every loss; we share what can be.
"""

import math
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from ssar_jax.algorithms.base import Algorithm, Phase
from ssar_jax.algorithms.conservative import (
    CriticRows,
    conservative_gradients,
    critic_metrics,
    penalised_actions,
    values_of,
)
from ssar_jax.networks.actors import TanhGaussianActor
from ssar_jax.networks.balance import MLP_OPTIONS, BalanceMap, embed, init_actor, to_coefficients
from ssar_jax.networks.critics import Critic, make_ensemble
from ssar_jax.ops.distributions import TanhGaussian
from ssar_jax.ops.losses import conservative_difference, soft_td_target, temperature_loss
from ssar_jax.ops.trees import apply_gradients, averages, gradient_step, polyak
from ssar_jax.types import Array, Batch, Key, Metrics, Params

DIFFERENCE = partial(conservative_difference, temperature=1.0, minimum=-math.inf, maximum=math.inf)
"""The difference of CQL(H), importance-sampled and not clipped."""


class FamCQLState(NamedTuple):
    """Everything that training changes."""

    actor: Params
    actor_opt: optax.OptState
    balance: Params
    balance_opt: optax.OptState
    critics: Params
    critics_opt: optax.OptState
    target_critics: Params
    log_temperature: Array
    temperature_opt: optax.OptState


class Policy(NamedTuple):
    """What acting needs: the family, and the network that chooses its member in each state."""

    actor: Params
    balance: Params


class Draws(NamedTuple):
    """Random numbers of one update: standard normals except for `coefficients` and `uniform`.

    Attributes:
        balance: [B, 1], of the balance network's samples.
        coefficients: [B], uniform on the range of coefficients; used offline alone.
        actions: [B, A], of the actor's loss.
        balanced_actions: [B, A], of the balance network's loss.
        target_actions: [B, A].
        uniform: [B, K, A], uniform on (-1, 1).
        current: [B, K, A].
        following: [B, K, A].
    """

    balance: Array
    coefficients: Array
    actions: Array
    balanced_actions: Array
    target_actions: Array
    uniform: Array
    current: Array
    following: Array


class Hyperparameters(NamedTuple):
    """The numbers of FamCQL, as published.

    Attributes:
        discount: discount factor.
        tau: rate of the target critics.
        actor_hidden_sizes: widths of the policy family's hidden layers.
        actor_learning_rate: Adam's rate for the policy family and the temperature.
        balance_hidden_sizes: widths of the balance network's hidden layers.
        balance_learning_rate: Adam's rate for the balance network.
        balance_map: how its outputs become coefficients, see `to_coefficients`.
        low: lower end of the range from which offline coefficients are drawn.
        high: upper end of that range.
        next_coefficient: whether the policy at s' takes the coefficient chosen at s, as published, or one at s'.
        critic_hidden_sizes: widths of both critics' hidden layers.
        critic_layer_norm: whether LayerNorm follows every hidden linear map of the critics.
        critic_learning_rate: Adam's rate for the critics.
        num_actions: K.
        penalty_weight: factor on the conservative difference.
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
    next_coefficient: Literal["current", "next"] = "current"
    critic_hidden_sizes: tuple[int, ...] = (256, 256)
    critic_layer_norm: bool = True
    critic_learning_rate: float = 3e-4
    num_actions: int = 10
    penalty_weight: float = 1.0


PUBLISHED = Hyperparameters()
"""The defaults."""


def make(action_size: int, hyperparameters: Hyperparameters = PUBLISHED) -> Algorithm:
    """Builds FamCQL.

    Args:
        action_size: A.
        hyperparameters: everything else.
    """
    hp = hyperparameters
    actor = TanhGaussianActor(hp.actor_hidden_sizes, action_size)
    balance = TanhGaussianActor(hp.balance_hidden_sizes, 1)
    critics = make_ensemble([Critic(hp.critic_hidden_sizes, hp.critic_layer_norm, MLP_OPTIONS)] * 2)
    actor_optimiser = optax.adam(hp.actor_learning_rate)
    balance_optimiser = optax.adam(hp.balance_learning_rate)
    critic_optimiser = optax.adam(hp.critic_learning_rate)
    target_entropy = -float(action_size)

    def init(key: Key, observations: Array, actions: Array) -> FamCQLState:
        actor_key, balance_key, critics_key = jax.random.split(key, 3)
        actor_params = init_actor(actor, actor_key, beside(observations, jnp.zeros(len(observations))))
        balance_params = init_actor(balance, balance_key, observations)
        critics_params = critics.init(critics_key, observations, actions)
        log_temperature = jnp.zeros(())
        return FamCQLState(
            actor_params, actor_optimiser.init(actor_params),
            balance_params, balance_optimiser.init(balance_params),
            critics_params, critic_optimiser.init(critics_params),
            jax.tree.map(jnp.copy, critics_params),  # buffers of its own, so that the state can be donated
            log_temperature, actor_optimiser.init(log_temperature),
        )  # fmt: skip

    def draw(key: Key, batch: Batch) -> Draws:
        keys = jax.random.split(key, 8)
        single, dtype = batch.actions.shape, batch.actions.dtype
        rows, several = single[0], (single[0], hp.num_actions, single[1])
        return Draws(
            balance=jax.random.normal(keys[0], (rows, 1), dtype),
            coefficients=jax.random.uniform(keys[1], (rows,), dtype, hp.low, hp.high),
            actions=jax.random.normal(keys[2], single, dtype),
            balanced_actions=jax.random.normal(keys[3], single, dtype),
            target_actions=jax.random.normal(keys[4], single, dtype),
            uniform=jax.random.uniform(keys[5], several, dtype, -1.0, 1.0),
            current=jax.random.normal(keys[6], several, dtype),
            following=jax.random.normal(keys[7], several, dtype),
        )

    def family(params: Params, observations: Array, coefficients: Array) -> TanhGaussian:
        """The member of the family with coefficients [...] at observations [..., O]."""
        return actor.apply({"params": params}, beside(observations, coefficients))  # pyright: ignore[reportReturnType]

    def chosen(params: Params, observations: Array, noise: Array | None) -> Array:
        """The balance network's coefficients [...]: a sample, or without noise [..., 1] its mode."""
        law: Any = balance.apply({"params": params}, observations)
        squashed = law.mode if noise is None else law.sample(noise)[0]
        return to_coefficients(squashed[..., 0], hp.low, hp.high, hp.balance_map)

    def actor_loss(
        params: Params, observations: Array, coefficients: Array, noise: Array, critics_params: Params, alpha: Array
    ) -> tuple[Array, tuple[TanhGaussian, Array]]:
        """E[alpha log pi(a | s, b) - b min_e Q_e(s, a)]."""
        distribution = family(params, observations, coefficients)
        actions, log_prob = distribution.sample(noise)
        values = jnp.min(critics.apply(critics_params, observations, actions), axis=0)
        return jnp.mean(alpha * log_prob - coefficients * values), (distribution, log_prob)

    def balance_loss(
        params: Params, observations: Array, draws: Draws, actor_params: Params, critics_params: Params
    ) -> tuple[Array, Array]:
        """-E[min_e Q_e(s, a)], a ~ pi(. | s, b(s)): the gradient comes through the embedding of b."""
        coefficients = chosen(params, observations, draws.balance)
        actions, _ = family(actor_params, observations, coefficients).sample(draws.balanced_actions)
        return -jnp.mean(jnp.min(critics.apply(critics_params, observations, actions), axis=0)), coefficients

    def critic_rows(
        state: FamCQLState, batch: Batch, draws: Draws, current: TanhGaussian, coefficients: Array
    ) -> CriticRows:
        """Samples the actions of the penalty and of the TD target from the policy before its step."""
        if hp.next_coefficient == "next":
            # The same noise as at s: no expectation depends on the two together.
            coefficients = chosen(state.balance, batch.next_observations, draws.balance)
        following = family(state.actor, batch.next_observations, coefficients)
        actions, log_prob = following.sample(draws.target_actions)
        values = values_of(critics, state.target_critics, batch.next_observations, actions)
        target = soft_td_target(batch.rewards, batch.masks, values, log_prob, hp.discount, entropy_weight=0.0)
        sampled, log_densities = penalised_actions(draws.uniform, following, draws.following, current, draws.current)
        weight = jnp.full_like(target, hp.penalty_weight)
        rows = CriticRows(batch.observations, batch.actions, target, weight, sampled, log_densities)
        return jax.lax.stop_gradient(rows)

    def update(
        state: FamCQLState, batch: Batch, draws: Draws, *, step: Array, annealing: Array | float, phase: Phase
    ) -> tuple[FamCQLState, Metrics]:
        del step, annealing  # FamCQL has no schedule
        temperature, multiplier = jnp.exp(state.log_temperature), jnp.ones(())

        balance_params, balance_opt, choice_loss, balanced, balance_gradients = gradient_step(
            balance_loss, balance_optimiser, state.balance, state.balance_opt,
            batch.observations, draws, state.actor, state.critics,
        )  # fmt: skip
        coefficients = draws.coefficients if phase == "offline" else balanced
        actor_params, actor_opt, pi_loss, (current, log_prob), actor_gradients = gradient_step(
            actor_loss, actor_optimiser, state.actor, state.actor_opt,
            batch.observations, coefficients, draws.actions, state.critics, temperature,
        )  # fmt: skip
        log_temperature, temperature_opt, alpha_loss, _, _ = gradient_step(
            temperature_loss, actor_optimiser, state.log_temperature, state.temperature_opt, log_prob, target_entropy
        )
        rows = critic_rows(state, batch, draws, current, balanced)
        (q_loss, parts), critic_gradients = conservative_gradients(
            critics, state.critics, rows, multiplier, DIFFERENCE, gap=0.0
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
            "balance/loss": choice_loss,
            "balance/coefficient_mean": jnp.mean(balanced),
            "balance/coefficient_std": jnp.std(balanced),
            "balance/grad_norm": optax.tree.norm(balance_gradients),
        }
        target_critics = polyak(state.target_critics, critics_params, hp.tau)
        state = FamCQLState(
            actor_params, actor_opt, balance_params, balance_opt, critics_params, critics_opt, target_critics,
            log_temperature, temperature_opt,
        )  # fmt: skip
        return state, averages(metrics)

    def act(params: Policy, observations: Array, key: Key | None) -> Array:
        # Also where the action is a sample, the coefficient is the balance network's mode.
        distribution = family(params.actor, observations, chosen(params.balance, observations, None))
        if key is None:
            return distribution.mode
        return distribution.sample(jax.random.normal(key, distribution.mean.shape))[0]

    def diagnose(state: FamCQLState, observations: Array) -> dict[str, Array]:
        return {"balance": chosen(state.balance, observations, None)}

    return Algorithm(init, draw, update, lambda state: Policy(state.actor, state.balance), act, diagnose)


def beside(observations: Array, coefficients: Array) -> Array:
    """The policy family's inputs: observations [..., O] with the embedding of coefficients [...] behind them."""
    return jnp.concatenate([observations, embed(coefficients)], axis=-1)


def from_config(config: Any, action_size: int) -> Algorithm:
    """Builds FamCQL from a config of `configs/fam_cql.py`."""
    return make(action_size, hyperparameters_from_config(config))


def hyperparameters_from_config(config: Any) -> Hyperparameters:
    """Collects the hyperparameters from a config's groups."""
    return Hyperparameters(
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
    )
