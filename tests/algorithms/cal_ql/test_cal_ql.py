"""Cal-QL: whole updates against NumPy, the bound by hand, and the limits in which it is CQL."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssar_jax.algorithms import cql
from ssar_jax.algorithms.cal_ql import cal_ql
from ssar_jax.algorithms.conservative import bounded_below
from ssar_jax.coefficients.constant import constant
from ssar_jax.coefficients.state_adaptive import state_adaptive
from ssar_jax.types import Batch
from tests.algorithms.cql import small_cql
from tests.algorithms.cql.small_cql import BETA, NUMBERS, ROWS, make_batch, make_draws, make_state, sample
from tests.algorithms.td3_bc.small_td3_bc import assert_close, equal
from tests.data.helpers import user_error
from tests.networks.numpy_networks import Adam, as_numpy, critic, gradient, norm, polyak

SETTINGS = {name: number for name, number in NUMBERS.items() if name in cql.CQLConfig._fields}
LOCOMOTION, ANTMAZE = (config._replace(**SETTINGS) for config in (small_cql.LOCOMOTION, small_cql.ANTMAZE))


def batch_with_returns(seed=0):
    """Returns around the values of the policy's actions, so that some are below their bound and some above."""
    returns = np.random.default_rng(10 + seed).normal(scale=0.5, size=ROWS)
    return make_batch(seed)._replace(extras={"returns_to_go": returns})


class NumpyCalQL:
    """The published algorithm, written from its formulas; derivatives come from the losses by complex steps."""

    def __init__(self, state, config):
        self.config, self.actor = config, as_numpy(state.actor.params)
        self.log_alpha, self.log_multiplier = float(state.temperature.params), float(state.multiplier.params)
        self.critics, self.targets = list(as_numpy(state.critics.params)), list(as_numpy(state.target_critics))
        self.actor_adam, self.alpha_adam = (Adam(x, config.actor_learning_rate) for x in (self.actor, np.zeros(())))
        self.multiplier_adam = Adam(np.zeros(()), config.critic_learning_rate)
        self.critic_adams = [Adam(params, config.critic_learning_rate) for params in self.critics]

    def update(self, batch, draws):
        b, config, alpha = as_numpy(batch), self.config, np.exp(self.log_alpha)
        target = b.rewards + config.discount * b.masks * self.next_values(b, draws, alpha)
        bounds = b.extras["returns_to_go"][:, None]
        multiplier = np.exp(self.log_multiplier) if config.lagrange else 1.0
        gap = config.target_gap if config.lagrange else 0.0
        following, next_log_prob = sample(self.actor, b.next_observations, draws.following)
        current, log_prob = sample(self.actor, b.observations, draws.current)
        repeated = np.repeat(b.observations[:, None], config.num_actions, axis=1)

        def calibrated(params, actions):
            values = critic(params, repeated, actions)
            return np.where(values.real < bounds, bounds, values)

        def difference(params):
            terms = [
                critic(params, repeated, draws.uniform) + 2.0 * np.log(2.0),
                calibrated(params, following) - next_log_prob,
                calibrated(params, current) - log_prob,
            ]
            return np.log(np.sum(np.exp(np.concatenate(terms, axis=1)), axis=1)) - critic(
                params, b.observations, b.actions
            )

        def squared_error(params):
            return np.mean((critic(params, b.observations, b.actions) - target) ** 2)

        def critic_loss(params):
            return squared_error(params) + multiplier * BETA * np.mean(difference(params) - gap)

        below = [critic(p, repeated, a) < bounds for p in self.critics for a in (following, current)]
        assert 0.1 < np.mean(below) < 0.9
        metrics = {"critic/loss": sum(map(critic_loss, self.critics)), "critic/bounded_share": np.mean(below)}
        gradients = [gradient(critic_loss, params) for params in self.critics]
        metrics |= {f"critic/grad_norm_{i + 1}": norm(g) for i, g in enumerate(gradients)}
        multiplier_gradient = -0.5 * multiplier * sum(BETA * np.mean(difference(p) - gap) for p in self.critics)

        self.step_actor(b, draws, alpha)
        for i, adam in enumerate(self.critic_adams):
            self.critics[i] = adam.step(self.critics[i], gradients[i])
            self.targets[i] = polyak(self.targets[i], self.critics[i], config.tau)
        if config.lagrange:
            self.log_multiplier = self.multiplier_adam.step(self.log_multiplier, multiplier_gradient)
        return metrics

    def next_values(self, b, draws, alpha):
        """The smaller target value of the next action, with max backup of the best of K, minus alpha log pi."""
        actions, log_prob = sample(self.actor, b.next_observations, draws.target_actions)
        if not self.config.max_backup:
            return np.minimum(*(critic(p, b.next_observations, actions) for p in self.targets))
        repeated = np.repeat(b.next_observations[:, None], self.config.num_actions, axis=1)
        values = np.minimum(*(critic(p, repeated, actions) for p in self.targets))
        rows, best = np.arange(ROWS), np.argmax(values, axis=1)
        return values[rows, best] - alpha * log_prob[rows, best] * self.config.backup_entropy

    def step_actor(self, b, draws, alpha):
        def loss(params):
            actions, log_prob = sample(params, b.observations, draws.actions)
            first, second = (critic(p, b.observations, actions) for p in self.critics)
            return np.mean(alpha * log_prob - np.where(first.real < second.real, first, second))

        log_prob = sample(self.actor, b.observations, draws.actions)[1]
        self.actor = self.actor_adam.step(self.actor, gradient(loss, self.actor))
        self.log_alpha = self.alpha_adam.step(self.log_alpha, -np.mean(log_prob - 2.0))  # the target entropy is -2


