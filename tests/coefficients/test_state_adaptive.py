"""How beta(s) learns: its loss, the direction it moves in, and the masks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssar_jax.coefficients.state_adaptive import state_adaptive
from ssar_jax.networks.coefficient import CoefficientNet
from ssar_jax.ops.trees import averages

OBSERVATIONS = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
NETWORK = CoefficientNet(0.4, hidden_sizes=(8,), last_kernel_init="xavier")


def make(**options):
    """The coefficient whose network is `NETWORK`."""
    return state_adaptive(0.4, hidden_sizes=(8,), last_kernel_init="xavier", **options)


def initial_state(coefficient):
    return jax.jit(coefficient.init)(jax.random.key(0), OBSERVATIONS)


def run(coefficient, state, slack, trusted, num_updates):
    """Repeats one update on a fixed slack; the program is compiled once per batch size and coefficient."""

    def update(step, state):
        return coefficient.update(state, observations, lambda n: (slack, {}), trusted, step)[0]

    observations = np.resize(OBSERVATIONS, (*slack.shape, 3))
    return jax.lax.fori_loop(1, num_updates + 1, update, state)


@pytest.fixture(scope="module")
def learning():
    """A coefficient with a rate at which 200 updates show where it goes, and its compiled runs."""
    coefficient = make(learning_rate=1e-2)
    compiled = jax.jit(lambda *arguments: run(coefficient, *arguments))
    return coefficient, initial_state(coefficient), compiled


def beta(state):
    return np.asarray(jax.jit(NETWORK.apply)({"params": state.network.params}, OBSERVATIONS))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_falls_where_actions_lie_inside_and_rises_where_outside(learning, sign):
    """Positive slack lowers the coefficient, negative slack raises it, and it stays within [0, 1.5 * 0.4]."""
    _, state, compiled = learning
    slack, trusted = np.full(6, sign, np.float32), np.ones(6, np.float32)
    before, after = beta(state), beta(compiled(state, slack, trusted, 200))
    assert np.all(sign * (after - before) < -0.02)
    assert np.all((after >= 0.0) & (after <= 0.6 * (1 + 1e-6)))


def test_adapts_to_the_state(learning):
    """Half of the states have slack 1, the others -1: the coefficient separates them."""
    _, state, compiled = learning
    slack = np.where(np.arange(6) < 3, 1.0, -1.0).astype(np.float32)
    after = beta(compiled(state, slack, np.ones(6, np.float32), 200))
    assert np.max(after[:3]) < np.min(after[3:])


@pytest.mark.parametrize("silenced_by", ["mask", "slack"])
def test_without_a_trusted_row_or_slack_nothing_moves_a_bit(learning, silenced_by):
    """Zero gradients from a fresh Adam state: its moments stay 0 and every step is 0 / (0 + 1e-8)."""
    _, state, compiled = learning
    silent, loud = np.zeros(6, np.float32), np.ones(6, np.float32)
    slack, trusted = (loud, silent) if silenced_by == "mask" else (silent, loud)
    after = compiled(state, slack, trusted, 50)
    jax.tree.map(np.testing.assert_array_equal, after.network.params, state.network.params)
    moments = after.network.opt_state[1][0]
    assert int(moments.count) == 50  # a zero gradient still counts as a step
    assert all(np.all(leaf == 0.0) for leaf in jax.tree.leaves((moments.mu, moments.nu)))


def test_parameters_move_at_the_published_rate():
    """3e-8 is about the distance of neighboring float32 numbers, yet every kernel and hidden bias moves.

    Not the last bias: at 0.6931 its neighbors are 6e-8 apart, so that a step may round to nothing.
    """
    coefficient = make(learning_rate=3e-8)
    state = initial_state(coefficient)
    after = jax.jit(lambda *arguments: run(coefficient, *arguments))(
        state, np.ones(6, np.float32), np.ones(6, np.float32), 20
    )
    changed = jax.tree.map(lambda a, b: bool(np.any(a != b)), after.network.params, state.network.params)
    assert changed["layer0"] == {"kernel": True, "bias": True}
    assert changed["layer1"]["kernel"]
    assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(after.network.params))


def metrics_of(coefficient, state, rows, slack, trusted):
    """The metrics of one update on the given rows of the observations."""
    observations = OBSERVATIONS[list(rows)]

    @jax.jit
    def update(state, slack, trusted):
        return coefficient.update(state, observations, lambda n: (slack, {}), trusted, jnp.int32(1))[1]

    metrics = update(state, np.float32(slack), np.float32(trusted))
    return {name.removeprefix("coefficient/"): float(average.total) for name, average in metrics.items()}, metrics


def test_the_loss_divides_by_all_rows(learning):
    """(1 / B) sum_i t_i slack_i beta(s_i): duplicates leave it as it is, as many untrusted rows halve it."""
    coefficient, state, _ = learning
    slack = [0.5, -1.0, 2.0]
    once, _ = metrics_of(coefficient, state, range(3), slack, [1, 1, 1])
    assert once["loss"] == pytest.approx(np.mean(np.array(slack) * beta(state)[:3]), rel=1e-5)
    doubled, _ = metrics_of(coefficient, state, [0, 1, 2] * 2, slack * 2, [1] * 6)
    diluted, _ = metrics_of(coefficient, state, range(6), [*slack, 7.0, 7.0, 7.0], [1, 1, 1, 0, 0, 0])
    assert doubled["loss"] == pytest.approx(once["loss"], rel=1e-5)
    assert diluted["loss"] == pytest.approx(0.5 * once["loss"], rel=1e-5)
    assert diluted["grad_norm"] == pytest.approx(0.5 * once["grad_norm"], rel=1e-5)
    # The schedule's mean is over the trusted rows alone: (0.5 - 1 + 2) / 3.
    assert diluted["slack_mean"] == pytest.approx(0.5)


def test_metrics_by_hand(learning):
    """Slack (0.5, -1, 2, -3), the last row untrusted: mean (0.5 - 1 + 2) / 3, half negative, 3/4 selected."""
    coefficient, state, _ = learning
    values, metrics = metrics_of(coefficient, state, range(4), [0.5, -1.0, 2.0, -3.0], [1, 1, 1, 0])
    assert values["slack_mean"] == pytest.approx(0.5)
    assert (values["negative_share"], values["selected_fraction"]) == (0.5, 0.75)
    assert (values["n"], values["active"]) == (1.0, 1.0)
    expected = beta(state)[:4]
    assert [values[f"beta_{kind}"] for kind in ("min", "mean", "max")] == pytest.approx(
        [expected.min(), expected.mean(), expected.max()], rel=1e-5
    )
    assert all(float(average.weight) == 1.0 for average in metrics.values())


def test_mean_slack_does_not_occur_without_a_trusted_row(learning):
    coefficient, state, _ = learning
    _, metrics = metrics_of(coefficient, state, range(4), [1.0] * 4, [0] * 4)
    assert float(metrics["coefficient/slack_mean"].weight) == 0.0
    assert float(metrics["coefficient/selected_fraction"].total) == 0.0
    assert all(np.isfinite(average.total) for average in metrics.values())


def test_the_policy_gets_no_gradient(learning):
    """The slack comes from the policy; the coefficient's loss must not train it."""
    coefficient, state, _ = learning

    @jax.jit
    @jax.grad
    def gradient(policy):
        slack_fn = lambda n: (policy * n * jnp.ones(6), {})  # noqa: E731
        after, metrics = coefficient.update(state, OBSERVATIONS, slack_fn, jnp.ones(6), jnp.int32(1))
        return metrics["coefficient/loss"].total + sum(jnp.sum(leaf) for leaf in jax.tree.leaves(after.network.params))

    assert float(gradient(jnp.float32(0.3))) == 0.0


