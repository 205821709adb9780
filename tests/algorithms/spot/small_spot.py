"""A SPOT that compiles fast and can be recomputed in NumPy: sizes, numbers, draws, a state."""

import jax
import numpy as np

from ssar_jax.algorithms import spot, td3_bc
from ssar_jax.networks.vae import VAE
from tests.algorithms.td3_bc import small_td3_bc
from tests.algorithms.td3_bc.small_td3_bc import BATCH, NUMBERS
from tests.networks.numpy_networks import mlp

NETWORK = VAE((4, 3), 2)
SIZES = spot.SPOTConfig(critic_hidden_sizes=(3, 2), actor_hidden_sizes=(3, 2), density_hidden_sizes=(4, 3))
SMALL = SIZES._replace(**NUMBERS)


def make_draws(seed, rows=6):
    """Noise of the target policy and of the latent, and no dropout."""
    rng = np.random.default_rng(1000 + seed)
    return spot.SPOTDraws(*(np.float32(rng.normal(size=(rows, size))) for size in (2, 4)), (), ())


DRAWS = make_draws(0)


def make_state(coefficient=None, seed=0):
    """Random parameters everywhere, also in the density model; everything else is zero."""
    rng = np.random.default_rng(seed + 1)
    shapes = jax.eval_shape(
        lambda key: spot.initial_density(NETWORK, key, BATCH.observations, BATCH.actions), jax.random.key(0)
    )
    density = jax.tree.map(lambda leaf: np.float32(rng.normal(scale=0.4, size=leaf.shape)), shapes)
    return spot.SPOTState(**small_td3_bc.make_state(coefficient, seed)._asdict(), density=density)


def as_td3_bc(state):
    """The state without its density model, which TD3+BC can take."""
    return td3_bc.TD3BCState(*state[:-1])


def score(params, observations, actions, noise):
    """In NumPy: the squared error of the reconstruction plus half of the divergence, means over dimensions, [B]."""
    outputs = mlp(params["encoder"], np.concatenate([observations, actions], axis=-1))
    mean, log_std = np.split(outputs, 2, axis=-1)
    assert np.all((log_std.real > -4.0) & (log_std.real < 15.0)), "NumPy does not clip"
    latent = mean + np.exp(log_std) * noise
    reconstruction = np.tanh(mlp(params["decoder"], np.concatenate([observations, latent], axis=-1)))
    divergence = 0.5 * (mean**2 + np.exp(log_std) ** 2 - 1.0) - log_std
    return np.mean((reconstruction - actions) ** 2, axis=-1) + 0.5 * np.mean(divergence, axis=-1)
