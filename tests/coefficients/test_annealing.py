"""The fading of the coefficient in the online phase."""

import jax
import numpy as np
import pytest

from ssar_jax.coefficients.annealing import anneal

UPDATES = [0, 1, 50_000, 100_000, 150_000, 200_000, 245_000, 400_000, 900_000]

# Factors at these updates for decay_steps = 400,000. Linear: 1 - N / 400,000, such as 1 - 245 / 400 = 0.3875.
# Cosine: 150,000 is 3/8 of the way, cos(3 pi / 16) = 0.831470. Past the end both stay at 0.
FACTORS = {
    "linear": [1.0, 0.9999975, 0.875, 0.75, 0.625, 0.5, 0.3875, 0.0, 0.0],
    "cosine": [1.0, 1.0, 0.980785, 0.923880, 0.831470, 0.707107, 0.571788, 0.0, 0.0],
    "none": [1.0] * 9,
}


def factors(kind, decay_steps):
    return jax.jit(jax.vmap(lambda updates: anneal(kind, updates, decay_steps)))(np.array(UPDATES))


@pytest.mark.parametrize("kind", FACTORS)
def test_factors_by_hand(kind):
    values = factors(kind, 400_000)
    np.testing.assert_allclose(values, FACTORS[kind], atol=5e-7)
    assert np.all((values >= 0.0) & (values <= 1.0))


@pytest.mark.parametrize("kind", ["linear", "cosine"])
@pytest.mark.parametrize("decay_steps", [0, -1])
def test_no_decay_steps_mean_no_decay(kind, decay_steps):
    np.testing.assert_array_equal(factors(kind, decay_steps), np.ones(9))


@pytest.mark.parametrize(("kind", "expected"), [("linear", 0.25), ("cosine", 0.382683)])
def test_the_floor_bounds_the_factor_from_below(kind, expected):
    """At 3/4 of the way 1 - 3/4 and cos(3 pi / 8) are above the floor of 0.2; at the end the floor remains."""
    values = jax.jit(jax.vmap(lambda updates: anneal(kind, updates, 400_000, 0.2)))(
        np.array([300_000, 400_000, 900_000])
    )
    np.testing.assert_allclose(values, [expected, 0.2, 0.2], atol=5e-7)
