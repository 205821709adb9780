"""Policy networks, which map observations to actions or to distributions over actions."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from ssar_jax.networks import initializers
from ssar_jax.networks.mlp import MLP
from ssar_jax.ops.distributions import TanhGaussian
from ssar_jax.types import Array


class DeterministicActor(nn.Module):
    """The deterministic actor of TD3, tanh(MLP(s)).

    Fujimoto et al., 2018, https://arxiv.org/abs/1802.09477.

    Attributes:
        hidden_sizes: widths of the hidden layers.
        action_size: number of action dimensions A.
        mlp_options: further arguments of `MLP`, such as initializers.
    """

    hidden_sizes: Sequence[int]
    action_size: int
    mlp_options: dict[str, Any] | None = None

    @nn.compact
    def __call__(self, observations: Array, dropout: Sequence[Array] = ()) -> Array:
        """Maps observations to actions.

        Args:
            observations: [..., O].
            dropout: factors on the hidden layers, see `MLP`.

        Returns:
            Actions [..., A] in (-1, 1).
        """
        # share_scope keeps the parameter names layer0, layer1, ... at the top of the tree.
        mlp = MLP(self.hidden_sizes, self.action_size, **(self.mlp_options or {}))
        nn.share_scope(self, mlp)
        return jnp.tanh(mlp(observations, dropout))


class GaussianActor(nn.Module):
    """The stochastic actor of IQL, N(tanh(MLP(s)), exp(log_std)^2), with one trainable log-std per action dimension.

    Unlike SAC's actor, the distribution itself is not squashed. Kostrikov et al., 2021,
    https://arxiv.org/abs/2110.06169. AWAC's actor does not squash the mean either: N(MLP(s), exp(log_std)^2).

    Attributes:
        hidden_sizes: widths of the hidden layers.
        action_size: number of action dimensions A.
        log_std_min: lower clip on the log-std; the upper clip is 2.
        mlp_options: further arguments of `MLP`, such as initializers.
        squash_mean: whether the mean passes through tanh.
    """

    hidden_sizes: Sequence[int]
    action_size: int
    log_std_min: float = -20.0
    mlp_options: dict[str, Any] | None = None
    squash_mean: bool = True

    @nn.compact
    def __call__(self, observations: Array) -> tuple[Array, Array]:
        """Maps observations [..., O] to means [..., A] and log-stds [A]."""
        mlp = MLP(self.hidden_sizes, self.action_size, **(self.mlp_options or {}))
        nn.share_scope(self, mlp)
        log_std = self.param("log_std", nn.initializers.zeros, (self.action_size,))
        mean = mlp(observations)
        return jnp.tanh(mean) if self.squash_mean else mean, jnp.clip(log_std, self.log_std_min, 2.0)


class TanhGaussianActor(nn.Module):
    """The actor of SAC and CQL, a Gaussian squashed by tanh.

    log_std = clip(multiplier * raw + offset, log_std_min, 2) with two trainable scalars, as in the published CQL
    programs, or clip(raw, log_std_min, 2).
    Haarnoja et al., 2018, appendix C, https://arxiv.org/abs/1812.05905.

    Attributes:
        hidden_sizes: widths of the hidden layers.
        action_size: number of action dimensions A.
        log_std_multiplier: initial value of the multiplier.
        log_std_offset: initial value of the offset.
        output_gain: gain of the output layer's Xavier kernel; its bias starts at 0.
        log_std_min: lower clip on the log-std.
        scale_log_std: whether there are a multiplier and an offset.
        mlp_options: further arguments of `MLP`; they win over the two output initializers above.
    """

    hidden_sizes: Sequence[int]
    action_size: int
    log_std_multiplier: float = 1.0
    log_std_offset: float = -1.0
    output_gain: float = 0.01
    log_std_min: float = -20.0
    scale_log_std: bool = True
    mlp_options: dict[str, Any] | None = None

    @nn.compact
    def __call__(self, observations: Array) -> TanhGaussian:
        """Maps observations [..., O] to a distribution over actions [..., A]."""
        output: dict[str, Any] = {
            "output_kernel_init": initializers.xavier_uniform(self.output_gain),
            "output_bias_init": nn.initializers.zeros,
        }
        mlp = MLP(self.hidden_sizes, 2 * self.action_size, **{**output, **(self.mlp_options or {})})
        nn.share_scope(self, mlp)
        mean, raw = jnp.split(mlp(observations), 2, axis=-1)
        if not self.scale_log_std:
            return TanhGaussian(mean, jnp.clip(raw, self.log_std_min, 2.0))
        multiplier = self.param("log_std_multiplier", nn.initializers.constant(self.log_std_multiplier), ())
        offset = self.param("log_std_offset", nn.initializers.constant(self.log_std_offset), ())
        return TanhGaussian(mean, jnp.clip(multiplier * raw + offset, self.log_std_min, 2.0))
