"""The value functions Q and V of IQL, which IQL trains with an actor and the advantage selection without.

Kostrikov et al., "Offline Reinforcement Learning with Implicit Q-Learning", 2021, https://arxiv.org/abs/2110.06169.
Q is evaluated only at actions of the dataset.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from ssar_jax.algorithms.base import Algorithm, Phase
from ssar_jax.networks.critics import Critic, CriticEnsemble, make_ensemble
from ssar_jax.networks.mlp import MLP
from ssar_jax.ops.gradients import create_train_state, gradient_step
from ssar_jax.ops.losses import expectile_loss
from ssar_jax.ops.trees import averages, copy_params, polyak
from ssar_jax.types import Array, Batch, Key, Metrics, Params, TrainState


class ValueState(NamedTuple):
    """The training state of Q and V."""

    critics: TrainState
    target_critics: Params
    value: TrainState


class ValueNetworks(NamedTuple):
    """The networks of Q and V, and their optimizer.

    Attributes:
        critics: the ensemble of two critics Q.
        init_value: (key, observations [B, O]) -> parameters of V.
        value: (parameters, observations [..., O]) -> V [...].
        optimizer: the gradient transformation of Q and of V, which have a state each.
    """

    critics: CriticEnsemble
    init_value: Callable[[Key, Array], Params]
    value: Callable[[Params, Array], Array]
    optimizer: optax.GradientTransformation


def make_value_networks(
    hidden_sizes: tuple[int, ...] = (256, 256),
    learning_rate: float = 3e-4,
    mlp_options: dict[str, Any] | None = None,
) -> ValueNetworks:
    """Builds the networks of Q and V.

    Args:
        hidden_sizes: widths of the hidden layers of Q and V.
        learning_rate: Adam's learning rate for Q and V.
        mlp_options: further arguments of `MLP`, such as initializers.
    """
    network = MLP(hidden_sizes, 1, **(mlp_options or {}))

    def value(params: Params, observations: Array) -> Array:
        return jnp.squeeze(network.apply({"params": params}, observations), axis=-1)  # pyright: ignore[reportArgumentType]

    return ValueNetworks(
        critics=make_ensemble([Critic(hidden_sizes, mlp_options=mlp_options)] * 2),
        init_value=lambda key, observations: network.init(key, observations)["params"],
        value=value,
        optimizer=optax.adam(learning_rate),
    )


def init_values(networks: ValueNetworks, key: Key, observations: Array, actions: Array) -> ValueState:
    """Initializes the state of Q and V.

    Args:
        networks: Q and V.
        key: random key of the initial parameters.
        observations: [B, O]; only the shape matters.
        actions: [B, A]; only the shape matters.
    """
    critics_key, value_key = jax.random.split(key)
    critics_params = networks.critics.init(critics_key, observations, actions)
    return ValueState(
        critics=create_train_state(critics_params, networks.optimizer),
        target_critics=copy_params(critics_params),
        value=create_train_state(networks.init_value(value_key, observations), networks.optimizer),
    )


def value_step(
    networks: ValueNetworks, state: ValueState, batch: Batch, expectile: float
) -> tuple[ValueState, Array, Array]:
    """Takes one step of V on E[expectile_loss(min_e Q'_e(s, a) - V(s))].

    Kostrikov et al., 2021, equation 5.

    Args:
        networks: Q and V.
        state: the state of Q and V.
        batch: a minibatch of B transitions.
        expectile: the expectile of Q over the dataset's actions that V estimates.

    Returns:
        The new state, the advantages min_e Q'_e(s, a) - V(s) [B] with V from before the step, and the loss.
    """
    target = jnp.min(networks.critics.apply(state.target_critics, batch.observations, batch.actions), axis=0)

    def loss(params: Params) -> tuple[Array, Array]:
        advantages = target - networks.value(params, batch.observations)
        return jnp.mean(expectile_loss(advantages, expectile)), advantages

    value_state, value_loss, advantages, _ = gradient_step(loss, networks.optimizer, state.value)
    return state._replace(value=value_state), advantages, value_loss


def critic_step(
    networks: ValueNetworks,
    state: ValueState,
    batch: Batch,
    next_values: Array,
    *,
    discount: float,
    tau: float,
    reduction: Callable[[Array], Array],
) -> tuple[ValueState, Array, Array]:
    """Takes one step of Q on E[(r + discount * mask * V(s') - Q(s, a))^2] and one Polyak step of its targets.

    Kostrikov et al., 2021, equation 6.

    Args:
        networks: Q and V.
        state: the state of Q and V.
        batch: a minibatch of B transitions.
        next_values: V(s'), [B].
        discount: discount factor.
        tau: Polyak rate of the target critics.
        reduction: reduction of the two critics' losses, the sum in the authors' program and the mean in CORL and SSAR.

    Returns:
        The new state, the loss and the mean of Q.
    """
    target = batch.rewards + discount * batch.masks * next_values

    def loss(params: Params) -> tuple[Array, Array]:
        values = networks.critics.apply(params, batch.observations, batch.actions)
        return reduction(jnp.mean((values - target) ** 2, axis=1)), jnp.mean(values)

    critics_state, critic_loss, mean, _ = gradient_step(loss, networks.optimizer, state.critics)
    targets = polyak(state.target_critics, critics_state.params, tau)
    return state._replace(critics=critics_state, target_critics=targets), critic_loss, mean


def advantages_of(networks: ValueNetworks, state: ValueState, observations: Array, actions: Array) -> Array:
    """Computes the advantages min_e Q_e(s, a) - V(s) with the online critics; the selection trusts those of 0 and more.

    Args:
        networks: Q and V.
        state: the state of Q and V.
        observations: [B, O].
        actions: [B, A].

    Returns:
        Advantages, [B].
    """
    values = jnp.min(networks.critics.apply(state.critics.params, observations, actions), axis=0)
    return values - networks.value(state.value.params, observations)


def value_algorithm(
    networks: ValueNetworks, *, discount: float = 0.99, expectile: float = 0.7, tau: float = 0.005
) -> Algorithm:
    """Builds the training of Q and V as an algorithm without a policy, for the training loop.

    The order is that of CORL and SSAR: first V, then Q with the target V(s') from before V's step.

    Args:
        networks: Q and V.
        discount: discount factor.
        expectile: the expectile of Q over the dataset's actions that V estimates.
        tau: Polyak rate of the target critics.
    """

    def init(key: Key, observations: Array, actions: Array) -> ValueState:
        return init_values(networks, key, observations, actions)

    def update(
        state: ValueState, batch: Batch, draws: tuple[()], *, step: Array, annealing: Array | float, phase: Phase
    ) -> tuple[ValueState, Metrics]:
        del draws, step, annealing, phase
        next_values = networks.value(state.value.params, batch.next_observations)
        state, _, value_loss = value_step(networks, state, batch, expectile)
        state, critic_loss, mean = critic_step(
            networks, state, batch, next_values, discount=discount, tau=tau, reduction=jnp.mean
        )
        return state, averages({"value/loss": value_loss, "critic/loss": critic_loss, "critic/q_mean": mean})

    def act(params: Params, observations: Array, key: Key | None) -> Array:
        raise TypeError("value functions have no policy")

    return Algorithm(init, lambda key, batch: (), update, lambda state: (), act)
