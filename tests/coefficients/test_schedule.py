"""The size n of the trust region: when it grows, when it stops."""

import jax
import numpy as np
import pytest

from ssar_jax.coefficients.state_adaptive import state_adaptive

PERIOD, STEPS = 3, 40
OUTSIDE, INSIDE = -1.0, 1.0


def tracer(n_start, n_end, **options):
    """A compiled function from slack and trusted rows of every update to n and activity after every update."""
    coefficient = state_adaptive(1.0, hidden_sizes=(), n_start=n_start, n_end=n_end, n_period=PERIOD, **options)
    observations = np.zeros((2, 1), np.float32)

    def one(state, inputs):
        step, slack, trusted = inputs
        state, _ = coefficient.update(state, observations, lambda n: (slack, {}), trusted, step)
        return state, (state.n, state.active)

    @jax.jit
    def trace(slack, trusted):
        steps = np.arange(1, STEPS + 1)
        return jax.lax.scan(one, coefficient.init(jax.random.key(0), observations), (steps, slack, trusted))[1]

    return lambda slack, trusted: jax.device_get(trace(slack, trusted))


@pytest.fixture(scope="module")
def trace():
    return tracer(1.0, 3.0)


def rows(value):
    """[STEPS, 2] of one value."""
    return np.full((STEPS, 2), value, np.float32)


def test_grows_in_ten_steps_at_multiples_of_the_period(trace):
    """1.0 for updates 1 and 2, 1.2 after 3 to 5, ..., 3.0 from update 30 on."""
    n, active = trace(rows(OUTSIDE), rows(1.0))
    expected = [min(1.0 + 0.2 * (step // PERIOD), 3.0) for step in range(1, STEPS + 1)]
    np.testing.assert_allclose(n, expected, rtol=1e-6)
    assert n[-1] == 3.0  # the cap is exact, whatever ten float32 additions of 0.2 give
    assert np.all(active)


def test_stops_for_good(trace):
    """Inside on average at update 6, outside again afterwards: n keeps the 1.2 it had from update 3."""
    slack = rows(OUTSIDE)
    slack[5] = INSIDE
    n, active = trace(slack, rows(1.0))
    np.testing.assert_allclose(n, [1.0] * 2 + [1.2] * (STEPS - 2), rtol=1e-6)
    np.testing.assert_array_equal(active, [True] * 5 + [False] * (STEPS - 5))


def test_stops_at_the_first_test(trace):
    n, active = trace(rows(INSIDE), rows(1.0))
    np.testing.assert_array_equal(n, np.ones(STEPS))
    np.testing.assert_array_equal(active, [True] * 2 + [False] * (STEPS - 2))


def test_looks_only_when_due(trace):
    """Inside at every update but the multiples of three: never seen, so n grows all the way."""
    slack = rows(INSIDE)
    slack[PERIOD - 1 :: PERIOD] = OUTSIDE
    n, active = trace(slack, rows(1.0))
    assert n[-1] == 3.0
    assert active[-1]


def test_no_slack_at_all_is_not_inside(trace):
    """A mean of exactly 0 is not above 0: n grows."""
    assert trace(rows(0.0), rows(1.0))[0][-1] == 3.0


def test_without_a_trusted_row_n_grows(trace):
    """There is no mean to test; untrusted rows far inside do not count."""
    n, active = trace(rows(INSIDE), rows(0.0))
    assert n[-1] == 3.0
    assert active[-1]


def test_trusted_rows_alone_decide(trace):
    """Rows at -1 (trusted) and +5 (not): -1 is the mean, n grows. The other way round it stops."""
    slack = np.tile(np.float32([-1.0, 5.0]), (STEPS, 1))
    trusted = np.tile(np.float32([1.0, 0.0]), (STEPS, 1))
    assert trace(slack, trusted)[0][-1] == 3.0
    assert trace(slack, 1.0 - trusted)[0][-1] == 1.0


def test_all_rows_decide_without_the_mask():
    """(-1 + 5) / 2 = 2 is inside although the only trusted row is outside."""
    trace = tracer(1.0, 3.0, mask_coefficient=False)
    slack, trusted = np.tile(np.float32([[-1.0, 5.0], [1.0, 0.0]])[:, None], (STEPS, 1))
    assert trace(slack, trusted)[0][-1] == 1.0


def test_equal_ends_keep_n_constant():
    n, active = tracer(5.0, 5.0)(rows(OUTSIDE), rows(1.0))
    np.testing.assert_array_equal(n, np.full(STEPS, 5.0))
    assert np.all(active)


def test_number_of_increments():
    """From 1 to 1.5 in 2 steps: 1.25, 1.5, then no further."""
    n, _ = tracer(1.0, 1.5, n_increments=2)(rows(OUTSIDE), rows(1.0))
    np.testing.assert_array_equal(n[[1, 2, 5, 8, -1]], [1.0, 1.25, 1.5, 1.5, 1.5])


def test_slack_belongs_to_the_size_before_growth():
    """The slack function gets n as it was before the test; the grown n acts from the next update on."""
    coefficient = state_adaptive(1.0, hidden_sizes=(), n_period=1)
    observations = np.zeros((2, 1), np.float32)

    @jax.jit
    def update(key):
        state = coefficient.init(key, observations)
        return coefficient.update(state, observations, lambda n: (np.float32([-1, -1]) * n, {}), np.ones(2), 1)

    state, metrics = update(jax.random.key(0))
    assert float(metrics["coefficient/slack_mean"].total) == -1.0  # -n at n = 1
    assert float(metrics["coefficient/n"].total) == 1.0
    assert float(state.n) == pytest.approx(1.2)
