"""Critics by hand, and the two layouts of an ensemble."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssar_jax.networks.critics import Critic, make_ensemble

OBSERVATIONS = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
ACTIONS = np.random.default_rng(1).uniform(-1.0, 1.0, size=(6, 2)).astype(np.float32)


def layer(kernel, bias):
    return {"kernel": np.float32(kernel), "bias": np.float32(bias)}


def test_critic_without_layer_norm_by_hand():
    """One unit over [observation, action]: relu(2 s - a + 0.5), then times -3 plus 1; the value has no last axis.

    (s, a) = (1, 0.5): hidden 2, value -5. (s, a) = (0.5, 1): hidden 0.5, value -0.5. (-1, 0): hidden < 0, value 1.
    """
    params = {"layer0": layer([[2.0], [-1.0]], [0.5]), "layer1": layer([[-3.0]], [1.0])}
    observations, actions = np.float32([[1.0], [0.5], [-1.0]]), np.float32([[0.5], [1.0], [0.0]])
    values = jax.jit(Critic((1,)).apply)({"params": params}, observations, actions)
    np.testing.assert_array_equal(values, [-5.0, -0.5, 1.0])


def test_critic_with_layer_norm_by_hand():
    """Units (s, a) = (3, -1): mean 1, variance 4, normalised +-2 / sqrt(4.00001) = +-0.9999988.

    The ReLU keeps the first; times 10 minus 2 is 7.999988.
    """
    params = {
        "layer0": layer([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0]),
        "layernorm0": {"scale": np.ones(2, np.float32), "bias": np.zeros(2, np.float32)},
        "layer1": layer([[10.0], [10.0]], [-2.0]),
    }
    values = jax.jit(Critic((2,), layer_norm=True).apply)({"params": params}, np.float32([[3.0]]), np.float32([[-1.0]]))
    np.testing.assert_allclose(values, [7.999988], atol=2e-6)


def test_the_flag_decides_about_layer_norm():
    inputs = jnp.zeros((1, 3)), jnp.zeros((1, 2))
    for layer_norm in (False, True):
        params = jax.eval_shape(Critic((4,), layer_norm).init, jax.random.key(0), *inputs)["params"]
        assert ("layernorm0" in params) is layer_norm


def test_stacked_and_separate_ensembles_agree():
    """One key makes the same members in both layouts, and they give the same values."""
    critics = [Critic((8,), layer_norm=True)] * 2
    key, results = jax.random.key(0), {}
    for stacked in (False, True):
        ensemble = make_ensemble(critics, stacked=stacked)

        @jax.jit
        def everything(key, ensemble=ensemble):
            params = ensemble.init(key, OBSERVATIONS, ACTIONS)
            values = ensemble.apply(params, OBSERVATIONS, ACTIONS)
            first = ensemble.apply_first(params, OBSERVATIONS, ACTIONS)
            return [ensemble.member(params, i) for i in (0, 1)], values, first

        results[stacked] = everything(key)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), *results.values())
    members, values, first = results[False]
    assert values.shape == (2, 6)
    np.testing.assert_allclose(first, values[0], rtol=1e-6)
    # Members are drawn independently of one another.
    assert not np.allclose(members[0]["layer0"]["kernel"], members[1]["layer0"]["kernel"])


def test_members_of_different_depth_stay_separate():
    critics = [Critic((4, 4)), Critic((4,))]
    ensemble = make_ensemble(critics)
    params = jax.eval_shape(ensemble.init, jax.random.key(0), OBSERVATIONS, ACTIONS)
    assert ["layer2" in ensemble.member(params, i) for i in (0, 1)] == [True, False]
    assert jax.eval_shape(ensemble.apply, params, OBSERVATIONS, ACTIONS).shape == (2, 6)
    with pytest.raises(ValueError, match="cannot be stacked"):
        make_ensemble(critics, stacked=True)


@pytest.mark.parametrize(("backend", "stacked"), [("cpu", False), ("gpu", True)])
def test_the_backend_chooses_the_layout(monkeypatch, backend, stacked):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    ensemble = make_ensemble([Critic((4,))] * 2)
    params = jax.eval_shape(ensemble.init, jax.random.key(0), OBSERVATIONS, ACTIONS)
    kernel = ensemble.member(params, 0)["layer0"]["kernel"] if not stacked else params["layer0"]["kernel"]
    assert kernel.shape == ((2, 5, 4) if stacked else (5, 4))
