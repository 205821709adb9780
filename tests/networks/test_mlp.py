"""The multilayer perceptron: names, initial ranges, dropout, and values by hand with and without LayerNorm."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssar_jax.networks import initializers
from ssar_jax.networks.mlp import MLP
from tests.networks.numpy_networks import as_numpy, mlp


def evaluate(network, params, inputs):
    return jax.jit(network.apply)({"params": params}, inputs)


def layer(kernel, bias):
    return {"kernel": np.float32(kernel), "bias": np.float32(bias)}


def test_one_hidden_unit_by_hand():
    """Hidden 2 x1 - x2 + 0.5, output -3 relu(hidden) + 1.

    x = (1, 0.5): hidden 2, output -5. x = (-1, 0): hidden -1.5, cut to 0 by the ReLU, output 1.
    """
    params = {"layer0": layer([[2.0], [-1.0]], [0.5]), "layer1": layer([[-3.0]], [1.0])}
    outputs = evaluate(MLP((1,), 1), params, np.float32([[1.0, 0.5], [-1.0, 0.0]]))
    np.testing.assert_array_equal(outputs, [[-5.0], [1.0]])


@pytest.mark.parametrize(("options", "expected"), [({}, 1.2345225), ({"layer_norm_epsilon": 1e-6}, 1.8888544)])
def test_layer_norm_by_hand(options, expected):
    """Hidden units 0.003 and -0.001: mean 0.001, deviations 0.002 and -0.002, biased variance 4e-6.

    With epsilon 1e-5 they become +-0.002 / sqrt(1.4e-5) = +-0.5345225; scale (2, 1) and shift (0.1, 0.6) give
    1.1690450 and 0.0654775, which the ReLU lets pass; their sum is 1.2345225.
    With 1e-6, FamO2O's, they become +-0.002 / sqrt(5e-6) = +-0.8944272; of 1.8888544 and -0.2944272 the first is left.
    (The unbiased variance 8e-6 would give 1.171.)
    """
    params = {
        "layer0": layer([[0.003, -0.001]], [0.0, 0.0]),
        "layernorm0": {"scale": np.float32([2.0, 1.0]), "bias": np.float32([0.1, 0.6])},
        "layer1": layer([[1.0], [1.0]], [0.0]),
    }
    output = evaluate(MLP((2,), 1, layer_norm=True, **options), params, np.float32([[1.0]]))
    assert output.item() == pytest.approx(expected, abs=1e-6)


def test_layer_norm_after_the_relu_by_hand():
    """Hidden units 3 and -1 become 3 and 0: mean 1.5, variance 2.25, normalized nearly +-1; 5 (1) + 7 (-1) = -2."""
    params = {
        "layer0": layer([[3.0, -1.0]], [0.0, 0.0]),
        "layernorm0": {"scale": np.ones(2, np.float32), "bias": np.zeros(2, np.float32)},
        "layer1": layer([[5.0], [7.0]], [0.0]),
    }
    network = MLP((2,), 1, layer_norm=True, norm_last=True, layer_norm_epsilon=1e-6)
    output = evaluate(network, params, np.float32([[1.0]]))
    assert output.item() == pytest.approx(-2.0 * 1.5 / np.sqrt(2.25 + 1e-6), abs=1e-6)


def test_layer_norm_of_one_unit_is_its_shift():
    """A single unit is its own mean: 0 after the normalization whatever the input, then the shift 0.7."""
    params = {
        "layer0": layer([[5.0]], [1.0]),
        "layernorm0": {"scale": np.float32([2.0]), "bias": np.float32([0.7])},
        "layer1": layer([[3.0]], [0.5]),
    }
    outputs = evaluate(MLP((1,), 1, layer_norm=True), params, np.float32([[-4.0], [9.0]]))
    np.testing.assert_allclose(outputs, [[2.6], [2.6]], rtol=1e-6)  # 3 * 0.7 + 0.5


def test_layer_norm_keeps_precision_far_from_zero():
    """Units 1000 and 1000.25: the deviations are +-0.125, the variance 0.015625, the normalized values +-0.99968.

    E[x^2] - E[x]^2 would cancel to a multiple of 0.0625 in float32.
    """
    params = {
        "layer0": layer([[1000.0, 1000.25]], [0.0, 0.0]),
        "layernorm0": {"scale": np.float32([1.0, 1.0]), "bias": np.float32([2.0, 2.0])},
        "layer1": layer([[1.0], [0.0]], [0.0]),
    }
    output = evaluate(MLP((2,), 1, layer_norm=True), params, np.float32([[1.0]]))
    assert output.item() == pytest.approx(2.0 - 0.125 / np.sqrt(0.015625 + 1e-5), abs=1e-6)


def test_agrees_with_numpy():
    network = MLP((3, 4), 2)
    inputs = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
    params = jax.jit(network.init)(jax.random.key(1), inputs)["params"]
    np.testing.assert_allclose(evaluate(network, params, inputs), mlp(as_numpy(params), inputs), rtol=1e-5)


def test_dropout_multiplies_the_hidden_linear_maps():
    """In NumPy: the factors stand between a linear map and its ReLU, and the output layer has none."""
    rng = np.random.default_rng(0)
    inputs, network = rng.normal(size=(5, 6)).astype(np.float32), MLP((3, 4), 2)
    dropout = tuple(np.float32(rng.choice([0.0, 1.25, -2.0], (5, width))) for width in (3, 4))
    params = jax.jit(network.init)(jax.random.key(1), inputs)["params"]
    outputs = jax.jit(network.apply)({"params": params}, inputs, dropout)
    numpy_params, x = as_numpy(params), inputs
    for i, factors in enumerate(dropout):
        x = np.maximum(factors * (x @ numpy_params[f"layer{i}"]["kernel"] + numpy_params[f"layer{i}"]["bias"]), 0.0)
    expected = x @ numpy_params["layer2"]["kernel"] + numpy_params["layer2"]["bias"]
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)
    ones = tuple(np.ones_like(factors) for factors in dropout)
    plain = jax.jit(network.apply)({"params": params}, inputs)
    np.testing.assert_array_equal(jax.jit(network.apply)({"params": params}, inputs, ones), plain)
    assert not np.allclose(outputs, plain)


def test_dropout_comes_before_layer_norm():
    """Units (3, -1) become (6, 0): LayerNorm makes them +-0.9999994, the ReLU keeps the first, times 10 minus 2."""
    params = {
        "layer0": layer([[3.0, -1.0]], [0.0, 0.0]),
        "layernorm0": {"scale": np.ones(2, np.float32), "bias": np.zeros(2, np.float32)},
        "layer1": layer([[10.0], [10.0]], [-2.0]),
    }
    network = MLP((2,), 1, layer_norm=True)
    output = jax.jit(network.apply)({"params": params}, np.float32([[1.0]]), (np.float32([[2.0, 0.0]]),))
    assert output.item() == pytest.approx(10.0 * 3.0 / np.sqrt(9.0 + 1e-5) - 2.0, abs=2e-6)


def test_the_output_layer_may_start_differently():
    """Within 0.001, with hidden layers as without the argument: 1 / sqrt(6) = 0.408248."""
    arguments, uniform = (jax.random.key(0), np.zeros((1, 6))), initializers.uniform(0.001)
    plain = jax.jit(MLP((400,), 30).init)(*arguments)["params"]
    network = MLP((400,), 30, output_kernel_init=uniform, output_bias_init=uniform)
    bounded = jax.jit(network.init)(*arguments)["params"]
    jax.tree.map(np.testing.assert_array_equal, bounded["layer0"], plain["layer0"])
    for leaf in bounded["layer1"].values():
        assert 0.9 * 0.001 < np.max(np.abs(leaf)) <= 0.001 * (1 + 1e-6)


def test_parameter_names_and_shapes():
    """LayerNorm follows hidden layers alone; its scale starts at 1 and its shift at 0."""
    params = jax.eval_shape(MLP((7, 8), 2, layer_norm=True).init, jax.random.key(0), jnp.zeros((1, 5)))["params"]
    shapes = jax.tree.map(lambda leaf: leaf.shape, params)
    assert shapes == {
        "layer0": {"kernel": (5, 7), "bias": (7,)},
        "layernorm0": {"scale": (7,), "bias": (7,)},
        "layer1": {"kernel": (7, 8), "bias": (8,)},
        "layernorm1": {"scale": (8,), "bias": (8,)},
        "layer2": {"kernel": (8, 2), "bias": (2,)},
    }


def test_biases_follow_the_width_of_their_own_input():
    """Inputs of width 4, then 400: bounds 1/2 and 1/20 for kernel and bias alike."""
    params = jax.jit(MLP((400,), 300, layer_norm=True).init)(jax.random.key(0), np.zeros((1, 4)))["params"]
    for name, bound in [("layer0", 0.5), ("layer1", 0.05)]:
        for leaf in params[name].values():
            assert 0.95 * bound < np.max(np.abs(leaf)) <= bound * (1 + 1e-5)
    np.testing.assert_array_equal(params["layernorm0"]["scale"], np.ones(400))
    np.testing.assert_array_equal(params["layernorm0"]["bias"], np.zeros(400))
