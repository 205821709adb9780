"""The coefficient network beta(s) of SSAR."""

from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn

from ssar_jax.networks import initializers
from ssar_jax.networks.mlp import MLP
from ssar_jax.types import Array

LAST_BIAS = 0.6931
"""About ln 2, where the sigmoid is 2/3, so that a maximum of 1.5 times the base value starts at the base value."""

LastKernelInit = Literal["xavier", "zeros"]


class CoefficientNet(nn.Module):
    """beta(s) = max_ratio * base * sigmoid(MLP(s)), in (0, max_ratio * base).

    Attributes:
        base: the value that a constant coefficient would have.
        max_ratio: largest coefficient as a multiple of `base`.
        hidden_sizes: widths of the hidden layers.
        last_kernel_init: `zeros` starts every state at the base value; `xavier`, as published, scatters the
            start around it.
    """

    base: float
    max_ratio: float = 1.5
    hidden_sizes: Sequence[int] = (512, 512, 512)
    last_kernel_init: LastKernelInit = "zeros"

    @nn.compact
    def __call__(self, observations: Array) -> Array:
        """Maps observations [..., O] to coefficients [...]."""
        xavier = initializers.xavier_uniform()
        mlp = MLP(
            self.hidden_sizes,
            1,
            kernel_init=xavier,
            bias_init=nn.initializers.zeros,
            output_kernel_init=xavier if self.last_kernel_init == "xavier" else nn.initializers.zeros,
            output_bias_init=nn.initializers.constant(LAST_BIAS),
        )
        nn.share_scope(self, mlp)
        return self.max_ratio * self.base * jax.nn.sigmoid(jnp.squeeze(mlp(observations), axis=-1))
