"""A SPOT small enough to compile fast and to be recomputed in NumPy: sizes, numbers, draws, a state."""

import jax
import numpy as np

from ssar_jax.algorithms import spot
from ssar_jax.networks.vae import VAE
from tests.algorithms import small_td3_bc
from tests.algorithms.small_td3_bc import BATCH
from tests.networks.numpy_networks import mlp

NETWORK = VAE((4, 3), 2)
SIZES = spot.Hyperparameters(skeleton=small_td3_bc.SIZES, density_hidden_sizes=(4, 3))
SMALL = SIZES._replace(skeleton=small_td3_bc.SMALL)


def make_draws(seed, rows=6):
    """Noise of the target policy and of the latent, and no dropout."""
    rng = np.random.default_rng(1000 + seed)
    return spot.Draws(*(np.float32(rng.normal(size=(rows, size))) for size in (2, 4)), {}, {})


DRAWS = make_draws(0)


def make_state(coefficient=None, seed=0):
    """Random parameters everywhere, of the density model too; optimisers and the rest zero."""
    rng = np.random.default_rng(seed + 1)
    shapes = jax.eval_shape(
        lambda key: spot.initial_density(NETWORK, key, BATCH.observations, BATCH.actions), jax.random.key(0)
    )
    density = jax.tree.map(lambda leaf: np.float32(rng.normal(scale=0.4, size=leaf.shape)), shapes)
    return spot.SPOTState(small_td3_bc.make_state(coefficient, seed), density)


def score(params, observations, actions, noise):
    """In NumPy: the squared error of the reconstruction plus half of the divergence, means over dimensions, [B]."""
    outputs = mlp(params["encoder"], np.concatenate([observations, actions], axis=-1))
    mean, log_std = np.split(outputs, 2, axis=-1)
    assert np.all((log_std.real > -4.0) & (log_std.real < 15.0)), "NumPy does not clip"
    latent = mean + np.exp(log_std) * noise
    reconstruction = np.tanh(mlp(params["decoder"], np.concatenate([observations, latent], axis=-1)))
    divergence = 0.5 * (mean**2 + np.exp(log_std) ** 2 - 1.0) - log_std
    return np.mean((reconstruction - actions) ** 2, axis=-1) + 0.5 * np.mean(divergence, axis=-1)
