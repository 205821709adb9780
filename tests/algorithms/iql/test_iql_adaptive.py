"""IQL(SA): the coefficient divides the temperature, and trains only offline."""

import jax
import numpy as np
import pytest

from ssar_jax.algorithms import iql
from ssar_jax.coefficients.constant import constant
from ssar_jax.coefficients.state_adaptive import state_adaptive
from tests.algorithms.iql.small_iql import BATCH, SIZES, make_state
from tests.algorithms.states import with_params
from tests.algorithms.td3_bc.small_td3_bc import assert_close, equal, make_batch, to_rounding_or_exactly

STATE = jax.tree.map(lambda leaf: leaf.astype(np.float32) if leaf.dtype == np.float64 else leaf, make_state())


def adaptive(**options):
    """A small beta(s) around 1."""
    return state_adaptive(1.0, hidden_sizes=(3,), **options)


def run(coefficient, state, phase="offline"):
    """One update in single precision."""
    update = jax.jit(iql.iql(2, coefficient, config=SIZES).update, static_argnames="phase")
    return jax.device_get(update(state, make_batch(0)[0], (), step=1, annealing=1.0, phase=phase))


@jax.jit
def _constant(value, temperature, annealing):
    algorithm = iql.iql(2, constant(value), config=SIZES._replace(temperature=temperature))
    return algorithm.update(STATE, make_batch(0)[0], (), step=1, annealing=annealing, phase="offline")


def run_constant(value, temperature=3.0, annealing=1.0):
    """One update with a constant coefficient; one program for all numbers, so that equal numbers give equal bits."""
    return jax.device_get(_constant(*map(np.float32, (value, temperature, annealing))))


@pytest.fixture(scope="module")
def adaptive_state():
    """Random networks around a coefficient network whose last kernel is zero: about 1 in all states."""
    start = adaptive().init(jax.random.key(0), np.float32(BATCH.observations))
    params = {
        "layer0": {"kernel": np.ones((2, 3), np.float32), "bias": np.ones(3, np.float32)},
        "layer1": {"kernel": np.zeros((3, 1), np.float32), "bias": np.float32([0.6931])},
    }
    return STATE._replace(coefficient=with_params(start, network=params))


@to_rounding_or_exactly(1e-6)
@pytest.mark.parametrize("phase", ["offline", "online"])
def test_a_frozen_coefficient_is_a_constant(adaptive_state, phase, tolerance):
    """beta(s) = 1.5 sigmoid(0.6931) in all states; at a rate of 0 it stays that constant. A constant of 1 is IQL."""
    observations = np.float32(BATCH.observations)
    frozen = adaptive(learning_rate=0.0, mask_regularizer=False)
    (value,) = np.unique(frozen.apply(adaptive_state.coefficient, observations))
    assert value == pytest.approx(1.0, rel=2e-5)
    after, metrics = run(frozen, adaptive_state, phase)
    base, base_metrics = run(constant(float(value)), STATE, phase)
    assert_close(after._replace(coefficient=()), base, atol=tolerance, rtol=tolerance)
    assert metrics["actor/loss"].total == pytest.approx(float(base_metrics["actor/loss"].total), rel=tolerance, abs=0.0)
    np.testing.assert_array_equal(iql.PLAIN.apply((), observations), np.ones(len(observations)))


def test_the_coefficient_divides_the_temperature():
    """A coefficient of 2 halves the temperature, and so does 4 annealed by a half; the smallest coefficient is 1e-3."""
    half, _ = run_constant(2.0)
    assert equal(half, run_constant(1.0, temperature=1.5)[0])
    assert equal(half, run_constant(4.0, annealing=0.5)[0])
    assert not equal(half, run_constant(1.0)[0])
    gone, metrics = run_constant(1.0, annealing=0.0)
    assert equal(gone, run_constant(1.0, temperature=np.float32(3.0) / np.float32(1e-3))[0])
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(gone))
    # Each weight is exp(-large) = 0 or 100, so their mean is 100 times the share of positive advantages.
    share = metrics["value/positive_share"].total
    assert 0.0 < share < 1.0
    assert metrics["actor/weight_mean"].total == pytest.approx(100.0 * share, rel=1e-5)


def test_the_coefficient_trains_offline_alone(adaptive_state):
    """The region of n = 1 has the size (1 * 0.1)^2 = 0.01; random means are farther from the data, so beta rises."""
    coefficient = adaptive(learning_rate=0.1, mask_coefficient=False, mask_regularizer=False)
    after, metrics = run(coefficient, adaptive_state)
    assert metrics["coefficient/negative_share"].total > 0.5
    before, now = (state.coefficient.network.params["layer1"]["bias"] for state in (adaptive_state, after))
    assert now > before
    after, metrics = run(coefficient, adaptive_state, "online")
    assert equal(after.coefficient, adaptive_state.coefficient)
    assert "coefficient/loss" not in metrics
