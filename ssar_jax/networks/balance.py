"""Parts of FamO2O's networks: the embedding and the range of the balance coefficient, and the initializers.

Wang et al., "Train Once, Get a Family: State-Adaptive Balances for Offline-to-Online Reinforcement Learning", 2023,
https://arxiv.org/abs/2310.17966.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from ssar_jax.choices import BalanceMap
from ssar_jax.types import Array

EMBEDDING_SIZE = 6
"""Width of the embedding of a coefficient."""

_WAVELENGTHS = 1e4 ** (np.arange(0, EMBEDDING_SIZE, 2) / EMBEDDING_SIZE)

MLP_OPTIONS: dict[str, Any] = {
    "kernel_init": nn.initializers.lecun_normal(),
    "bias_init": nn.initializers.zeros,
    "output_kernel_init": nn.initializers.variance_scaling(0.01, "fan_in", "uniform"),
    "layer_norm_epsilon": 1e-6,
}
"""The authors' options of every `MLP`: Flax's defaults, and output kernels from U(+-sqrt(0.03 / fan_in))."""


def embed(coefficients: Array) -> Array:
    """Computes the sinusoidal embedding sin(b / w_0), cos(b / w_0), sin(b / w_1), ... with w_i = 10000^(2 i / 6).

    Args:
        coefficients: balance coefficients b, [...].

    Returns:
        Embeddings, [..., 6].
    """
    phases = coefficients[..., None] / jnp.asarray(_WAVELENGTHS, coefficients.dtype)
    pairs = jnp.stack([jnp.sin(phases), jnp.cos(phases)], axis=-1)
    return pairs.reshape(*coefficients.shape, EMBEDDING_SIZE)


def to_coefficients(squashed: Array, low: float, high: float, balance_map: BalanceMap) -> Array:
    """Maps the balance network's outputs to balance coefficients.

    `intended` has the range (low, high). `official` is the map of the authors' program, which expects inputs in (0, 1)
    but receives outputs of tanh: its range is (2 low - high, high), here (-0.5, 1.5) instead of (0.5, 1.5).

    Args:
        squashed: outputs of the balance network's tanh, [...] in (-1, 1).
        low: lower end of the intended range.
        high: upper end of the range.
        balance_map: `official` or `intended`.

    Returns:
        Balance coefficients b, [...].
    """
    share = squashed if balance_map == "official" else (squashed + 1.0) / 2.0
    return low + (high - low) * share
