"""CQL on two problems with known values; its draws, its initial state, and its actions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssar_jax.algorithms import cql
from ssar_jax.coefficients.constant import constant
from ssar_jax.types import Batch
from tests.algorithms.cql.small_cql import BATCH, LOCOMOTION, make_state, sample
from tests.algorithms.states import with_params
from tests.networks.numpy_networks import as_numpy, critic, mlp

CONFIG = cql.CQLConfig(
    discount=0.9,
    tau=0.05,
    actor_hidden_sizes=(8,),
    actor_learning_rate=3e-3,
    critic_hidden_sizes=((32, 32), (32, 32)),
    critic_layer_norm=False,
    critic_learning_rate=3e-3,
    num_actions=4,
)
ROWS = 32


def states(index):
    """One-hot observations of a state's index [B]."""
    return np.eye(2)[np.broadcast_to(index, ROWS)]


@pytest.fixture(scope="module")
def train():
    """The compiled function (weight, batch) -> critics, deterministic actions in states 0 and 1."""

    algorithm = cql.cql(1, constant(0.0), config=CONFIG)
    shapes = jax.eval_shape(algorithm.init, jax.random.key(0), states(0), np.zeros((ROWS, 1)))
    rng = np.random.default_rng(0)
    start = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)  # drawn here: less to compile
    actor, critics = (
        jax.tree.map(lambda leaf: rng.normal(scale=0.2, size=leaf.shape).astype(np.float32), tree)
        for tree in (shapes.actor.params, shapes.critics.params)
    )
    start = with_params(start, actor=actor, critics=critics, target_critics=critics)

    @jax.jit
    def run(weight, batch):
        algorithm = cql.cql(1, constant(weight), config=CONFIG)

        def body(step, state):
            draws = algorithm.draw(jax.random.key(step), batch)
            return algorithm.update(state, batch, draws, step=step, annealing=1.0, phase="offline")[0]

        state = jax.lax.fori_loop(1, 2000, body, start)
        return state.critics.params, algorithm.act(state.actor.params, jnp.eye(2), None)[:, 0]

    def as_float32(weight, *columns):
        critics, actions = run(weight, Batch(*(np.float32(column) for column in columns), np.ones(ROWS, np.float32)))
        return as_numpy(critics), np.asarray(actions)

    return as_float32


@pytest.mark.slow
def test_the_penalty_lowers_values_outside_the_data(train):
    """A bandit: one state, data's actions within [-0.8, 0], reward 1 for each of them.

    A common offset of Q changes only the squared error, so that Q averages 1 over the data with any weight; outside
    the data the penalty lowers it without bound. Without the penalty nothing makes 0.8 worse: Q stays about 1 there.
    """
    actions = np.linspace(-0.8, 0.0, ROWS)[:, None]
    for weight in (0.0, 1.0):
        critics, chosen = train(weight, states(0), actions, np.ones(ROWS), np.zeros(ROWS), states(0))
        for params in critics:
            assert np.mean(critic(params, states(0), actions)) == pytest.approx(1.0, abs=0.05)
            outside = critic(params, np.eye(2)[:1], np.array([[0.8]]))[0]
            assert (outside < -1.0) if weight else (abs(outside - 1.0) < 0.3)
        assert (chosen[0] < 0.0) == (weight > 0.0)  # the policy, which maximizes Q, stays in the data or leaves it


