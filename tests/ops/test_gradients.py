"""Gradient steps on a train state, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ssar_jax.ops.gradients import apply_gradients, create_train_state, gradient_step


def test_a_new_train_state():
    """Adam starts with zero moments of the parameters' shapes."""
    params = {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)}
    state = create_train_state(params, optax.adam(0.1))
    assert state.params is params
    moments = state.opt_state[0]
    assert int(moments.count) == 0
    jax.tree.map(lambda p, m: np.testing.assert_array_equal(m, np.zeros(p.shape)), params, moments.mu)


def test_gradient_step_by_hand():
    """loss = (2 w0 - w1)^2 at w = (1, 5) and SGD at rate 0.1.

    The residual is -3, the loss 9, the gradient 2 * (-3) * (2, -1) = (-12, 6), the new w (1 + 1.2, 5 - 0.6).
    """

    def loss(params, inputs):
        residual = jnp.dot(params, inputs)
        return residual**2, residual

    optimizer = optax.sgd(0.1)

    @jax.jit
    def step(params, inputs):
        return gradient_step(loss, optimizer, create_train_state(params, optimizer), inputs)

    state, value, auxiliary, gradients = step(np.float32([1.0, 5.0]), np.float32([2.0, -1.0]))
    np.testing.assert_allclose(state.params, [2.2, 4.4], rtol=1e-6)
    # Value, auxiliary output and gradients belong to the parameters before the step.
    assert (float(value), float(auxiliary)) == (9.0, -3.0)
    np.testing.assert_array_equal(gradients, [-12.0, 6.0])


def test_gradient_step_carries_the_optimizer_state():
    """Two Adam steps on the constant gradient (4, -0.5) move every entry by the rate, twice: only its sign matters."""
    optimizer = optax.adam(0.1)

    def loss(params):
        return 4.0 * params[0] - 0.5 * params[1], None

    @jax.jit
    def two_steps(params):
        once, *_ = gradient_step(loss, optimizer, create_train_state(params, optimizer))
        twice, *_ = gradient_step(loss, optimizer, once)
        return once.params, twice.params

    once, twice = two_steps(np.float32([1.0, 1.0]))
    np.testing.assert_allclose(once, [0.9, 1.1], rtol=1e-6)
    np.testing.assert_allclose(twice, [0.8, 1.2], rtol=1e-5)


def test_given_gradients_by_hand():
    """SGD with weight decay 0.5, which reads the parameters: 1 - 0.1 * (2 + 0.5 * 1) = 0.75."""
    optimizer = optax.chain(optax.add_decayed_weights(0.5), optax.sgd(0.1))
    state = apply_gradients(optimizer, create_train_state(jnp.float32(1.0), optimizer), jnp.float32(2.0))
    np.testing.assert_allclose(state.params, 0.75, rtol=1e-6)
