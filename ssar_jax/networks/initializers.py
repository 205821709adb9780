"""Parameter initialisers, named after where they come from."""

import math
from collections.abc import Callable

import jax
from flax import linen as nn

from ssar_jax.types import Array, Key

Initialiser = Callable[..., Array]


def torch_kernel() -> Initialiser:
    """PyTorch's default for the weight of a linear layer: U(-1/sqrt(fan_in), 1/sqrt(fan_in))."""
    return nn.initializers.variance_scaling(1.0 / 3.0, "fan_in", "uniform")


def torch_bias(fan_in: int) -> Initialiser:
    """PyTorch's default for the bias of a linear layer, drawn from the same range as its weight."""
    bound = 1.0 / math.sqrt(fan_in)

    def initialise(key: Key, shape: tuple[int, ...], dtype: jax.typing.DTypeLike = float) -> Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return initialise


def xavier_uniform(gain: float = 1.0) -> Initialiser:
    """Glorot and Bengio's uniform kernel: U(-g sqrt(6 / (fan_in + fan_out)), same)."""
    return nn.initializers.variance_scaling(gain**2, "fan_avg", "uniform")


def orthogonal(gain: float) -> Initialiser:
    """Saxe et al.'s orthogonal kernel times a gain."""
    return nn.initializers.orthogonal(gain)
