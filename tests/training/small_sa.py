"""A TD3+BC(SA) that compiles fast, and its baseline: the real algorithms with small networks."""

from ssar_jax.algorithms import td3_bc
from ssar_jax.algorithms.base import Algorithm
from ssar_jax.coefficients import constant, state_adaptive
from ssar_jax.networks.coefficient import CoefficientNet

SIZES = td3_bc.Hyperparameters(critic_hidden_sizes=(4,), actor_hidden_sizes=(4,))


def make(action_size: int = 2) -> Algorithm:
    """Builds it; the threshold n looks at every fourth update, so that ten updates see it move."""
    network = CoefficientNet(0.4, 1.5, (4,), "xavier")
    return td3_bc.make(action_size, state_adaptive.make(network, learning_rate=1e-3, n_period=4), SIZES)


def make_base(action_size: int = 2) -> Algorithm:
    """Builds TD3+BC, which compiles in half of the time."""
    return td3_bc.make(action_size, constant.make(0.4), SIZES)
