"""Targets and penalties of the value losses by hand and in their limit cases."""

import math
from statistics import NormalDist

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssar_jax.ops.distributions import TanhGaussian
from ssar_jax.ops.losses import conservative_difference, expectile_loss, soft_td_target, td_target

INFINITE = {"temperature": 1.0, "minimum": -math.inf, "maximum": math.inf}
LOG_2 = math.log(2.0)


@jax.jit
def difference(sampled, data, log_densities, temperature=1.0, minimum=-math.inf, maximum=math.inf):
    """One program per shape, whatever the numbers."""
    return conservative_difference(
        sampled, data, log_densities, temperature=temperature, minimum=minimum, maximum=maximum
    )


def random_values(seed=0):
    """[E, B, K] = [2, 3, 4] sampled values, [2, 3] of the data, [3, 4] log-densities."""
    rng = np.random.default_rng(seed)
    return tuple(rng.normal(size=shape).astype(np.float32) for shape in [(2, 3, 4), (2, 3), (3, 4)])


def test_soft_target_of_one_action_by_hand():
    """Row 1: 1 + 0.9 * (min(2, 3) - 0.5 * (-4)) = 4.6. Row 2 terminates: its reward -1, whatever follows."""
    rewards, masks = np.float32([1.0, -1.0]), np.float32([1.0, 0.0])
    values, log_prob = np.float32([[2.0, 50.0], [3.0, 60.0]]), np.float32([-4.0, 9.0])
    target = jax.jit(soft_td_target)
    np.testing.assert_allclose(target(rewards, masks, values, log_prob, 0.9, 0.5), [4.6, -1.0], rtol=1e-6)
    np.testing.assert_array_equal(
        target(rewards, masks, values, log_prob, 0.9, 0.0), jax.jit(td_target)(rewards, masks, values, 0.9)
    )


def test_soft_target_of_the_best_of_three_by_hand():
    """min over critics is (1, 4, 2), the best is the second action, and so is the log-density that counts.

    1 + 0.9 * (4 - 0.5 * 6) = 1.9; the third action would have more after its entropy, 2 - 0.5 * (-7), but the
    choice is made by value alone.
    """
    values = np.float32([[[1.0, 5.0, 2.0]], [[8.0, 4.0, 3.0]]])
    log_prob = np.float32([[0.0, 6.0, -7.0]])
    target = jax.jit(soft_td_target)(np.ones(1), np.ones(1), values, log_prob, 0.9, 0.5)
    np.testing.assert_allclose(target, [1.9], rtol=1e-6)


def test_more_actions_never_lower_the_target():
    """One action in a list of one is the plain target; of several the best is at least the first."""
    (values, _, log_prob), rewards = random_values(), np.zeros(3, np.float32)
    target = jax.jit(lambda v, p: soft_td_target(rewards, np.ones(3, np.float32), v, p, 0.9, 0.0))
    plain = target(values[..., 0], log_prob[:, 0])
    np.testing.assert_array_equal(target(values[..., :1], log_prob[:, :1]), plain)
    best = np.asarray(target(values, log_prob))
    assert np.all(best >= plain)
    assert np.any(best > plain)


def test_difference_by_hand():
    """X = (1, 2) - (0.5, -0.5) = (0.5, 2.5): log(e^0.5 + e^2.5) = 2.5 + log(1 + e^-2) = 2.626928; minus 0.7."""
    arguments = np.float32([[[1.0, 2.0]]]), np.float32([[0.7]]), np.float32([[0.5, -0.5]])
    gap, soft_maximum = difference(*arguments)
    assert float(soft_maximum[0, 0]) == pytest.approx(2.626928, abs=1e-6)
    assert float(gap[0, 0]) == pytest.approx(1.926928, abs=1e-6)


