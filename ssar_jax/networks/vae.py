"""The conditional variational autoencoder (VAE) with which SPOT estimates the density of the dataset's actions.

Kingma and Welling, "Auto-Encoding Variational Bayes", 2013, https://arxiv.org/abs/1312.6114;
Wu et al., "Supported Policy Optimization for Offline Reinforcement Learning", 2022,
https://arxiv.org/abs/2202.06239.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import linen as nn

from ssar_jax.networks.mlp import MLP
from ssar_jax.types import Array

DIVERGENCE_WEIGHT = 0.5
"""Weight of the KL divergence in the score."""

LOG_STD_RANGE = -4.0, 15.0
"""Clip on the log-std of the latent."""


def divergence(mean: Array, log_std: Array) -> Array:
    """Computes KL(N(mean, std^2) || N(0, 1)) = (mean^2 + std^2 - 1) / 2 - log std per dimension.

    Args:
        mean: [...].
        log_std: [...].

    Returns:
        Divergences, [...].
    """
    return 0.5 * (mean**2 + jnp.exp(2.0 * log_std) - 1.0) - log_std


class VAE(nn.Module):
    """A conditional VAE of actions given observations, with 2 A latent dimensions.

    Attributes:
        hidden_sizes: widths of the hidden layers of the encoder and of the decoder.
        action_size: number of action dimensions A.
    """

    hidden_sizes: Sequence[int]
    action_size: int

    def setup(self) -> None:
        """Creates encoder and decoder; one linear layer outputs both the mean and the log-std of the latent."""
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
        """Computes a score of the actions, an estimate of the negative evidence lower bound (ELBO) from one sample.

        mean_j (decode(s, z)_j - a_j)^2 + 0.5 mean_k KL_k with z = mean + std * noise. It is low where the dataset's
        density is high. As in the authors' program it has means over the dimensions where the bound has sums.

        Args:
            observations: [..., O].
            actions: [..., A]. Gradients reach them through the encoder and through the squared error.
            noise: standard normal, [..., 2 A].

        Returns:
            Scores, [...].
        """
        mean, log_std = self.encode(observations, actions)
        reconstruction = self.decode(observations, mean + jnp.exp(log_std) * noise)
        squared_error = jnp.mean((reconstruction - actions) ** 2, axis=-1)
        return squared_error + DIVERGENCE_WEIGHT * jnp.mean(divergence(mean, log_std), axis=-1)
