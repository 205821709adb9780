"""The factor on the regularizer: mask, annealing, no gradient; and the constant coefficient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import td3_bc
from ssar_jax.coefficients.base import Coefficient
from ssar_jax.coefficients.build import from_config
from ssar_jax.coefficients.constant import constant


def linear(mask_regularizer):
    """A coefficient whose beta is its state times the first observation."""

    def no_update(state, observations, slack_fn, trusted, step):
        return state, {}

    return Coefficient(
        lambda key, observations: jnp.float32(3.0),
        lambda state, observations: state * observations[:, 0],
        no_update,
        mask_regularizer,
    )


@pytest.mark.parametrize(("masked", "expected"), [(True, [1.5, 0.0, 6.0]), (False, [1.5, 3.0, 6.0])])
def test_weight_is_beta_times_mask_times_annealing(masked, expected):
    """beta = 3 * (1, 2, 4), annealing 0.5, and the second row is not trusted."""
    observations, trusted = np.float32([[1.0], [2.0], [4.0]]), np.float32([1.0, 0.0, 1.0])

    @jax.jit
    def weight_and_gradient(state):
        def total(state):
            weight = linear(masked).weight(state, observations, trusted, 0.5)
            return jnp.sum(weight), weight

        return jax.value_and_grad(total, has_aux=True)(state)

    (_, weight), gradient = weight_and_gradient(jnp.float32(3.0))
    np.testing.assert_array_equal(weight, expected)
    assert gradient == 0.0  # the backbone's losses do not train the coefficient


def test_constant_is_the_same_everywhere_and_never_learns():
    coefficient = constant(0.4)
    observations = np.float32([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    state = coefficient.init(jax.random.key(0), observations)
    assert state == ()
    np.testing.assert_array_equal(coefficient.apply(state, observations), np.float32([0.4] * 3))
    # Even rows outside the sub-dataset are regularized: the baseline knows no selection.
    np.testing.assert_array_equal(
        coefficient.weight(state, observations, np.zeros(3, np.float32), 1.0), np.float32([0.4] * 3)
    )
    slack_fn = lambda n: pytest.fail("the constant coefficient asked for a slack")  # noqa: E731
    assert coefficient.update(state, observations, slack_fn, np.ones(3), 1) == ((), {})


def test_a_masked_constant_is_selection_without_adaptivity():
    """0.4 where a row is trusted, nothing elsewhere; the config decides."""
    config = td3_bc.get_config("hopper-m").coefficient
    config.kind, config.mask_regularizer = "constant", True
    trusted = np.float32([1.0, 0.0])
    weight = from_config(config).weight((), np.zeros((2, 3), np.float32), trusted, 0.5)
    np.testing.assert_array_equal(weight, np.float32([0.2, 0.0]))


def test_constant_keeps_the_precision_of_the_observations():
    """In double precision 0.4 must not have passed through float32."""
    with jax.enable_x64(True):
        beta = constant(0.4).apply((), np.zeros((1, 2)))
        assert beta.dtype == np.float64
        assert beta.item() == 0.4
