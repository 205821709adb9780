"""The actors by hand, and their initial parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssar_jax.networks.actors import DeterministicActor, TanhGaussianActor


def layer(kernel, bias):
    return {"kernel": np.float32(kernel), "bias": np.float32(bias)}


def test_deterministic_actor_by_hand():
    """Hidden relu(s) = 0.5 and relu(-s) = 0; outputs tanh(2 * 0.5 - 0.4) = tanh(0.6) and tanh(-0.5 + 0.1)."""
    params = {"layer0": layer([[1.0, -1.0]], [0.0, 0.0]), "layer1": layer([[2.0, -1.0], [9.0, 9.0]], [-0.4, 0.1])}
    actions = jax.jit(DeterministicActor((2,), 2).apply)({"params": params}, np.float32([[0.5]]))
    np.testing.assert_allclose(actions, [[0.537050, -0.379949]], atol=1e-6)


def test_gaussian_actor_by_hand():
    """One state, A = 3; the output layer's six numbers are three means, then three raw log-stds.

    The log-stds are 2 * raw + 1, clipped to [-20, 2]: 2 * 0.25 + 1 = 1.5, 2 * 4 + 1 -> 2, 2 * (-30) + 1 -> -20.
    """
    outputs = [0.1, -0.2, 0.3, 0.25, 4.0, -30.0]
    params = {
        "layer0": layer([[1.0]], [0.0]),
        "layer1": layer([[0.0] * 6], outputs),
        "log_std_multiplier": np.float32(2.0),
        "log_std_offset": np.float32(1.0),
    }
    policy = jax.jit(TanhGaussianActor((1,), 3).apply)({"params": params}, np.float32([[1.0]]))
    np.testing.assert_allclose(policy.mean, [[0.1, -0.2, 0.3]], rtol=1e-6)
    np.testing.assert_allclose(policy.log_std, [[1.5, 2.0, -20.0]], rtol=1e-6)


def test_gaussian_actor_starts_nearly_deterministic_in_its_mean():
    """Output kernel Xavier with gain 0.01, for 256 -> 2 * 3 within 0.00151330; output bias 0; scalars 1 and -1."""
    params = jax.jit(TanhGaussianActor((256,), 3).init)(jax.random.key(0), np.zeros((1, 11)))["params"]
    assert 0.99 * 0.00151330 < np.max(np.abs(params["layer1"]["kernel"])) <= 0.00151330 * (1 + 1e-5)
    np.testing.assert_array_equal(params["layer1"]["bias"], np.zeros(6))
    assert 0.99 * 0.301511 < np.max(np.abs(params["layer0"]["kernel"])) <= 0.301512  # 1 / sqrt(11)
    assert np.max(np.abs(params["layer0"]["bias"])) > 0.9 * 0.301511  # PyTorch's default, not zeros
    assert (float(params["log_std_multiplier"]), float(params["log_std_offset"])) == (1.0, -1.0)


@pytest.mark.parametrize(
    ("actor", "expected"),
    [
        (DeterministicActor((4, 4), 3), {"layer0", "layer1", "layer2"}),
        (
            TanhGaussianActor((4, 4), 3),
            {"layer0", "layer1", "layer2", "log_std_multiplier", "log_std_offset"},
        ),
    ],
    ids=["deterministic", "gaussian"],
)
def test_parameter_names(actor, expected):
    params = jax.eval_shape(actor.init, jax.random.key(0), jnp.zeros((1, 5)))["params"]
    assert set(params) == expected
