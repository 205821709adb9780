"""The parts of soft actor-critic that SAC, CQL, FamCQL and EDAC share.

Haarnoja et al., "Soft Actor-Critic Algorithms and Applications", 2018, https://arxiv.org/abs/1812.05905.
"""

import jax
import jax.numpy as jnp
import optax

from ssar_jax.networks.critics import CriticEnsemble, StackedCritics
from ssar_jax.ops.distributions import TanhGaussian
from ssar_jax.ops.gradients import gradient_step
from ssar_jax.ops.losses import temperature_loss
from ssar_jax.types import Array, Key, Params, TrainState


def smallest_value(
    critics: CriticEnsemble | StackedCritics, params: Params, observations: Array, actions: Array
) -> Array:
    """Computes min_e Q_e(s, a).

    Args:
        critics: the ensemble of E critics.
        params: parameters of the ensemble.
        observations: [B, O].
        actions: [B, A].

    Returns:
        Values, [B].
    """
    return jnp.min(critics.apply(params, observations, actions), axis=0)


def temperature_step(
    optimizer: optax.GradientTransformation, state: TrainState, log_prob: Array, action_size: int
) -> tuple[TrainState, Array, Array]:
    """Takes one step of the temperature toward a policy entropy of -A.

    Haarnoja et al., 2018, equation 18; the target entropy -A is that of appendix D.

    Args:
        optimizer: the gradient transformation whose state is in `state`.
        state: train state of the temperature, whose parameter is log alpha.
        log_prob: log-densities of actions sampled from the policy, [B].
        action_size: number of action dimensions A.

    Returns:
        The new state, the loss and its gradient.
    """
    state, loss, _, gradient = gradient_step(temperature_loss, optimizer, state, log_prob, -float(action_size))
    return state, loss, gradient


def act(distribution: TanhGaussian, key: Key | None) -> Array:
    """Returns actions of a tanh-Gaussian policy.

    Args:
        distribution: action distributions, [..., A].
        key: random key; None for the deterministic actions.

    Returns:
        Samples, or the modes if the key is None, [..., A].
    """
    if key is None:
        return distribution.mode
    return distribution.sample(jax.random.normal(key, distribution.mean.shape))[0]
