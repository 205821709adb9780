"""EDAC: the similarity of slopes, the two executions of the critics, limits, and two problems with known answers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssar_jax.algorithms import edac, sac
from ssar_jax.networks.critics import Critic, make_stacked
from ssar_jax.ops.losses import slope_similarity
from ssar_jax.types import Batch
from tests.algorithms.edac.small_edac import SHAPES, SMALL, make_state, members, sample, slope
from tests.algorithms.td3_bc.small_td3_bc import assert_close, make_batch
from tests.data.helpers import user_error
from tests.networks.numpy_networks import as_numpy, critic


def test_the_similarity_by_hand():
    """Directions (1, 0), (0, 1) and (-1, 0) in one state, whatever their lengths: <1,2> = 0, <1,3> = -1, <2,3> = 0.

    Both orders of each pair over E - 1 = 2: 2 * (-1) / 2 = -1. In a second state all are equal: 6 / 2 = 3. Mean 1.
    """
    first = np.array([[3.0, 0.0], [0.0, 0.2], [-5.0, 0.0]])
    second = np.array([[0.6, 0.8]] * 3)
    with jax.enable_x64(True):
        assert float(slope_similarity(jnp.stack([first, second], axis=1))) == pytest.approx(1.0, abs=1e-8)


def test_the_gradient_of_the_similarity_turns_slopes_apart():
    """Two unit vectors at angles 0 and t: the term is 2 cos t, so that its derivative along the second is -2 sin t."""
    t = 0.5

    def similarity(angle):
        return slope_similarity(jnp.stack([jnp.array([[1.0, 0.0]]), jnp.stack([jnp.cos(angle), jnp.sin(angle)])[None]]))

    with jax.enable_x64(True):
        value, derivative = jax.value_and_grad(similarity)(jnp.asarray(t))
    assert float(value) == pytest.approx(2.0 * np.cos(t), abs=1e-8)
    assert float(derivative) == pytest.approx(-2.0 * np.sin(t), abs=1e-8)


def test_a_critic_without_slope_is_orthogonal_to_all_and_has_a_finite_gradient():
    """As a critic whose units are all off. The other pair is parallel: 2 / 2 = 1."""
    slopes = jnp.array([[[1.0, 0.0]], [[0.0, 0.0]], [[2.0, 0.0]]])
    value, gradients = jax.value_and_grad(slope_similarity)(slopes)
    assert float(value) == pytest.approx(1.0)
    assert np.isfinite(gradients).all()


@pytest.mark.slow
def test_the_two_executions_of_the_critics_agree():
    """In turn and in one batch: values, slopes, and the derivatives of both."""
    stacked = [make_stacked(Critic((4, 3)), 5, batched) for batched in (False, True)]
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(6, 2)), rng.uniform(-1.0, 1.0, (6, 2))
    with jax.enable_x64(True):
        params = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), stacked[0].init(jax.random.key(0), *inputs))

        def total(params, critics):
            values, slopes = critics.apply_with_slopes(params, *inputs)
            return jnp.sum(values**2) + slope_similarity(slopes), (values, slopes)

        (_, first), (_, second) = results = [
            jax.value_and_grad(total, has_aux=True)(params, critics) for critics in stacked
        ]
        assert_close(results[0][0], results[1][0], atol=1e-12)
        assert_close(first, second, atol=1e-12)
        values = stacked[0].apply(params, *inputs)
    for i, member in enumerate(members(params)):
        np.testing.assert_allclose(values[i], critic(member, *inputs), atol=1e-12)
        np.testing.assert_allclose(results[0][0][1][1][i], slope(member, *inputs), atol=1e-12)


def test_initial_state():
    """Hidden biases 0.1, last layers within 0.001 and 0.003, members that differ, targets as copies, alpha 1."""
    state = jax.jit(edac.edac(2, SMALL).init)(jax.random.key(0), *SHAPES)
    for params, bound in ((state.actor.params, 1e-3), (state.critics.params, 3e-3)):
        assert set(params) == {"layer0", "layer1", "layer2"}  # no trainable scale of the log-std
        for i in range(2):
            np.testing.assert_array_equal(params[f"layer{i}"]["bias"], np.float32(0.1))
        assert 0.0 < np.max(np.abs(params["layer2"]["kernel"])) <= bound
        assert 0.0 < np.max(np.abs(params["layer2"]["bias"])) <= bound
    first = np.asarray(state.critics.params["layer0"]["kernel"])
    assert first.shape == (3, 4, 3)
    assert np.max(np.abs(first)) <= 0.5  # 1 / sqrt(fan_in = 4)
    assert len(np.unique(first)) == first.size
    jax.tree.map(np.testing.assert_array_equal, state.critics.params, state.target_critics)
    assert float(state.temperature.params) == 0.0


def test_the_number_of_arrays_does_not_depend_on_the_number_of_critics():
    def arrays(number):
        config = SMALL._replace(num_critics=number)
        return len(jax.tree.leaves(jax.eval_shape(edac.edac(2, config).init, jax.random.key(0), *SHAPES)))

    assert arrays(500) == arrays(2)


def test_diversity_needs_a_pair():
    with user_error("num_critics=1 must be at least 2 with eta=1.5"):
        edac.edac(2, SMALL._replace(num_critics=1))
    edac.edac(2, SMALL._replace(num_critics=1, eta=0.0))
    with user_error("eta=-1.0 must be zero or more"):
        edac.edac(2, SMALL._replace(eta=-1.0))
    with user_error("num_critics=0 must be positive"):
        edac.edac(2, SMALL._replace(num_critics=0))


def test_acting():
    """Without a key the mode, with a key a sample; the log-std is clipped from below at -5."""
    algorithm, observations = edac.edac(2, SMALL), make_batch(0)[0].observations.astype(np.float64)
    params = as_numpy(make_state().actor.params)
    params["layer2"]["bias"][2] = -50.0
    with jax.enable_x64(True):
        noise = np.asarray(jax.random.normal(jax.random.key(1), (6, 2)))
        actions = algorithm.act(params, observations, jax.random.key(1))
        mode = algorithm.act(params, observations, None)
    np.testing.assert_allclose(actions, sample(params, observations, noise)[0], atol=1e-12)
    np.testing.assert_allclose(mode, sample(params, observations, np.zeros((6, 2)))[0], atol=1e-12)


PROBLEM = edac.EDACConfig(
    discount=0.9, tau=0.05, actor_hidden_sizes=(8,), actor_learning_rate=3e-3, critic_hidden_sizes=(16, 16),
    critic_learning_rate=3e-3, num_critics=5,
)  # fmt: skip


def train(config, batch, updates):
    """Trains on one batch of one-hot states and returns the state."""
    algorithm = edac.edac(1, config)

    @jax.jit
    def run():
        def body(step, state):
            draws = algorithm.draw(jax.random.key(step), batch)
            return algorithm.update(state, batch, draws, step=step, annealing=1.0, phase="offline")[0]

        start = algorithm.init(jax.random.key(1), batch.observations, batch.actions)
        return jax.lax.fori_loop(1, updates + 1, body, start)

    return algorithm, run()


@pytest.mark.slow
def test_learns_the_values_of_a_terminal_problem():
    """One state that ends with reward 1 - (a - 0.5)^2 at actions over the whole range.

    The best action is 0.5 up to the entropy bonus, which rounds the maximum off and does not move it.
    """
    actions = np.linspace(-1.0, 1.0, 64, dtype=np.float32)[:, None]
    ones = np.ones(64, np.float32)
    batch = Batch(ones[:, None], actions, 1.0 - (actions[:, 0] - 0.5) ** 2, 0.0 * ones, ones[:, None], ones)
    algorithm, state = train(PROBLEM._replace(eta=0.0), batch, updates=1_000)
    for params in members(state.critics.params):
        np.testing.assert_allclose(
            critic(params, np.ones((3, 1)), np.array([[-0.5], [0.5], [1.0]])), [0.0, 1.0, 0.75], atol=0.1
        )
    assert float(algorithm.act(state.actor.params, np.ones((1, 1)), None)[0, 0]) == pytest.approx(0.5, abs=0.15)


@pytest.mark.slow
def test_eta_spreads_the_slopes_of_the_critics():
    """Actions of two dimensions and no rewards, so that only the similarity shapes the slopes.

    Five directions in the plane have the similarity (|sum u|^2 - 5) / 4, at least -5/4, when they add up to 0.
    """
    batch = jax.tree.map(np.float32, make_batch(0, rows=32)[0])
    batch = batch._replace(rewards=0.0 * batch.rewards, masks=0.0 * batch.masks)
    draws = sac.SACDraws(*np.random.default_rng(0).normal(size=(2, 32, 2)).astype(np.float32))
    algorithm, critics = edac.edac(2, PROBLEM), edac.make_critics(PROBLEM)
    start = jax.jit(algorithm.init)(jax.random.key(2), batch.observations, batch.actions)

    @jax.jit
    def run(state):
        def body(step, state):
            return algorithm.update(state, batch, draws, step=step, annealing=1.0, phase="offline")[0]

        return jax.lax.fori_loop(1, 201, body, state)

    before, after = (
        float(slope_similarity(critics.apply_with_slopes(state.critics.params, batch.observations, batch.actions)[1]))
        for state in (start, run(start))
    )
    assert before > -0.25
    assert -1.25 - 1e-5 <= after < before - 0.4