@functools.cache
def compiled(name):
    """Compiled updates in double precision, each once for all tests."""
    algorithms = {
        "cal_ql": lambda: cal_ql(2, constant(BETA), LOCOMOTION),
        "antmaze": lambda: cal_ql(2, constant(BETA), ANTMAZE, failure_reward=-5.0),
        "offline_only": lambda: cal_ql(2, constant(BETA), LOCOMOTION, bounds_online=False),
        "cql": lambda: cql.cql(2, constant(BETA), LOCOMOTION),
        "sa": lambda: cal_ql(2, at_base(), LOCOMOTION),
    }
    return jax.jit(algorithms[name]().update, static_argnames="phase")


def at_base():
    """beta(s) = 1.5 * 2 * sigmoid(z(s))."""
    return state_adaptive(BETA, hidden_sizes=(3,), learning_rate=0.01, mask_regularizer=False)


def updated(name, state, batch, draws, phase="offline"):
    with jax.enable_x64(True):
        state, metrics = compiled(name)(state, batch, draws, step=jnp.int32(1), annealing=1.0, phase=phase)
        return jax.device_get(state), {name: float(average.total) for name, average in metrics.items()}


@pytest.mark.parametrize("name", ["cal_ql", "antmaze"])
def test_three_updates_agree_with_numpy(name):
    """Without and with the Lagrange multiplier, max backup and the entropy in the target."""
    antmaze = name == "antmaze"
    state = make_state(small_cql.antmaze)
    reference = NumpyCalQL(state, ANTMAZE if antmaze else LOCOMOTION)
    for step in range(3):
        batch, draws = batch_with_returns(step), make_draws(antmaze, seed=step)
        state, metrics = updated(name, state, batch, draws)
        for key, expected in reference.update(batch, draws).items():
            assert metrics[key] == pytest.approx(expected, rel=1e-10), key
        assert_close(state.critics.params, tuple(reference.critics), atol=1e-10)
        assert_close(state.target_critics, tuple(reference.targets), atol=1e-10)
        assert_close(state.actor.params, reference.actor, atol=1e-10)
        assert float(state.temperature.params) == pytest.approx(reference.log_alpha, abs=1e-10)
        assert float(state.multiplier.params) == pytest.approx(reference.log_multiplier, abs=1e-10)


def test_the_bound_by_hand():
    """K = 1: the uniform action keeps -3; of the policy's, 1 is below the bound 2 and 5 above it. Gradients 1, 0, 1."""
    values = jnp.array([[[-3.0, 1.0, 5.0]]])
    bounds = jnp.array([2.0])
    np.testing.assert_array_equal(bounded_below(values, bounds), [[[-3.0, 2.0, 5.0]]])
    slopes = jax.grad(lambda values: jnp.sum(bounded_below(values, bounds)))(values)
    np.testing.assert_array_equal(slopes, [[[1.0, 0.0, 1.0]]])


def with_returns(value):
    return make_batch()._replace(extras={"returns_to_go": np.full(ROWS, value)})


def test_without_a_bound_it_is_cql():
    """To the rounding of two compiled programs."""
    state, draws = make_state(small_cql.antmaze), make_draws()
    expected, expected_metrics = updated("cql", state, with_returns(-np.inf), draws)
    after, metrics = updated("cal_ql", state, with_returns(-np.inf), draws)
    assert_close(after, expected, atol=1e-14)
    assert metrics.pop("critic/bounded_share") == 0.0
    assert metrics == pytest.approx(expected_metrics, rel=1e-12)


