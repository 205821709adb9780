"""The parts of TD3 that TD3+BC and SPOT share.

Fujimoto et al., "Addressing Function Approximation Error in Actor-Critic Methods", 2018,
https://arxiv.org/abs/1802.09477.
"""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
import optax

from ssar_jax.networks.critics import CriticEnsemble
from ssar_jax.ops.gradients import gradient_step
from ssar_jax.ops.trees import averages
from ssar_jax.types import Array, Batch, Metrics, Params, TrainState

State = TypeVar("State")


def smoothed_target_actions(actions: Array, noise: Array, policy_noise: float, noise_clip: float) -> Array:
    """Computes smoothed target actions clip(pi'(s') + clip(policy_noise * noise, +-noise_clip), +-1).

    Target policy smoothing, Fujimoto et al., 2018, section 5.3.

    Args:
        actions: actions of the target policy, [B, A].
        noise: standard normal, [B, A].
        policy_noise: standard deviation of the smoothing noise.
        noise_clip: clip on the smoothing noise.

    Returns:
        Actions, [B, A], in [-1, 1].
    """
    return jnp.clip(actions + jnp.clip(policy_noise * noise, -noise_clip, noise_clip), -1.0, 1.0)


def critic_step(
    critics: CriticEnsemble, optimizer: optax.GradientTransformation, state: TrainState, batch: Batch, target: Array
) -> tuple[TrainState, Metrics]:
    """Takes one step of the critics on sum_e E[(Q_e(s, a) - y)^2].

    Fujimoto et al., 2018, algorithm 1.

    Args:
        critics: the ensemble of E critics.
        optimizer: the gradient transformation whose state is in `state`.
        state: train state of the critics.
        batch: a minibatch of B transitions.
        target: the TD target y, [B].

    Returns:
        The new state and the metrics of the step.
    """

    def loss(params: Params) -> tuple[Array, Array]:
        values = critics.apply(params, batch.observations, batch.actions)
        return jnp.sum(jnp.mean((values - target) ** 2, axis=1)), values

    state, value, values, gradients = gradient_step(loss, optimizer, state)
    metrics = {
        "critic/loss": value,
        "critic/q_mean": jnp.mean(values),
        "critic/target_mean": jnp.mean(target),
    }
    for e, gradient in enumerate(gradients):
        metrics[f"critic/grad_norm_{e + 1}"] = optax.tree.norm(gradient)
    return state, averages(metrics)


def update_when(due: Array, update: Callable[[State], tuple[State, Metrics]], state: State) -> tuple[State, Metrics]:
    """Applies a delayed update if it is due.

    Args:
        due: scalar bool. It must not be batched over seeds, for vmap would then run both branches.
        update: state -> (state, metrics).
        state: the state before the update.

    Returns:
        The state, and the metrics of the update, whose weights are 0 if it was not due.
    """

    def skip(state: State) -> tuple[State, Metrics]:
        shapes = jax.eval_shape(update, state)[1]
        return state, jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)

    return jax.lax.cond(due, update, skip, state)
