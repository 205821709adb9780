"""Parameter initializers, named after their source."""

import math
from collections.abc import Callable

import jax
from flax import linen as nn

from ssar_jax.types import Array, Key

Initializer = Callable[..., Array]
"""(key, shape, dtype) -> initial parameters."""


def torch_kernel() -> Initializer:
    """PyTorch's default for the kernel of a linear layer, U(-1 / sqrt(fan_in), 1 / sqrt(fan_in))."""
    return nn.initializers.variance_scaling(1.0 / 3.0, "fan_in", "uniform")


def torch_bias(fan_in: int) -> Initializer:
    """PyTorch's default for the bias of a linear layer, U(-1 / sqrt(fan_in), 1 / sqrt(fan_in)).

    Args:
        fan_in: width of the layer's input.
    """
    return uniform(1.0 / math.sqrt(fan_in))


def xavier_uniform(gain: float = 1.0) -> Initializer:
    """The uniform kernel of Glorot and Bengio (2010), U(-b, b) with b = gain * sqrt(6 / (fan_in + fan_out)).

    Args:
        gain: factor on the range.
    """
    return nn.initializers.variance_scaling(gain**2, "fan_avg", "uniform")


def orthogonal(gain: float) -> Initializer:
    """The orthogonal kernel of Saxe et al. (2013), https://arxiv.org/abs/1312.6120.

    Args:
        gain: factor on the kernel.
    """
    return nn.initializers.orthogonal(gain)


def uniform(bound: float) -> Initializer:
    """U(-bound, bound), for kernels and biases.

    Args:
        bound: half the width of the range.
    """

    def initialize(key: Key, shape: tuple[int, ...], dtype: jax.typing.DTypeLike = float) -> Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return initialize
