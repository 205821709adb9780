"""The coefficient network beta(s) against hand numbers and the authors' initialization and outputs."""

import jax
import numpy as np
import pytest

from ssar_jax.networks.coefficient import CoefficientNet
from tests.algorithms.conformance import LIMITS, assert_close, nested
from tests.golden_vectors import golden_files, load_golden

FILES = golden_files("coefficient_net")


def hidden_sizes(shapes):
    """The hidden widths of a network, from the shapes of its biases."""
    depth = sum(name.startswith("layer") for name in shapes)
    return tuple(int(shapes[f"layer{i}"]["bias"][0]) for i in range(depth - 1))


def test_zero_kernel_starts_at_the_base_value_everywhere():
    """1.5 * sigmoid(0.6931) = 1.5 / (1 + exp(-0.6931)) = 0.999984, times a base of 10 or 0.4, for any state."""
    inputs = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32) * 10.0
    for base in (0.4, 10.0):
        network = CoefficientNet(base, hidden_sizes=(5, 5))
        beta = jax.jit(lambda inputs, network=network: network.init_with_output(jax.random.key(0), inputs)[0])(inputs)
        assert beta.shape == (4,)
        np.testing.assert_allclose(beta, 0.999984 * base, rtol=1e-6)


def test_saturates_at_zero_and_at_the_largest_ratio():
    """Logits of +-50: sigmoid 1 and 0 in float32, so beta is max_ratio * base = 2 * 3 = 6 and 0."""
    network = CoefficientNet(3.0, max_ratio=2.0, hidden_sizes=())
    params = {"layer0": {"kernel": np.float32([[50.0]]), "bias": np.float32([0.0])}}
    beta = jax.jit(network.apply)({"params": params}, np.float32([[1.0], [0.0], [-1.0]]))
    np.testing.assert_allclose(beta, [6.0, 3.0, 0.0], atol=1e-6)


@pytest.mark.conformance
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_outputs_agree_with_the_authors(path, dtype):
    arrays = load_golden(path)
    expected = "expected64" if dtype == np.float64 else "expected"
    for kind in ("fresh", "trained"):
        prefix = f"params/{kind}/"
        params = nested({key: arrays[key].astype(dtype) for key in arrays if key.startswith(prefix)}, prefix)
        sizes = hidden_sizes(jax.tree.map(np.shape, params))
        with jax.enable_x64(dtype == np.float64):

            @jax.jit
            def outputs(params, inputs, bases, sizes=sizes):
                return [CoefficientNet(base, hidden_sizes=sizes).apply({"params": params}, inputs) for base in bases]

            bases = arrays["hyper/init_values"].astype(dtype)
            actual = jax.device_get(outputs(params, arrays["inputs"].astype(dtype), list(bases)))
        for base, beta in zip(arrays["hyper/init_values"], actual, strict=True):
            # The file has the shapes [B] of CQL and [B, 1] of TD3+BC; ours is [B] for both.
            wanted = arrays[f"{expected}/{kind}/init{base:g}/flat"]
            assert beta.shape == wanted.shape
            assert beta.dtype == dtype
            assert_close(beta, wanted, LIMITS[dtype], f"{kind} {base:g}")


@pytest.mark.conformance
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_zero_kernel_output_agrees_with_the_authors(path):
    """Both constants of the file: the rounded 0.6931 starts 1.6e-5 low, ln 2 would start at the base value."""
    arrays = load_golden(path)
    network = CoefficientNet(1.0, hidden_sizes=())
    for name, bias in [("zero_kernel", 0.6931), ("zero_kernel_ln2_bias", np.log(2.0))]:
        params = {"layer0": {"kernel": np.zeros((1, 1), np.float32), "bias": np.float32([bias])}}
        beta = network.apply({"params": params}, np.ones((1, 1), np.float32))
        assert_close(beta, arrays[f"{name}_output_per_unit_init"], 1e-7, name)


@pytest.mark.conformance
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_published_initialization_agrees_in_its_statistics(path):
    """Ranges of the parameters, and mean and scatter of the outputs over fresh networks and normal states.

    The file has several observation sizes, which change the first layer alone; one is compared.
    """
    arrays = load_golden(path)
    size = int(arrays["hyper/real_obs_dims"][0])
    prefix = f"real_size/obs{size}/param_shape/"
    shapes = nested({key: arrays[key] for key in arrays if key.startswith(prefix)}, prefix)
    network = CoefficientNet(1.0, hidden_sizes=hidden_sizes(shapes), last_kernel_init="xavier")
    inputs = np.random.default_rng(0).normal(size=(512, size)).astype(np.float32)
    fresh = jax.jit(jax.vmap(network.init_with_output, in_axes=(0, None)))
    beta, variables = jax.device_get(fresh(jax.random.split(jax.random.key(0), 6), inputs))
    params = variables["params"]
    assert jax.tree.map(lambda leaf: leaf.shape[1:], params) == jax.tree.map(tuple, shapes)
    check_parameters(arrays, size, params)
    check_outputs(arrays, size, beta)


def check_parameters(arrays, size, params):
    """Minimum, maximum and standard deviation of every leaf of one network.

    The smallest random leaf has 512 entries: its standard deviation has a relative error of
    sqrt(0.8 / (4 * 512)) = 2 %, the difference of two such 2.8 %; four times that is allowed.
    """
    for layer, leaves in params.items():
        for name, leaf in leaves.items():
            *extremes, std = arrays[f"real_size/obs{size}/param_min_max_std/{layer}/{name}"]
            one, what = leaf[0], f"{layer}/{name}"
            np.testing.assert_allclose([one.min(), one.max()], extremes, rtol=0.05, err_msg=what)
            np.testing.assert_allclose(one.std(), std, rtol=0.112, err_msg=what)


def check_outputs(arrays, size, beta):
    """Outputs are proportional to the base value; the file has six other networks for every value.

    Two means over six networks differ by less than four times their standard error.
    """
    ours = beta.mean(axis=1)
    for base in arrays["hyper/init_values"]:
        prefix = f"real_size/obs{size}/init{base:g}"
        theirs = arrays[f"{prefix}/per_init_mean"] / base
        error = np.sqrt(ours.var(ddof=1) / ours.size + theirs.var(ddof=1) / theirs.size)
        assert abs(ours.mean() - theirs.mean()) < 4.0 * error
        assert arrays[f"{prefix}/upper_bound"] == pytest.approx(1.5 * base)
        # The scatter over states and networks is of the same size.
        assert 0.4 < beta.std() / (arrays[f"{prefix}/std"] / base) < 2.5
    assert beta.min() > 0.0
    assert beta.max() < 1.5