@pytest.mark.slow
def test_learns_the_values_and_the_action_of_a_two_step_problem(train):
    """State 0 leads to state 1 with reward -(a - 0.5)^2, state 1 ends with reward 1; discount 0.9, weight 0.

    So Q(1, a) = 1 and Q(0, a) = 0.9 - (a - 0.5)^2, whatever the policy; its best action in state 0 is 0.5.
    """
    index, actions = np.arange(ROWS) % 2, np.repeat(np.linspace(-1.0, 1.0, ROWS // 2), 2)
    rewards = np.where(index == 0, -((actions - 0.5) ** 2), 1.0)
    critics, chosen = train(0.0, states(index), actions[:, None], rewards, 1.0 - index, states(1))
    tried = np.array([[-0.5], [0.0], [0.5]])
    for params in critics:
        np.testing.assert_allclose(critic(params, np.eye(2)[[0] * 3], tried), [-0.1, 0.65, 0.9], atol=0.05)
        np.testing.assert_allclose(critic(params, np.eye(2)[[1] * 3], tried), 1.0, atol=0.05)
    assert chosen[0] == pytest.approx(0.5, abs=0.15)


def test_draws():
    """Normals, and uniforms on (-1, 1); K = 4 per state of each kind, in the target only with max backup."""
    batch = Batch(states(0), np.zeros((ROWS, 1)), *np.zeros((2, ROWS)), states(0), np.zeros(ROWS))
    batch, key, several = jax.tree.map(np.float32, batch), jax.random.key(0), (ROWS, 4, 1)
    shapes = jax.eval_shape(cql.cql(1, constant(1.0), config=CONFIG).draw, key, batch)
    assert [draw.shape for draw in shapes] == [(ROWS, 1), (ROWS, 1), several, several, several]
    draws = jax.jit(cql.cql(1, constant(1.0), config=CONFIG._replace(max_backup=True)).draw)(key, batch)
    assert [draw.shape for draw in draws] == [(ROWS, 1), several, several, several, several]
    assert 0.5 < np.max(np.abs(draws.uniform)) <= 1.0
    assert np.min(draws.uniform) < -0.5
    normals = [draws.actions, draws.target_actions, draws.current, draws.following]
    assert all(np.max(np.abs(normal)) > 1.0 for normal in normals)
    assert len({float(normal.ravel()[0]) for normal in normals}) == 4  # no two kinds share their noise


def test_initial_state():
    """Critics: orthogonal kernels of gain sqrt 2, last kernel 0.01, biases 0, of any depths; targets as copies.

    Orthogonal columns of gain g have the square g^2. log alpha = 0, log alpha' = 1.
    """
    config = cql.CQLConfig(actor_hidden_sizes=(2,), critic_hidden_sizes=((2, 2), (2,)))

    @jax.jit
    def initial():
        """A part of the state, which compiles faster."""
        state = cql.cql(1, constant(1.0), config=config).init(jax.random.key(0), states(0), np.zeros((ROWS, 1)))
        return state.critics.params, state.target_critics, state.temperature.params, state.multiplier.params

    critics, targets, log_temperature, log_multiplier = initial()
    jax.tree.map(np.testing.assert_array_equal, critics, targets)
    assert (log_temperature, log_multiplier) == (0.0, 1.0)
    for params, depth in zip(critics, (2, 1), strict=True):
        gains = [np.sqrt(2.0)] * depth + [0.01]
        for i, gain in enumerate(gains):
            kernel, bias = (np.asarray(params[f"layer{i}"][name]) for name in ("kernel", "bias"))
            np.testing.assert_allclose(kernel.T @ kernel, gain**2 * np.eye(len(bias)), atol=1e-5 * gain**2)
            np.testing.assert_array_equal(bias, np.zeros_like(bias))
        assert f"layernorm{depth - 1}" in params
    assert (len(critics[0]), len(critics[1])) == (5, 3)  # linear maps and LayerNorms


def test_acting():
    """Without a key the mode tanh(mean), with a key a sample whose noise the key determines."""
    act = jax.jit(cql.cql(2, constant(1.0), config=LOCOMOTION).act)
    params, observations, key = make_state().actor.params, BATCH.observations, jax.random.key(1)
    with jax.enable_x64(True):
        noise = np.asarray(jax.random.normal(key, (len(observations), 2)))
        mode, actions = act(params, observations, None), act(params, observations, key)
    np.testing.assert_allclose(mode, np.tanh(mlp(as_numpy(params), observations)[:, :2]), atol=1e-12)
    np.testing.assert_allclose(actions, sample(as_numpy(params), observations, noise)[0], atol=1e-12)
