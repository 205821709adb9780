"""Critics by hand, and the two executions of an ensemble."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssar_jax.networks.critics import Critic, make_ensemble
from ssar_jax.networks.initializers import uniform

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
    """Units (s, a) = (3, -1): mean 1, variance 4, normalized +-2 / sqrt(4.00001) = +-0.9999988.

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


BOUNDED = {"output_kernel_init": uniform(0.1), "output_bias_init": uniform(0.1)}
MEMBERS = {
    "plain": [Critic((8,))] * 2,
    "layer_norm": [Critic((8, 4), layer_norm=True)] * 2,
    "no_hidden_layer": [Critic(())] * 2,
    "three": [Critic((8,))] * 3,
    "bounded_output": [Critic((8,), mlp_options=BOUNDED) for _ in range(2)],
    "one": [Critic((8,))],
}
LEADING = ((6, (6,)), (6, (2, 3)), (1, ()))


@pytest.mark.parametrize("members", MEMBERS)
def test_batched_and_in_turn_agree(members):
    """Both executions take one tuple of parameters and give the same values and gradients, for any leading axes."""
    critics = MEMBERS[members]
    ensembles = [make_ensemble(critics, batched=batched) for batched in (False, True)]
    shapes = [jax.eval_shape(ensemble.init, jax.random.key(0), OBSERVATIONS, ACTIONS) for ensemble in ensembles]
    assert shapes[0] == shapes[1]
    assert isinstance(shapes[1], tuple)
    rng = np.random.default_rng(2)
    params = jax.tree.map(lambda leaf: np.float32(rng.normal(size=leaf.shape)), shapes[0])
    # One action per state, several actions per state, and a single state.
    inputs = [(OBSERVATIONS[:rows].reshape(*lead, 3), ACTIONS[:rows].reshape(*lead, 2)) for rows, lead in LEADING]

    @jax.jit
    def everything(params):
        def values(params, ensemble):
            return [ensemble.apply(params, *arrays) for arrays in inputs]

        def total(params, ensemble):
            return sum(jnp.sum(array**2) for array in values(params, ensemble))

        first = [[ensemble.apply_first(params, *arrays)[None] for arrays in inputs] for ensemble in ensembles]
        return first, [(values(params, ensemble), jax.grad(total)(params, ensemble)) for ensemble in ensembles]

    first, (in_turn, batched) = everything(params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), batched, in_turn)
    assert [array.shape for array in batched[0]] == [(len(critics), *lead) for _, lead in LEADING]
    for member in first:
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b[:1], rtol=1e-5, atol=1e-6), member, in_turn[0])


def test_members_are_drawn_independently():
    params = jax.jit(make_ensemble([Critic((8,))] * 2).init)(jax.random.key(0), OBSERVATIONS, ACTIONS)
    assert not np.allclose(params[0]["layer0"]["kernel"], params[1]["layer0"]["kernel"])


def test_members_of_different_depth_run_in_turn(monkeypatch):
    """On every backend."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    critics = [Critic((4, 4)), Critic((4,))]
    ensemble = make_ensemble(critics)
    params = jax.eval_shape(ensemble.init, jax.random.key(0), OBSERVATIONS, ACTIONS)
    assert ["layer2" in member for member in params] == [True, False]
    assert jax.eval_shape(ensemble.apply, params, OBSERVATIONS, ACTIONS).shape == (2, 6)
    with pytest.raises(ValueError, match="critics of different shapes cannot be batched"):
        make_ensemble(critics, batched=True)


@pytest.mark.parametrize(("backend", "products"), [("cpu", 2 * 2), ("gpu", 2)])
def test_the_backend_chooses_the_execution(monkeypatch, backend, products):
    """Two layers: two matrix products for both members, or two for each. The parameters have one structure."""
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    ensemble = make_ensemble([Critic((4,))] * 2)
    params = jax.eval_shape(ensemble.init, jax.random.key(0), OBSERVATIONS, ACTIONS)
    assert isinstance(params, tuple)
    assert [member["layer0"]["kernel"].shape for member in params] == [(5, 4), (5, 4)]
    program = str(jax.make_jaxpr(ensemble.apply)(params, OBSERVATIONS, ACTIONS))
    assert program.count("dot_general[") == products
