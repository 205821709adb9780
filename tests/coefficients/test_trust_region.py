"""The slack of dataset actions against a deterministic policy."""

import jax
import numpy as np
import pytest

from ssar_jax.coefficients.trust_region import deterministic_slack

slack = jax.jit(deterministic_slack)


def test_slack_by_hand():
    """delta = 0.1, n = 2: the region is 0.04.

    Row 1: errors 0.3 and 0.1, squares 0.09 and 0.01, mean 0.05, slack -0.01.
    Row 2: errors 1.5 and 0.2, squares 2.25 (capped at 1) and 0.04, mean 0.52, slack -0.48.
    """
    policy_actions = np.float32([[0.5, -0.4], [-0.6, 0.0]])
    actions = np.float32([[0.2, -0.3], [0.9, 0.2]])
    np.testing.assert_allclose(slack(policy_actions, actions, 2.0, 0.1), [-0.01, -0.48], atol=1e-6)


@pytest.mark.parametrize(("n", "region"), [(1.0, 0.01), (1.5, 0.0225), (3.0, 0.09), (5.0, 0.25)])
def test_the_two_ends(n, region):
    """The policy's own action has the whole region as slack; errors of 1 or more in all dimensions cost 1."""
    policy_actions = np.float32([[0.3, -0.7], [1.0, -0.5]])
    actions = np.float32([[0.3, -0.7], [-1.0, 0.5]])
    np.testing.assert_allclose(slack(policy_actions, actions, n, 0.1), [region, region - 1.0], atol=1e-6)


def test_grows_with_the_region_and_treats_errors_alike():
    """The slack rises with n, and neither the sign of an error nor the order of dimensions matters."""
    rng = np.random.default_rng(0)
    first, second = rng.uniform(-1.0, 1.0, size=(2, 16, 2)).astype(np.float32)
    values = [slack(first, second, n, 0.1) for n in (0.5, 1.0, 3.0, 10.0)]
    assert np.all(np.diff(values, axis=0) > 0.0)
    np.testing.assert_allclose(slack(second, first, 1.0, 0.1), values[1], atol=1e-6)
    np.testing.assert_allclose(slack(first[:, ::-1], second[:, ::-1], 1.0, 0.1), values[1], atol=1e-6)
