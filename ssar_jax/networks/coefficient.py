"""The coefficient network beta(s) of SSAR."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from ssar_jax.choices import LastKernelInit
from ssar_jax.networks import initializers
from ssar_jax.networks.mlp import MLP
from ssar_jax.types import Array

LAST_BIAS = 0.6931
"""Initial bias of the output, as published. sigmoid(0.6931) = 2/3, so with `max_ratio` 1.5 beta starts at `base`."""


class CoefficientNet(nn.Module):
    """The coefficient network beta(s) = max_ratio * base * sigmoid(MLP(s)).

    Luo et al., 2025, https://arxiv.org/abs/2505.19923.

    Attributes:
        base: base value, the coefficient of the algorithm without adaptation.
        max_ratio: largest coefficient as a multiple of `base`.
        hidden_sizes: widths of the hidden layers.
        last_kernel_init: `zeros` starts beta(s) at `base` in every state; `xavier`, as published, starts it
            near `base`.
    """

    base: float
    max_ratio: float = 1.5
    hidden_sizes: Sequence[int] = (512, 512, 512)
    last_kernel_init: LastKernelInit = "zeros"

    @nn.compact
    def __call__(self, observations: Array) -> Array:
        """Maps observations [..., O] to coefficients [...] in (0, max_ratio * base)."""
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
