"""The gradient clip as PyTorch defines it."""

import jax
import numpy as np
import pytest

from ssar_jax.ops.optimizers import clip_by_global_norm


def clipped(max_norm, *leaves):
    transformation = clip_by_global_norm(max_norm)
    updates, _ = jax.jit(lambda tree: transformation.update(tree, transformation.init(tree)))(leaves)
    return updates


def test_scales_down_to_the_norm_by_hand():
    """The norm of (3, 4) over two leaves is 5; the factor is 1 / (5 + 1e-6) = 0.19999996, not 1 / 5."""
    with jax.enable_x64(True):
        first, second = clipped(1.0, np.array([3.0]), np.array([[4.0]]))
    np.testing.assert_allclose([first.item(), second.item()], [0.59999988, 0.79999984], rtol=0, atol=2e-13)
    assert first.item() != pytest.approx(0.6, abs=1e-8)  # what Optax's own clip gives


def test_leaves_small_gradients_alone():
    """A norm of 0.3 is below 0.5: bitwise unchanged."""
    gradients = np.float32([0.1, 0.2, 0.2])
    np.testing.assert_array_equal(clipped(0.5, gradients)[0], gradients)


def test_zero_gradients_stay_zero():
    np.testing.assert_array_equal(clipped(0.5, np.zeros(3, np.float32))[0], np.zeros(3))