@pytest.mark.slow  # nothing is compiled
def test_without_a_bound_it_is_cql_exactly():
    """Operation by operation; two compiled programs may differ in the last bits."""
    state, draws = make_state(small_cql.antmaze), make_draws()
    with jax.enable_x64(True), jax.disable_jit():
        (expected, expected_metrics), (after, metrics) = (
            algorithm.update(state, with_returns(-np.inf), draws, step=jnp.int32(1), annealing=1.0, phase="offline")
            for algorithm in (cql.cql(2, constant(BETA), LOCOMOTION), cal_ql(2, constant(BETA), LOCOMOTION))
        )
    assert equal(after, expected)
    assert float(metrics.pop("critic/bounded_share").total) == 0.0
    assert equal(metrics, expected_metrics)
    assert not equal(updated("cal_ql", state, with_returns(0.0), draws)[0].critics, expected.critics)


def test_above_all_values_the_penalty_is_that_of_the_uniform_actions():
    """A bound of 100 makes logsumexp nearly constant: no gradient reaches the policy's actions."""
    _, metrics = updated("cal_ql", make_state(small_cql.antmaze), with_returns(100.0), make_draws())
    assert metrics["critic/bounded_share"] == 1.0
    assert 100.0 < metrics["critic/difference"] < 110.0


def test_bounds_offline_only():
    """CORL's form: calibrated offline, CQL online."""
    state, batch, draws = make_state(small_cql.antmaze), batch_with_returns(), make_draws()
    offline, metrics = updated("offline_only", state, batch, draws)
    assert_close(offline, updated("cal_ql", state, batch, draws)[0], atol=1e-14)
    online, online_metrics = updated("offline_only", state, batch, draws, phase="online")
    unbounded = batch._replace(extras={"returns_to_go": np.full(ROWS, -np.inf)})
    assert_close(online, updated("cal_ql", state, unbounded, draws, phase="online")[0], atol=1e-14)
    assert metrics["critic/bounded_share"] > 0.1 > online_metrics["critic/bounded_share"] == 0.0


def test_a_coefficient_at_its_base_value_is_cal_ql_exactly():
    """The state of `plain` has z(s) = log 2, so that beta(s) is 1.5 * 2 * 2 / 3 = 2 until the first step."""
    batch, draws, state = batch_with_returns(), make_draws(), make_state()
    coefficient = state.coefficient
    expected, _ = updated("cal_ql", state._replace(coefficient=()), batch, draws)
    after, metrics = updated("sa", state, batch, draws)
    assert metrics["actor/regulariser_weight"] == pytest.approx(BETA, rel=1e-15)
    for name in ("actor", "critics", "target_critics", "temperature"):
        assert_close(getattr(after, name), getattr(expected, name), atol=1e-13)
    moved = jax.tree.map(np.array_equal, after.coefficient.network.params, coefficient.network.params)
    assert not all(jax.tree.leaves(moved))


@pytest.mark.slow
def test_values_of_a_bandit_with_and_without_a_bound():
    """One state that ends with reward 1 for each of the data's actions; penalty weight 1.

    A common offset c of Q cancels in CQL's difference, so that the values of the data average 1. With a bound far above
    all values the logsumexp is constant and (c - 1)^2 - c remains, whose minimum is at 1 + 1/2.
    """
    rows = 32
    actions, ones = np.linspace(-0.8, 0.0, rows, dtype=np.float32)[:, None], np.ones(rows, np.float32)
    config = cql.CQLConfig(
        discount=0.9, tau=0.05, actor_hidden_sizes=(8,), actor_learning_rate=1e-6, critic_layer_norm=False,
        critic_hidden_sizes=((32, 32), (32, 32)), critic_learning_rate=3e-3, num_actions=4,
    )  # fmt: skip
    algorithm = cal_ql(1, constant(1.0), config)

    @jax.jit
    def train(bound):
        states = ones[:, None]
        batch = Batch(states, actions, ones, 0.0 * ones, states, ones, {"returns_to_go": bound * ones})

        def body(step, state):
            draws = algorithm.draw(jax.random.key(step), batch)
            return algorithm.update(state, batch, draws, step=step, annealing=1.0, phase="offline")[0]

        start = algorithm.init(jax.random.key(0), states, actions)
        return jax.lax.fori_loop(1, 1_001, body, start).critics.params

    for bound, expected in ((-np.inf, 1.0), (100.0, 1.5)):
        for params in as_numpy(train(bound)):
            assert np.mean(critic(params, ones[:, None], actions)) == pytest.approx(expected, abs=0.05)


def test_failing_forever_needs_a_discount():
    with user_error("discount=1.0 must be below 1 with failure_reward"):
        cal_ql(2, config=LOCOMOTION._replace(discount=1.0), failure_reward=-5.0)
    with user_error("failure_reward=nan must be finite"):
        cal_ql(2, config=LOCOMOTION, failure_reward=float("nan"))
