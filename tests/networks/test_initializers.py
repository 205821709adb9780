"""The ranges of the initializers."""

import jax
import numpy as np
import pytest

from ssar_jax.networks import initializers

# 1 / sqrt(fan_in) to six digits: hopper's observation, a hidden layer of the actors and one of the coefficient.
TORCH_BOUNDS = {11: 0.301511, 256: 0.0625, 512: 0.044194}


@pytest.fixture(scope="module")
def draws():
    """Draws from every initializer, made by one compiled program."""

    def draw(key):
        torch = {
            fan_in: {
                "kernel": initializers.torch_kernel()(key, (fan_in, 500)),
                "bias": initializers.torch_bias(fan_in)(key, (2000,)),
            }
            for fan_in in TORCH_BOUNDS
        }
        return {
            "torch": torch,
            "xavier": initializers.xavier_uniform()(key, (11, 512)),
            "xavier_small": initializers.xavier_uniform(0.01)(key, (256, 6)),
            "uniform": initializers.uniform(0.003)(key, (256, 8)),
            "wide": initializers.orthogonal(3.0)(key, (4, 7)),
            "tall": initializers.orthogonal(3.0)(key, (7, 4)),
        }

    return jax.device_get(jax.jit(draw)(jax.random.key(0)))


def assert_uniform(draw, bound):
    """All within the bound, a few close to it, and the standard deviation bound / sqrt(3) of a uniform distribution."""
    assert np.max(np.abs(draw)) <= bound * (1 + 1e-5)
    assert np.max(np.abs(draw)) >= 0.99 * bound
    assert np.std(draw) == pytest.approx(bound / np.sqrt(3.0), rel=0.05)
    assert abs(np.mean(draw)) < 0.05 * bound


@pytest.mark.parametrize("fan_in", TORCH_BOUNDS)
@pytest.mark.parametrize("part", ["kernel", "bias"])
def test_torch_default(draws, fan_in, part):
    """Kernel and bias share the range, which the input's width decides."""
    assert_uniform(draws["torch"][fan_in][part], TORCH_BOUNDS[fan_in])


def test_xavier(draws):
    """sqrt(6 / (11 + 512)) = 0.107109; 0.01 * sqrt(6 / (256 + 6)) = 0.00151330."""
    assert_uniform(draws["xavier"], 0.107109)
    assert_uniform(draws["xavier_small"], 0.00151330)


def test_uniform(draws):
    """Whatever the shape."""
    assert_uniform(draws["uniform"], 0.003)


def test_uniform_keeps_the_precision_asked_for():
    with jax.enable_x64(True):
        draw = initializers.uniform(1.0)(jax.random.key(0), (4,), np.float64)
    assert draw.dtype == np.float64


def test_orthogonal(draws):
    """The shorter side is orthogonal with vectors as long as the gain."""
    np.testing.assert_allclose(draws["wide"] @ draws["wide"].T, 9.0 * np.eye(4), atol=1e-5)
    np.testing.assert_allclose(draws["tall"].T @ draws["tall"], 9.0 * np.eye(4), atol=1e-5)
