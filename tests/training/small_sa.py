"""A TD3+BC(SA) that compiles fast: the real algorithm, every part of it in use, with small networks."""

from ssar_jax.algorithms import td3_bc
from ssar_jax.algorithms.base import Algorithm
from ssar_jax.coefficients import state_adaptive
from ssar_jax.networks.coefficient import CoefficientNet


def make(action_size: int = 2) -> Algorithm:
    """Builds it; the threshold n looks at every fourth update, so that ten updates see it move."""
    coefficient = state_adaptive.make(CoefficientNet(0.4, 1.5, (4,), "xavier"), learning_rate=1e-3, n_period=4)
    sizes = td3_bc.Hyperparameters(critic_hidden_sizes=(4,), actor_hidden_sizes=(4,))
    return td3_bc.make(action_size, coefficient, sizes)