def test_difference_without_importance_sampling_by_hand():
    """The data's value joins the plain ones: log(e^1 + e^2 + e^0.7) = 2 + log(1 + e^-1 + e^-1.3) = 2.494947."""
    gap, soft_maximum = difference(np.float32([[[1.0, 2.0]]]), np.float32([[0.7]]), None)
    assert float(soft_maximum[0, 0]) == pytest.approx(2.494947, abs=1e-6)
    assert float(gap[0, 0]) == pytest.approx(1.794947, abs=1e-6)


@pytest.mark.parametrize(("action_size", "above"), [(3, 5.480639), (6, 7.560080), (8, 8.946375)])
def test_a_constant_value_under_uniform_densities(action_size, above):
    """Every term is q + A log 2: logsumexp = q + A log 2 + log 3K with K = 10, log 30 = 3.401197.

    Without importance sampling q + log(3K + 1), log 31 = 3.433987.
    """
    values, data = np.full((2, 1, 30), -3.5, np.float32), np.full((2, 1), -3.5, np.float32)
    densities = np.full((1, 30), -action_size * LOG_2, np.float32)
    np.testing.assert_allclose(difference(values, data, densities)[0], above, atol=3e-6)
    np.testing.assert_allclose(difference(values, data, None)[0], 3.433987, atol=3e-6)


def test_samples_of_any_policy_estimate_the_same_integral():
    """Q(a) = w a: the mean of e^X is the integral of e^(w a) over (-1, 1), 2 sinh(w) / w, for each kind of sample.

    For w = (0.7, -1.3, 0.2) the logarithms 0.773520, 0.960459 and 0.699805 sum to 2.433784. The noise is at the
    middles of equally likely cells, so that only a little beyond the outermost is missed.
    """
    w = np.array([0.7, -1.3, 0.2])
    count = 20_000
    middles = (np.arange(count) + 0.5) / count
    noise = np.array([NormalDist().inv_cdf(u) for u in middles])[None]

    @jax.jit
    def soft_maxima(w):
        uniform = jnp.asarray(2.0 * middles - 1.0)[None]
        blocks = [(uniform, jnp.full((1, count), -LOG_2))]
        for mean, std in [(0.0, 2.0), (0.5, 1.5)]:
            policy = TanhGaussian(jnp.full((1, 1, 1), mean), jnp.full((1, 1, 1), math.log(std)))
            actions, log_prob = policy.sample(noise[..., None])
            blocks.append((actions[..., 0], log_prob))
        blocks.append(tuple(jnp.concatenate(parts, axis=1) for parts in zip(*blocks, strict=True)))
        return [
            conservative_difference((w[:, None] * actions)[None], jnp.zeros((1, 3)), log_prob, **INFINITE)[1][0]
            - math.log(actions.shape[1])
            for actions, log_prob in blocks
        ]

    for soft_maximum in soft_maxima(w):
        np.testing.assert_allclose(soft_maximum, np.log(2.0 * np.sinh(w) / w), atol=1e-3)
        assert float(np.sum(soft_maximum)) == pytest.approx(2.433784, abs=2e-3)


def test_temperature_of_the_logsumexp():
    """T logsumexp of K equal terms x is x + T log K; the limit T -> 0 is the maximum."""
    equal_terms, zeros = np.full((1, 1, 4), 2.0, np.float32), np.zeros((1, 4), np.float32)
    data = np.zeros((1, 1), np.float32)
    for temperature in (0.5, 1.0, 3.0):
        value = difference(equal_terms, data, zeros, temperature)[0]
        np.testing.assert_allclose(value, 2.0 + temperature * math.log(4.0), rtol=1e-6)
    rising = np.float32([[[1.0, 2.0, 3.0, 5.0]]])
    np.testing.assert_allclose(difference(rising, data, zeros, 1e-2)[0], 5.0, atol=1e-5)


def test_a_constant_added_to_the_values_cancels():
    sampled, data, densities = random_values()
    for log_densities in (densities, None):
        before, after = (difference(sampled + c, data + c, log_densities)[0] for c in np.float32([0.0, 8.0]))
        np.testing.assert_allclose(after, before, atol=3e-6)


