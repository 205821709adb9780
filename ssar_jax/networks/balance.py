"""What FamO2O's networks have of their own: the embedding of a balance coefficient, its range, the first parameters.

Wang et al., "Train Once, Get a Family: State-Adaptive Balances for Offline-to-Online Reinforcement Learning", 2023,
https://arxiv.org/abs/2310.17966.
"""

from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from ssar_jax.networks.actors import TanhGaussianActor
from ssar_jax.networks.mlp import MLP
from ssar_jax.types import Array, Key, Params

BalanceMap = Literal["official", "intended"]

EMBEDDING_SIZE = 6
_WAVELENGTHS = 1e4 ** (np.arange(0, EMBEDDING_SIZE, 2) / EMBEDDING_SIZE)

MLP_OPTIONS: dict[str, Any] = {
    "kernel_init": nn.initializers.lecun_normal(),
    "bias_init": nn.initializers.zeros,
    "output_kernel_init": nn.initializers.variance_scaling(0.01, "fan_in", "uniform"),
    "layer_norm_epsilon": 1e-6,
}
"""How the authors' program makes all its networks: Flax's defaults, and last kernels within sqrt(0.03 / fan_in)."""


def embed(coefficients: Array) -> Array:
    """The sinusoidal embedding sin(b / w_0), cos(b / w_0), sin(b / w_1), ... with w_i = 10000^(2 i / 6).

    Args:
        coefficients: b, [...].

    Returns:
        [..., 6].
    """
    phases = coefficients[..., None] / jnp.asarray(_WAVELENGTHS, coefficients.dtype)
    pairs = jnp.stack([jnp.sin(phases), jnp.cos(phases)], axis=-1)
    return pairs.reshape(*coefficients.shape, EMBEDDING_SIZE)


def to_coefficients(squashed: Array, low: float, high: float, balance_map: BalanceMap) -> Array:
    """Maps the balance network's tanh outputs in (-1, 1) to coefficients.

    `intended` reaches (low, high). `official` is the authors' program, whose affine map is made for inputs in (0, 1):
    with (0.5, 1.5) it reaches (-0.5, 1.5).

    Args:
        squashed: [...].
        low: lower end of the range.
        high: upper end of the range.
        balance_map: which of the two.

    Returns:
        [...].
    """
    share = squashed if balance_map == "official" else (squashed + 1.0) / 2.0
    return low + (high - low) * share


def init_actor(actor: TanhGaussianActor, key: Key, inputs: Array) -> Params:
    """First parameters of a tanh-Gaussian network with `MLP_OPTIONS` in place of its own initialisers."""
    mlp = MLP(actor.hidden_sizes, 2 * actor.action_size, **MLP_OPTIONS)
    return {**actor.init(key, inputs)["params"], **mlp.init(key, inputs)["params"]}
