"""Layer normalization against Flax's, by hand, and its derivative by differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax.test_util import check_grads

from ssar_jax.ops.normalization import layer_norm


@pytest.fixture(autouse=True)
def _double_precision():
    with jax.enable_x64(True):
        yield


@pytest.fixture(params=[False, True], ids=["reductions", "products"])
def as_products(request):
    return request.param


def draw(*shape):
    """Inputs far from mean 0 and variance 1, and random scale and bias."""
    rng = np.random.default_rng(0)
    width = shape[-1]
    arrays = 3.0 + 2.0 * rng.normal(size=shape), rng.normal(size=width), rng.normal(size=width)
    return tuple(map(jnp.asarray, arrays))


def flax(inputs, scale, bias, epsilon):
    module = nn.LayerNorm(epsilon=epsilon, use_fast_variance=False, param_dtype=jnp.float64)
    return module.apply({"params": {"scale": scale, "bias": bias}}, inputs)


def test_by_hand(as_products):
    """Mean 2, squared distances 1, 1, 4, 4 with mean 2.5; epsilon makes that 4, whose root is 2."""
    inputs = jnp.array([1.0, 3.0, 0.0, 4.0])
    scale, bias = jnp.array([2.0, 2.0, 2.0, 4.0]), jnp.array([0.0, 0.0, 0.0, 1.0])
    np.testing.assert_allclose(layer_norm(inputs, scale, bias, 1.5, as_products), [-1.0, 1.0, -2.0, 5.0], atol=1e-15)


@pytest.mark.parametrize("shape", [(7,), (5, 7), (3, 5, 7), (4, 1)])
def test_values_and_gradients_are_those_of_flax(shape, as_products):
    inputs, scale, bias = draw(*shape)
    weights = jnp.asarray(np.random.default_rng(1).normal(size=shape))

    def weighted(function, *arguments):
        return lambda *arrays: jnp.sum(weights * jnp.sin(function(*arrays, *arguments)))

    ours, theirs = weighted(layer_norm, 1e-5, as_products), weighted(flax, 1e-5)
    found = jax.value_and_grad(ours, argnums=(0, 1, 2))(inputs, scale, bias)
    expected = jax.value_and_grad(theirs, argnums=(0, 1, 2))(inputs, scale, bias)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_gradients_are_those_of_differences(as_products):
    """To the second order, which penalties on slopes need."""
    check_grads(lambda *arrays: layer_norm(*arrays, 1e-5, as_products), draw(4, 6), order=2, modes=["rev"])


def test_under_vmap_each_has_its_own_scale(as_products):
    inputs, scale, bias = (jnp.stack([array, 2.0 * array]) for array in draw(5, 7))
    batched = jax.vmap(lambda *arrays: jax.grad(lambda *a: layer_norm(*a, 1e-5, as_products).sum() ** 2, 1)(*arrays))
    found = batched(inputs, scale, bias)
    for i in range(2):
        single = jax.grad(lambda s, i=i: layer_norm(inputs[i], s, bias[i], 1e-5, as_products).sum() ** 2)(scale[i])
        np.testing.assert_allclose(found[i], single, rtol=1e-12)
