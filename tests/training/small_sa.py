"""A TD3+BC(SA) that compiles fast, and its baseline: the real algorithms with small networks."""

from ssar_jax.algorithms import td3_bc
from ssar_jax.algorithms.base import Algorithm
from ssar_jax.coefficients.constant import constant
from ssar_jax.coefficients.state_adaptive import state_adaptive

SIZES = td3_bc.TD3BCConfig(critic_hidden_sizes=(4,), actor_hidden_sizes=(4,))


def make(action_size: int = 2) -> Algorithm:
    """Builds it; the threshold n looks at every fourth update, so that ten updates see it move."""
    coefficient = state_adaptive(0.4, hidden_sizes=(4,), last_kernel_init="xavier", learning_rate=1e-3, n_period=4)
    return td3_bc.td3_bc(action_size, coefficient, SIZES)


def make_base(action_size: int = 2) -> Algorithm:
    """Builds TD3+BC, which compiles in half of the time."""
    return td3_bc.td3_bc(action_size, constant(0.4), SIZES)