def test_what_the_trust_region_reports_is_logged(learning):
    coefficient, state = learning[:2]
    slack_fn = lambda n: (jnp.ones(6), averages({"coefficient/size": n}))  # noqa: E731
    metrics = coefficient.update(state, OBSERVATIONS, slack_fn, np.ones(6, np.float32), jnp.int32(1))[1]
    assert float(metrics["coefficient/size"].total) == float(state.n)


def test_the_two_masks_are_independent(learning):
    """`mask_coefficient` decides about training alone, `mask_regularizer` about the weight alone."""
    state = learning[1]
    some = np.float32([1, 0, 1, 0, 0, 1])
    for mask_coefficient in (True, False):
        for mask_regularizer in (True, False):
            coefficient = make(mask_coefficient=mask_coefficient, mask_regularizer=mask_regularizer)

            @jax.jit
            def both(trusted, coefficient=coefficient):
                slack_fn = lambda n: (jnp.arange(6.0) - 2.0, {})  # noqa: E731
                metrics = coefficient.update(state, OBSERVATIONS, slack_fn, trusted, jnp.int32(1))[1]
                return metrics["coefficient/loss"].total, coefficient.weight(state, OBSERVATIONS, trusted, 1.0)

            (loss_all, weight_all), (loss_some, weight_some) = both(np.ones(6, np.float32)), both(some)
            assert bool(loss_all != loss_some) is mask_coefficient
            assert bool(np.any(weight_all != weight_some)) is mask_regularizer
            if mask_regularizer:
                np.testing.assert_array_equal(weight_some, weight_all * some)
