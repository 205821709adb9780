"""Polyak averaging and the metrics' wrapper, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssar_jax.ops.trees import averages, copy_params, polyak


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (0.0, [1.0, 2.0]),
        (0.25, [1.5, 1.0]),  # 0.75 * 1 + 0.25 * 3 and 0.75 * 2 + 0.25 * (-2)
        (1.0, [3.0, -2.0]),
    ],
)
def test_polyak_by_hand(rate, expected):
    target = {"a": np.float32(1.0), "b": {"c": np.float32(2.0)}}
    online = {"a": np.float32(3.0), "b": {"c": np.float32(-2.0)}}
    moved = jax.jit(polyak)(target, online, rate)
    assert [float(moved["a"]), float(moved["b"]["c"])] == expected


def test_a_copy_has_its_own_buffers():
    """The copy stays readable after the original was donated."""
    original = {"a": jnp.ones(3)}
    copy = copy_params(original)
    original["a"].delete()
    np.testing.assert_array_equal(copy["a"], np.ones(3))


def test_averages_have_weight_one():
    metrics = averages({"critic/loss": jnp.float32(3.0)})
    assert (float(metrics["critic/loss"].total), float(metrics["critic/loss"].weight)) == (3.0, 1.0)
