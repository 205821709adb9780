"""The conditional variational autoencoder that tells SPOT where the data's actions lie.

Kingma and Welling, "Auto-Encoding Variational Bayes", 2013, https://arxiv.org/abs/1312.6114; as a model of the
behaviour, Wu et al., "Supported Policy Optimization for Offline Reinforcement Learning", 2022,
https://arxiv.org/abs/2202.06239.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import linen as nn

from ssar_jax.networks.mlp import MLP
from ssar_jax.types import Array

DIVERGENCE_WEIGHT = 0.5
"""Of the divergence in the score, both being means over their dimensions."""

LOG_STD_RANGE = -4.0, 15.0
"""Clip on the log-std of the latent."""


def divergence(mean: Array, log_std: Array) -> Array:
    """KL(N(mean, std^2) || N(0, 1)) = (mean^2 + std^2 - 1) / 2 - log std, per dimension."""
    return 0.5 * (mean**2 + jnp.exp(2.0 * log_std) - 1.0) - log_std


class VAE(nn.Module):
    """A model of actions given observations, with 2 A latent dimensions.

    Attributes:
        hidden_sizes: widths of the hidden layers of encoder and decoder.
        action_size: A.
    """

    hidden_sizes: Sequence[int]
    action_size: int

    def setup(self) -> None:
        """Makes the two networks; the heads of mean and log-std are one linear map."""
        self.encoder = MLP(self.hidden_sizes, 4 * self.action_size)
        self.decoder = MLP(self.hidden_sizes, self.action_size)

    def encode(self, observations: Array, actions: Array) -> tuple[Array, Array]:
        """Maps observations [..., O] and actions [..., A] to mean and log-std of the latent, each [..., 2 A]."""
        mean, log_std = jnp.split(self.encoder(jnp.concatenate([observations, actions], axis=-1)), 2, axis=-1)
        return mean, jnp.clip(log_std, *LOG_STD_RANGE)

    def decode(self, observations: Array, latent: Array) -> Array:
        """Maps observations [..., O] and latents [..., 2 A] to actions [..., A] in (-1, 1)."""
        return jnp.tanh(self.decoder(jnp.concatenate([observations, latent], axis=-1)))

    def __call__(self, observations: Array, actions: Array, noise: Array) -> Array:
        """A one-sample estimate of how little the model expects the actions, its negative evidence bound.

        mean_j (decode(s, z)_j - a_j)^2 + 0.5 mean_k KL_k with z = mean + std * noise, lower where data are dense. The
        authors' program takes means over the dimensions, where the bound has sums.

        Args:
            observations: [..., O].
            actions: [..., A]; gradients reach them through the encoder and as what is to be reconstructed.
            noise: [..., 2 A], standard normal.

        Returns:
            [...].
        """
        mean, log_std = self.encode(observations, actions)
        reconstruction = self.decode(observations, mean + jnp.exp(log_std) * noise)
        squared_error = jnp.mean((reconstruction - actions) ** 2, axis=-1)
        return squared_error + DIVERGENCE_WEIGHT * jnp.mean(divergence(mean, log_std), axis=-1)
