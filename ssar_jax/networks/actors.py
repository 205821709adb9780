"""Policies: observation in, action or action distribution out."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from ssar_jax.networks import initializers
from ssar_jax.networks.mlp import MLP
from ssar_jax.ops.distributions import TanhGaussian
from ssar_jax.types import Array


class DeterministicActor(nn.Module):
    """The TD3 actor, tanh(MLP(s)).

    Attributes:
        hidden_sizes: widths of the hidden layers.
        action_size: A.
    """

    hidden_sizes: Sequence[int]
    action_size: int

    @nn.compact
    def __call__(self, observations: Array) -> Array:
        """Maps observations [..., O] to actions [..., A] in (-1, 1)."""
        # share_scope keeps the parameter names layer0, layer1, ... at the top of the tree.
        mlp = MLP(self.hidden_sizes, self.action_size)
        nn.share_scope(self, mlp)
        return jnp.tanh(mlp(observations))


class GaussianActor(nn.Module):
    """The IQL actor: a Gaussian around tanh(MLP(s)) that is not squashed, with one free log-std per action.

    Attributes:
        hidden_sizes: widths of the hidden layers.
        action_size: A.
        log_std_min: lower clip on the log-std, whose upper clip is 2.
        mlp_options: further arguments of `MLP`, such as initialisers.
    """

    hidden_sizes: Sequence[int]
    action_size: int
    log_std_min: float = -20.0
    mlp_options: dict[str, Any] | None = None

    @nn.compact
    def __call__(self, observations: Array) -> tuple[Array, Array]:
        """Maps observations [..., O] to means [..., A] and log-stds [A]."""
        mlp = MLP(self.hidden_sizes, self.action_size, **(self.mlp_options or {}))
        nn.share_scope(self, mlp)
        log_std = self.param("log_std", nn.initializers.zeros, (self.action_size,))
        return jnp.tanh(mlp(observations)), jnp.clip(log_std, self.log_std_min, 2.0)


class TanhGaussianActor(nn.Module):
    """The SAC and CQL actor: a Gaussian squashed by tanh, with two trainable scalars on its log-std.

    log_std = clip(log_std_multiplier * raw + log_std_offset, -20, 2).

    Attributes:
        hidden_sizes: widths of the hidden layers.
        action_size: A.
        log_std_multiplier: starting value of the first scalar.
        log_std_offset: starting value of the second scalar.
        output_gain: Xavier gain of the output kernel, whose bias starts at 0.
    """

    hidden_sizes: Sequence[int]
    action_size: int
    log_std_multiplier: float = 1.0
    log_std_offset: float = -1.0
    output_gain: float = 0.01

    @nn.compact
    def __call__(self, observations: Array) -> TanhGaussian:
        """Maps observations [..., O] to a distribution over actions [..., A]."""
        mlp = MLP(
            self.hidden_sizes,
            2 * self.action_size,
            output_kernel_init=initializers.xavier_uniform(self.output_gain),
            output_bias_init=nn.initializers.zeros,
        )
        nn.share_scope(self, mlp)
        mean, raw = jnp.split(mlp(observations), 2, axis=-1)
        multiplier = self.param("log_std_multiplier", nn.initializers.constant(self.log_std_multiplier), ())
        offset = self.param("log_std_offset", nn.initializers.constant(self.log_std_offset), ())
        return TanhGaussian(mean, jnp.clip(multiplier * raw + offset, -20.0, 2.0))
