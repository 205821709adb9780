"""Polyak averaging, the gradient step and the metrics' wrapper, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ssar_jax.ops.trees import averages, gradient_step, polyak


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


def test_gradient_step_by_hand():
    """loss = (2 w0 - w1)^2 at w = (1, 5) and SGD at rate 0.1.

    The residual is -3, the loss 9, the gradient 2 * (-3) * (2, -1) = (-12, 6), the new w (1 + 1.2, 5 - 0.6).
    """

    def loss(params, inputs):
        residual = jnp.dot(params, inputs)
        return residual**2, residual

    optimiser = optax.sgd(0.1)

    @jax.jit
    def step(params, inputs):
        return gradient_step(loss, optimiser, params, optimiser.init(params), inputs)

    params, _, value, auxiliary, gradients = step(np.float32([1.0, 5.0]), np.float32([2.0, -1.0]))
    np.testing.assert_allclose(params, [2.2, 4.4], rtol=1e-6)
    # Value, auxiliary output and gradients belong to the parameters before the step.
    assert (float(value), float(auxiliary)) == (9.0, -3.0)
    np.testing.assert_array_equal(gradients, [-12.0, 6.0])


def test_gradient_step_keeps_the_optimiser_going():
    """Two Adam steps on the constant gradient (4, -0.5) move every entry by the rate, twice: its sign is all."""
    optimiser = optax.adam(0.1)

    def loss(params):
        return 4.0 * params[0] - 0.5 * params[1], None

    @jax.jit
    def two_steps(params):
        state = optimiser.init(params)
        once, state, *_ = gradient_step(loss, optimiser, params, state)
        twice, state, *_ = gradient_step(loss, optimiser, once, state)
        return once, twice

    once, twice = two_steps(np.float32([1.0, 1.0]))
    np.testing.assert_allclose(once, [0.9, 1.1], rtol=1e-6)
    np.testing.assert_allclose(twice, [0.8, 1.2], rtol=1e-5)


def test_averages_have_weight_one():
    metrics = averages({"critic/loss": jnp.float32(3.0)})
    assert (float(metrics["critic/loss"].total), float(metrics["critic/loss"].weight)) == (3.0, 1.0)
