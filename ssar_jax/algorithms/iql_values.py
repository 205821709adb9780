"""IQL's value functions, without its actor: what advantage selection trains, and half of IQL.

Kostrikov et al., "Offline Reinforcement Learning with Implicit Q-Learning", 2021,
https://arxiv.org/abs/2110.06169. No value of an action outside the data is ever asked for.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from ssar_jax.algorithms.base import Algorithm, Phase
from ssar_jax.networks.critics import Critic, CriticEnsemble, make_ensemble
from ssar_jax.networks.mlp import MLP
from ssar_jax.ops.losses import expectile_loss
from ssar_jax.ops.trees import averages, gradient_step, polyak
from ssar_jax.types import Array, Batch, Key, Metrics, Params


class ValueState(NamedTuple):
    """Everything that training changes."""

    critics: Params
    critics_opt: optax.OptState
    target_critics: Params
    value: Params
    value_opt: optax.OptState


class ValueLearner(NamedTuple):
    """The value functions as pure functions.

    Attributes:
        init: (key, observations [B, O], actions [B, A]) -> state.
        update_value: (state, batch) -> (state, advantages [B] under the old V, loss).
        update_critics: (state, batch, next_values [B]) -> (state, loss, mean value); targets move too.
        value: (params, observations [..., O]) -> V [...].
        critics: the twin Q.
    """

    init: Callable[[Key, Array, Array], ValueState]
    update_value: Callable[[ValueState, Batch], tuple[ValueState, Array, Array]]
    update_critics: Callable[[ValueState, Batch, Array], tuple[ValueState, Array, Array]]
    value: Callable[[Params, Array], Array]
    critics: CriticEnsemble

    def advantages(self, state: ValueState, observations: Array, actions: Array) -> Array:
        """min_e Q_e(s, a) - V(s) with the online critics, [B]: what selection marks by its sign."""
        values = jnp.min(self.critics.apply(state.critics, observations, actions), axis=0)
        return values - self.value(state.value, observations)


def make_value_learner(
    *,
    hidden_sizes: tuple[int, ...] = (256, 256),
    learning_rate: float = 3e-4,
    discount: float = 0.99,
    expectile: float = 0.7,
    tau: float = 0.005,
    sum_critic_losses: bool = False,
    mlp_options: dict[str, Any] | None = None,
) -> ValueLearner:
    """Builds Q and V.

    Args:
        hidden_sizes: widths of the hidden layers of both.
        learning_rate: Adam's rate; one optimiser for the twin Q, one for V.
        discount: discount factor.
        expectile: which expectile of Q over the data's actions V regresses.
        tau: rate of the target critics.
        sum_critic_losses: whether the twins' losses are summed (the official program) or averaged (CORL, SSAR).
        mlp_options: further arguments of `MLP`, such as initialisers.
    """
    critics = make_ensemble([Critic(hidden_sizes, mlp_options=mlp_options)] * 2)
    network: nn.Module = MLP(hidden_sizes, 1, **(mlp_options or {}))
    optimiser = optax.adam(learning_rate)

    def value(params: Params, observations: Array) -> Array:
        return jnp.squeeze(network.apply({"params": params}, observations), axis=-1)  # pyright: ignore[reportArgumentType]

    def init(key: Key, observations: Array, actions: Array) -> ValueState:
        critics_key, value_key = jax.random.split(key)
        critics_params = critics.init(critics_key, observations, actions)
        value_params = network.init(value_key, observations)["params"]
        return ValueState(
            critics_params,
            optimiser.init(critics_params),
            jax.tree.map(jnp.copy, critics_params),
            value_params,
            optimiser.init(value_params),
        )

    def value_loss(params: Params, observations: Array, target: Array) -> tuple[Array, Array]:
        """Equation 5: E[expectile loss of min Q' - V]."""
        advantages = target - value(params, observations)
        return jnp.mean(expectile_loss(advantages, expectile)), advantages

    def update_value(state: ValueState, batch: Batch) -> tuple[ValueState, Array, Array]:
        target = jnp.min(critics.apply(state.target_critics, batch.observations, batch.actions), axis=0)
        params, opt_state, loss, advantages, _ = gradient_step(
            value_loss, optimiser, state.value, state.value_opt, batch.observations, target
        )
        return state._replace(value=params, value_opt=opt_state), advantages, loss

    def critic_loss(params: Params, batch: Batch, target: Array) -> tuple[Array, Array]:
        """Equation 6: E[(r + discount * mask * V(s') - Q)^2]."""
        values = critics.apply(params, batch.observations, batch.actions)
        errors = jnp.mean((values - target) ** 2, axis=1)
        return jnp.sum(errors) if sum_critic_losses else jnp.mean(errors), jnp.mean(values)

    def update_critics(state: ValueState, batch: Batch, next_values: Array) -> tuple[ValueState, Array, Array]:
        target = batch.rewards + discount * batch.masks * next_values
        params, opt_state, loss, mean, _ = gradient_step(
            critic_loss, optimiser, state.critics, state.critics_opt, batch, target
        )
        targets = polyak(state.target_critics, params, tau)
        return state._replace(critics=params, critics_opt=opt_state, target_critics=targets), loss, mean

    return ValueLearner(init, update_value, update_critics, value, critics)


def update_values(learner: ValueLearner, state: ValueState, batch: Batch) -> tuple[ValueState, Array, dict[str, Array]]:
    """One step in the order of CORL and SSAR: V, then Q towards the old V(s').

    Returns:
        The new state, the advantages [B] before the step, the losses by name.
    """
    next_values = learner.value(state.value, batch.next_observations)
    state, advantages, value_loss = learner.update_value(state, batch)
    state, critic_loss, mean = learner.update_critics(state, batch, next_values)
    return state, advantages, {"value/loss": value_loss, "critic/loss": critic_loss, "critic/q_mean": mean}


def as_algorithm(learner: ValueLearner) -> Algorithm:
    """The value functions as an algorithm without a policy, so that the ordinary loop trains them."""

    def update(
        state: ValueState, batch: Batch, draws: tuple[()], *, step: Array, annealing: Array | float, phase: Phase
    ) -> tuple[ValueState, Metrics]:
        del draws, step, annealing, phase
        state, _, losses = update_values(learner, state, batch)
        return state, averages(losses)

    def act(params: Params, observations: Array, key: Key | None) -> Array:
        raise TypeError("value functions have no policy")

    return Algorithm(learner.init, lambda key, batch: (), update, lambda state: (), act)