def test_each_sample_is_clipped_before_any_mean():
    """One term per row: differences 5, 1 and -7, clipped to [-2, 3]: 3, 1, -2, whose mean 2/3 is no clip of -1/3."""
    sampled, data = np.float32([[[5.0], [1.0], [-7.0]]]), np.zeros((1, 3), np.float32)
    gap, soft_maximum = difference(sampled, data, np.zeros((3, 1), np.float32), 1.0, -2.0, 3.0)
    np.testing.assert_allclose(gap, [[3.0, 1.0, -2.0]], atol=1e-6)
    np.testing.assert_allclose(soft_maximum, [[5.0, 1.0, -7.0]], atol=1e-6)


def test_gradient_is_the_softmax_minus_the_data_and_zero_behind_a_clip():
    """d D / d sampled = softmax(X / T), which sums to 1; d D / d data = -1; both 0 where the clip is active."""
    sampled, data, densities = random_values()

    @jax.jit
    def gradients(minimum, maximum):
        def total(sampled, data):
            return jnp.sum(difference(sampled, data, densities, 2.0, minimum, maximum)[0])

        return jax.grad(total, argnums=(0, 1))(sampled, data)

    by_sample, by_data = gradients(-np.inf, np.inf)
    weights = np.exp((sampled - densities) / 2.0)
    np.testing.assert_allclose(by_sample, weights / weights.sum(axis=-1, keepdims=True), atol=1e-6)
    np.testing.assert_array_equal(by_data, -np.ones((2, 3)))
    for low, high in [(100.0, 200.0), (-200.0, -100.0), (0.5, 0.5)]:
        for leaf in gradients(low, high):
            np.testing.assert_array_equal(leaf, np.zeros_like(leaf))


def test_a_clip_to_one_value_leaves_that_value():
    sampled, data, densities = random_values()
    np.testing.assert_array_equal(difference(sampled, data, densities, 1.0, 0.5, 0.5)[0], np.full((2, 3), 0.5))


def test_large_values_do_not_overflow():
    """e^1e6 is no float: the maximum is taken out first. A row of +-1e6 has a logsumexp of 1e6."""
    sampled = np.float32([[[1e6, -1e6, 0.0]], [[-1e6, -1e6, -1e6]]])
    data, densities = np.float32([[0.0], [0.0]]), np.zeros((1, 3), np.float32)
    with_gradient = jax.jit(jax.value_and_grad(lambda s: jnp.sum(difference(s, data, densities)[0])))
    value, gradient = with_gradient(sampled)
    assert float(value) == pytest.approx(1e6 - 1e6 + math.log(3.0), abs=0.1)
    np.testing.assert_allclose(gradient, [[[1.0, 0.0, 0.0]], [[1 / 3, 1 / 3, 1 / 3]]], atol=1e-6)


@pytest.mark.parametrize("expectile", [0.5, 0.7, 0.9])
def test_expectile_loss_by_hand(expectile):
    """u = 1 costs the expectile, u = -1 what is left to 1, u = -3 nine times as much; one half is half of u^2."""
    loss = jax.jit(expectile_loss)(np.float32([1.0, -1.0, 2.0, -3.0, 0.0]), expectile)
    rest = 1.0 - expectile
    np.testing.assert_allclose(loss, [expectile, rest, 4.0 * expectile, 9.0 * rest, 0.0], rtol=1e-6)


def test_slope_vanishes_at_the_expectile():
    """Targets 0 and 1, equally often: 2 * 0.7 * (1 - v) = 2 * 0.3 * v at v = 0.7; below it v is pulled up."""

    @jax.jit
    @jax.vmap
    def slope(v):
        return jax.grad(lambda v: jnp.mean(expectile_loss(jnp.array([0.0, 1.0]) - v, 0.7)))(v)

    # At 0.5: mean of 2 * 0.3 * 0.5 and -2 * 0.7 * 0.5, that is (0.3 - 0.7) / 2 = -0.2.
    np.testing.assert_allclose(slope(np.float32([0.7, 0.5, 0.9])), [0.0, -0.2, 0.2], atol=1e-6)
