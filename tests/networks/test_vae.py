"""The conditional VAE: divergences by hand, the clips, and the score."""

import jax
import numpy as np
import pytest

from ssar_jax.networks import vae
from ssar_jax.networks.vae import VAE

A = 2
NETWORK = VAE((5, 4), A)
RNG = np.random.default_rng(0)
OBSERVATIONS = RNG.normal(size=(6, 3)).astype(np.float32)
ACTIONS = RNG.uniform(-1.0, 1.0, (6, A)).astype(np.float32)
NOISE = RNG.normal(size=(6, 2 * A)).astype(np.float32)


@pytest.fixture(scope="module")
def params():
    return jax.jit(NETWORK.init)(jax.random.key(0), OBSERVATIONS, ACTIONS, NOISE)["params"]


def with_last(params, network, kernel=0.0, bias=0.0):
    """The parameters with the output layer of encoder or decoder replaced."""
    last = {"kernel": np.full_like(params[network]["layer2"]["kernel"], kernel), "bias": np.float32(bias)}
    return {**params, network: {**params[network], "layer2": last}}


@pytest.mark.parametrize(
    ("mean", "std", "expected"),
    [(0.0, 1.0, 0.0), (1.0, 2.0, 1.306853), (-1.0, 2.0, 1.306853), (0.0, 0.5, 0.318147)],
)
def test_divergence_by_hand(mean, std, expected):
    """(1 + 4 - 1) / 2 - log 2 = 1.306853 and (0.25 - 1) / 2 + log 2 = 0.318147."""
    assert float(vae.divergence(np.float32(mean), np.log(np.float32(std)))) == pytest.approx(expected, abs=1e-6)


def test_log_stds_are_clipped_and_means_are_not(params):
    """The head's first 2 A outputs are means, the others log-stds within [-4, 15]."""
    outputs = [-90.0, 0.0, 7.0, 90.0, -5.0, -4.0, 14.0, 16.0]
    changed = with_last(params, "encoder", bias=outputs)
    mean, log_std = NETWORK.apply({"params": changed}, OBSERVATIONS, ACTIONS, method="encode")
    np.testing.assert_array_equal(mean, np.tile(np.float32(outputs[:4]), (6, 1)))
    np.testing.assert_array_equal(log_std, np.tile(np.float32([-4.0, -4.0, 14.0, 15.0]), (6, 1)))


def test_decoded_actions_are_squashed(params):
    """tanh(0.5) = 0.462117; an output of 1000 is the action 1 and no more."""
    changed = with_last(params, "decoder", bias=[0.5, 1000.0])
    actions = NETWORK.apply({"params": changed}, OBSERVATIONS, NOISE, method="decode")
    np.testing.assert_allclose(actions, np.tile([0.462117, 1.0], (6, 1)), atol=1e-6)


def test_the_score_is_zero_where_nothing_is_to_be_learned(params):
    """An encoder that gives mean 0 and log-std 0, and a decoder that gives the action."""
    changed = with_last(with_last(params, "encoder", bias=[0.0] * 8), "decoder", bias=np.arctanh([0.3, -0.6]))
    actions = np.tile(np.float32([0.3, -0.6]), (6, 1))
    np.testing.assert_allclose(NETWORK.apply({"params": changed}, OBSERVATIONS, actions, NOISE), 0.0, atol=1e-12)


def test_the_score_by_hand(params):
    """Latent mean (1, 0, 0, 0) with std 2 and 1: divergences 1.306853, 0, 0, 0 with the mean 0.326713.

    Reconstruction (0.5, 0) of the action (0.1, 0.3): (0.16 + 0.09) / 2 = 0.125. In all 0.125 + 0.5 * 0.326713.
    """
    encoder = [1.0, 0.0, 0.0, 0.0, np.log(2.0), 0.0, 0.0, 0.0]
    changed = with_last(with_last(params, "encoder", bias=encoder), "decoder", bias=np.arctanh([0.5, 0.0]))
    scores = NETWORK.apply({"params": changed}, OBSERVATIONS, np.tile(np.float32([0.1, 0.3]), (6, 1)), NOISE)
    np.testing.assert_allclose(scores, np.full(6, 0.288357), atol=1e-6)


def test_names_sizes_and_pytorchs_start(params):
    """Encoder of 3 + A inputs and 4 A outputs, decoder of 3 + 2 A inputs; both heads within 1 / sqrt(4) = 0.5."""
    shapes = jax.tree.map(lambda leaf: leaf.shape, params)
    assert {name: shapes[name]["layer0"]["kernel"] for name in shapes} == {"encoder": (5, 5), "decoder": (7, 5)}
    assert {name: shapes[name]["layer2"]["kernel"] for name in shapes} == {"encoder": (4, 8), "decoder": (4, 2)}
    head = params["encoder"]["layer2"]
    assert 0.4 < np.max(np.abs(head["kernel"])) <= 0.5
    assert 0.0 < np.max(np.abs(head["bias"])) <= 0.5
