"""The trust region of a stochastic policy: where its boundary is, and the slack of actions against it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssar_jax.coefficients.trust_region import FLOOR_SIZE, boundary_log_prob, floor_share, stochastic_slack
from ssar_jax.ops.distributions import TanhGaussian

# Mean and standard deviation before the tanh, size n; both boundary actions and the smaller log-density there.
# The fifth by hand: tanh(+-1) = +-0.761594, clipped to 0.1 around tanh(0) = 0; x = atanh(0.1) = 0.100335,
# -0.5 * 0.100335^2 = -0.005034, -0.5 log(2 pi) = -0.918939, -log(1 - 0.01) = 0.010050; their sum is -0.913922.
BOUNDARIES = np.array(
    [
        (0, 0.05, 1, 0.049958, -0.049958, 1.579293),
        (0, 0.05, 3, 0.148885, -0.148885, -2.400790),
        (0, 0.5, 1, 0.100000, -0.100000, -0.235875),
        (0, 0.5, 3, 0.300000, -0.300000, -0.323085),
        (0, 1.0, 1, 0.100000, -0.100000, -0.913922),
        (0, 1.0, 10, 0.999990, -0.999990, -8.722666),
        (1.0, 0.2, 1, 0.833655, 0.664037, 0.772006),
        (1.0, 0.2, 3, 0.921669, 0.461594, -2.203201),
        (1.0, 0.2, 10, 0.995055, -0.238406, -44.690844),
        (-1.5, 0.8, 2, -0.705148, -0.995949, -0.310935),
        (2.5, 0.3, 1, 0.992632, 0.975743, 2.823145),
        (4.0, 0.1, 1, 0.999451, 0.999181, 7.298172),
        (0, 2.0, 1, 0.100000, -0.100000, -1.603294),
        (0, 2.0, 10, 0.999990, -0.999990, 4.551820),
        (0.3, 0.36787944, 1, 0.391313, 0.191313, 0.076601),
        (0.3, 0.36787944, 5, 0.791313, -0.208687, -1.153613),
    ]
)

# Mean, standard deviation, n, action; its log-density, the floor C_10, C_n, and max(log-density, floor) - C_n.
SLACKS = np.array(
    [
        (0, 0.05, 1, 0.02, 1.997172, -47.682977, 1.579293, 0.417880),
        (0, 0.05, 1, 0.9, -429.748520, -47.682977, 1.579293, -49.262270),
        (0.3, 0.36787944, 1, 0.9999, -71.345695, -43.346944, 0.076601, -43.423545),
        (0.3, 0.36787944, 1, -0.5, -2.296197, -43.346944, 0.076601, -2.372798),
        (1.0, 0.2, 3, 0.2, -7.214121, -44.690844, -2.203201, -5.010919),
    ]
)


def policy(mean, std):
    return TanhGaussian(jnp.asarray(mean), jnp.log(jnp.asarray(std)))


class LogDensityIsSignTimesAction(NamedTuple):
    """A policy whose log-density is the action itself (sign 1) or its negative (-1).

    The smaller of the two boundary densities is then the lower boundary action, or minus the upper one.
    """

    gaussian: TanhGaussian
    sign: float

    mean = property(lambda self: self.gaussian.mean)
    log_std = property(lambda self: self.gaussian.log_std)
    mode = property(lambda self: self.gaussian.mode)

    def log_prob(self, actions):
        return self.sign * actions


@jax.jit
def boundary(mean, std, n):
    """C_n and the two boundary actions; every row has its own size n."""

    def one(mean, std, n):
        gaussian = policy(mean, std)
        upper, lower = (sign * boundary_log_prob(LogDensityIsSignTimesAction(gaussian, sign), n) for sign in (-1, 1))
        return boundary_log_prob(gaussian, n), upper, lower

    return jax.vmap(one)(mean, std, n)


@jax.jit
def slack(mean, std, n, actions):
    """The slack [B] of actions [B, A]; every row has its own size n."""
    one = lambda m, s, n, a: stochastic_slack(policy(m[None], s[None]), a[None], n)[0]  # noqa: E731
    return jax.vmap(one)(mean, std, n, actions)


def random_rows(count=200):
    """Means up to 4, standard deviations from 0.007 to 7, sizes from 1 to 10, clipped actions; A = 3."""
    rng = np.random.default_rng(0)
    means, stds = rng.uniform(-4.0, 4.0, (count, 3)), np.exp(rng.uniform(-5.0, 2.0, (count, 3)))
    return means, stds, rng.uniform(1.0, 10.0, count), rng.uniform(-0.9999, 0.9999, (count, 3))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_golden_boundaries(dtype):
    """In float32 near +-1 a rounded action moves its log-density, hence the relative 1e-3."""
    mean, std, n, upper, lower, density = BOUNDARIES.T
    with jax.enable_x64(dtype == np.float64):
        actual = jax.device_get(boundary(mean.astype(dtype), std.astype(dtype), n.astype(dtype)))
    np.testing.assert_allclose(actual[1], upper, atol=1e-6)
    np.testing.assert_allclose(actual[2], lower, atol=1e-6)
    np.testing.assert_allclose(actual[0], density, **({"atol": 1e-6} if dtype == np.float64 else {"rtol": 1e-3}))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_golden_slacks(dtype):
    mean, std, n, action, log_prob, floor, density, expected = SLACKS.T
    with jax.enable_x64(dtype == np.float64):
        actual = slack(*(x.astype(dtype) for x in (mean[:, None], std[:, None], n, action[:, None])))
        limits = {"atol": 1e-6} if dtype == np.float64 else {"rtol": 1e-3}
        np.testing.assert_allclose(actual, expected, **limits)
        # The table itself: max(log_p, floor) - C_n, six digits each.
        np.testing.assert_allclose(np.maximum(log_prob, floor) - density, expected, atol=2e-6)


def test_slack_is_the_mean_over_dimensions():
    """The first two golden rows as one action of two dimensions: (0.417880 - 49.262270) / 2 = -24.422195."""
    with jax.enable_x64(True):
        actual = slack(np.zeros((1, 2)), np.full((1, 2), 0.05), np.ones(1), np.array([[0.02, 0.9]]))
    np.testing.assert_allclose(actual, [-24.422195], atol=1e-6)


def test_boundary_actions_stay_in_reach():
    """Both are within 0.99999 and within 0.1 n of the mode, on its two sides, for any policy and n of 1 or more."""
    mean, std, n, _ = random_rows()
    with jax.enable_x64(True):
        _, upper, lower = jax.device_get(boundary(mean, std, n))
    for action in (upper, lower):
        assert np.all(np.abs(action) <= 0.99999)
        assert np.all(np.abs(action - np.tanh(mean)) <= 0.1 * n[:, None] + 1e-15)
    inside = np.abs(np.tanh(mean)) < 0.99999
    assert np.all((lower < np.tanh(mean))[inside] & (np.tanh(mean) < upper)[inside])
    # Each of the three limits is met somewhere: the border, the distance, the policy's own n std.
    border, reach = np.abs(upper) == 0.99999, np.isclose(upper - np.tanh(mean), 0.1 * n[:, None], rtol=1e-12)
    own = np.isclose(upper, np.tanh(mean + n[:, None] * std), rtol=1e-12)
    assert min(border.sum(), (reach & ~border).sum(), (own & ~reach & ~border).sum()) > 10


def test_at_the_size_of_the_floor_every_action_is_inside():
    """max(log p, C_10) - C_10 is never negative."""
    mean, std, _, actions = random_rows()
    with jax.enable_x64(True):
        values = np.asarray(slack(mean, std, np.full(len(mean), FLOOR_SIZE), actions))
    assert np.all(values >= 0.0)
    assert np.any(values > 0.0)


def test_mirrored_policy_and_action_have_the_same_slack():
    """tanh is odd: mean -> -mean and a -> -a change nothing; with mean 0 both boundary actions weigh the same."""
    mean, std, n, actions = random_rows()
    with jax.enable_x64(True):
        np.testing.assert_allclose(slack(-mean, std, n, -actions), slack(mean, std, n, actions), rtol=1e-9, atol=1e-9)
        _, upper, lower = boundary(0.0 * mean, std, n)
        np.testing.assert_allclose(lower, -upper, rtol=1e-12)
        gaussian = policy(0.0 * mean, std)
        np.testing.assert_allclose(gaussian.log_prob(lower), gaussian.log_prob(upper), rtol=1e-9)


@pytest.mark.parametrize(("std", "n", "drop"), [(0.05, 1.0, -0.49750), (0.01, 3.0, -4.49910), (1e-4, 2.0, -2.0)])
def test_narrow_policies_lose_half_n_squared(std, n, drop):
    """Without squashing and clips C_n is n^2 / 2 below the density at the mode.

    The rest is the Jacobian: at 0.05 -log(1 - tanh(0.05)^2) = 0.00250, -0.5 + 0.0025 = -0.4975.
    """
    with jax.enable_x64(True):
        at_mode = policy(0.0, std).log_prob(jnp.zeros(()))
        density = boundary(np.zeros(1), np.full(1, std), np.full(1, n))[0][0]
        assert float(density - at_mode) == pytest.approx(drop, abs=1e-5)


def test_wide_policies_have_every_action_inside():
    """The squashed density piles up at +-1: from a standard deviation of 1.314 on the floor C_10 exceeds C_1.

    Then no action whatever has a negative slack; just below, the border between +-0.1 and +-1 has.
    """
    actions = np.linspace(-0.9999, 0.9999, 201)[:, None]
    with jax.enable_x64(True):
        below, above = (
            np.asarray(slack(np.zeros((201, 1)), np.full((201, 1), std), np.ones(201), actions)) for std in (1.30, 1.33)
        )
    assert np.all(above > 0.0)
    assert np.min(below) < 0.0


def test_the_share_of_dimensions_with_every_action_inside():
    """Two of the six dimensions are wider than 1.314; at n = 10 no floor exceeds itself."""
    std = np.array([[0.5, 1.30, 1.33], [2.0, 0.1, 1.0]])
    with jax.enable_x64(True):
        assert float(floor_share(policy(np.zeros((2, 3)), std), jnp.asarray(1.0))) == pytest.approx(2 / 6)
        assert float(floor_share(policy(np.zeros((2, 3)), std), jnp.asarray(FLOOR_SIZE))) == 0.0


def test_extremes_stay_finite():
    """Saturated means, the narrowest and the widest policy, clipped actions, in float32."""
    grid = np.meshgrid([-12.0, -5.0, 0.0, 5.0, 12.0], np.exp([-20.0, 2.0]), [1.0, 10.0], [-0.9999, 0.0, 0.9999])
    mean, std, n, actions = (array.astype(np.float32).reshape(-1) for array in grid)
    assert np.all(np.isfinite(slack(mean[:, None], std[:, None], n, actions[:, None])))
