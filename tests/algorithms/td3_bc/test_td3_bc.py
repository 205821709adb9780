"""TD3+BC's invariants and limit cases, and the steps that it shares with SPOT."""

import jax
import numpy as np
import pytest

from ssar_jax.algorithms import td3_bc
from ssar_jax.algorithms.td3_steps import smoothed_target_actions, update_when
from ssar_jax.coefficients.constant import constant
from ssar_jax.ops.losses import td_target
from ssar_jax.ops.trees import averages
from tests.algorithms.states import with_params
from tests.algorithms.td3_bc.small_td3_bc import (
    BATCH,
    NOISE,
    NUMBERS,
    SIZES,
    assert_close,
    equal,
    make_state,
    to_rounding_or_exactly,
)
from tests.networks.numpy_networks import as_numpy, gradient, mlp, norm


class Program:
    """One compiled offline update whose numbers are arguments, so that many tests share one compilation."""

    def __init__(self):
        self.traces = 0
        self._compiled = jax.jit(self._update)

    def _update(self, options, state, batch, noise, step, annealing):
        self.traces += 1
        numbers = dict(options)
        algorithm = td3_bc.td3_bc(2, constant(numbers.pop("beta")), config=SIZES._replace(**numbers))
        return algorithm.update(state, batch, noise, step=step, annealing=annealing, phase="offline")

    def __call__(self, state, batch=BATCH, noise=NOISE, *, step, annealing=1.0, **options):
        options = {"beta": 0.4} | NUMBERS | options
        state, metrics = self._compiled(options, state, batch, noise, np.int32(step), annealing)
        return state, {name: float(average.total) for name, average in metrics.items()}


@pytest.fixture(scope="module")
def program():
    return Program()


@pytest.fixture(scope="module")
def state():
    return make_state()


def with_q(state, last_bias=None, factor=1.0):
    """The state with the first critic's value scaled, or its last bias replaced."""
    first, second = state.critics.params
    last = {name: factor * leaf for name, leaf in first["layer2"].items()}
    if last_bias is not None:
        last["bias"] = np.float32([last_bias])
    return with_params(state, critics=({**first, "layer2": last}, second))


def test_smoothed_target_action_by_hand():
    """0.2 * (1, 4, -9) = (0.2, 0.8, -1.8) -> (0.2, 0.5, -0.5); added to (0.3, 0.8, 0.1), clipped to 1."""
    smoothed = jax.jit(smoothed_target_actions)
    target, noise = np.float32([[0.3, 0.8, 0.1]]), np.float32([[1.0, 4.0, -9.0]])
    np.testing.assert_allclose(smoothed(target, noise, 0.2, 0.5), [[0.5, 1.0, -0.4]], rtol=1e-6)
    np.testing.assert_array_equal(smoothed(target, noise, 0.0, 0.5), target)


def test_td_target_by_hand():
    """Row 1: 1 + 0.9 * min(2, 3) = 2.8. Row 2 terminates: its reward -1, whatever follows."""
    targets = jax.jit(td_target)(
        np.float32([1.0, -1.0]), np.float32([1.0, 0.0]), np.float32([[2.0, 50.0], [3.0, 60.0]]), 0.9
    )
    np.testing.assert_allclose(targets, [2.8, -1.0], rtol=1e-6)


def count(state):
    """An update that counts itself and reports twice its count."""
    return state + 1.0, averages({"count/twice": 2.0 * (state + 1.0)})


@pytest.mark.parametrize(("due", "after", "metric"), [(True, 4.0, (8.0, 1.0)), (False, 3.0, (0.0, 0.0))])
def test_a_delayed_update_is_skipped_with_weight_zero(due, after, metric):
    """3 + 1 = 4 and 2 * 4 = 8 where it is due; else the state stays and the metric does not count in a mean."""
    state, metrics = jax.jit(lambda due, state: update_when(due, count, state))(due, np.float32(3.0))
    assert float(state) == after
    assert {name: tuple(map(float, average)) for name, average in metrics.items()} == {"count/twice": metric}


def test_a_delayed_update_stays_a_branch_when_seeds_are_vmapped():
    """The step is not batched, so that skipped updates cost nothing: a `cond`, where a batched one is a `select`."""

    def updates(due, states):
        return jax.vmap(lambda state: update_when(due, count, state))(states)

    program = str(jax.make_jaxpr(updates)(True, np.zeros(3, np.float32)))
    assert "cond[" in program
    assert "select_n" not in program
    states, metrics = jax.jit(updates)(False, np.float32([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(states, [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(metrics["count/twice"].weight, np.zeros(3))


def test_odd_steps_train_the_critics_alone(program, state):
    odd, odd_metrics = program(state, step=1)
    assert not equal(odd.critics, state.critics)
    untouched = ("actor", "target_actor", "target_critics")
    assert all(equal(getattr(odd, name), getattr(state, name)) for name in untouched)
    even, even_metrics = program(state, step=2)
    assert not any(equal(getattr(even, name), getattr(state, name)) for name in untouched)
    assert not any(map(equal, even.actor, state.actor))  # neither the parameters nor the optimizer's state
    # The actor's loss, in the same compiled program, leaves no trace in the critics.
    assert equal(even.critics, odd.critics)
    assert (odd_metrics["actor/loss"], odd_metrics.keys()) == (0.0, even_metrics.keys())


def test_without_regularizer_the_actor_sees_the_sign_of_q_alone(program, state):
    """beta = 0: the loss is -E q / E|q|, -1 where all q > 0 and 1 where all q < 0; q and 3q give one gradient."""
    frozen = {"beta": 0.0, "critic_learning_rate": 0.0}
    for bias, loss in [(50.0, -1.0), (-50.0, 1.0)]:
        assert program(with_q(state, bias), step=2, **frozen)[1]["actor/loss"] == pytest.approx(loss, abs=1e-6)
    once, once_metrics = program(state, step=2, **frozen)
    thrice, thrice_metrics = program(with_q(state, factor=3.0), step=2, **frozen)
    assert thrice_metrics["actor/grad_norm"] == pytest.approx(once_metrics["actor/grad_norm"], rel=1e-5)
    assert_close(thrice.actor.params, once.actor.params)


def test_a_large_coefficient_clones_the_behavior(program, state):
    """beta = 1e6: the gradient is beta times that of the mean squared error; Adam's first step is its sign."""
    after, metrics = program(state, step=2, beta=1e6)

    def cloning_loss(params):
        return np.mean((np.tanh(mlp(params, BATCH.observations)) - BATCH.actions) ** 2)

    before = as_numpy(state.actor.params)
    cloning = gradient(cloning_loss, before)
    assert metrics["actor/grad_norm"] == pytest.approx(1e6 * norm(cloning), rel=1e-4)
    assert norm(cloning) > 0.01
    moved = jax.tree.map(lambda p, g: p - 0.01 * g / (np.abs(g) + 1e-14), before, cloning)
    assert_close(as_numpy(after.actor.params), moved, atol=1e-4)


@to_rounding_or_exactly(2e-6)
def test_swapped_critics_swap_their_updates(program, state, tolerance):
    """The targets take the minimum and do not see the order; the actor follows the first critic."""
    swapped = with_params(state, critics=state.critics.params[::-1], target_critics=state.target_critics[::-1])
    (here, metrics), (there, swapped_metrics) = program(state, step=2), program(swapped, step=2)
    assert swapped_metrics["critic/target_mean"] == metrics["critic/target_mean"]
    assert_close(there.critics.params, here.critics.params[::-1], atol=tolerance)
    assert swapped_metrics["actor/loss"] != metrics["actor/loss"]


def test_rows_may_come_in_any_order(program, state):
    order = np.random.default_rng(5).permutation(len(NOISE))
    shuffled = jax.tree.map(lambda array: array[order], BATCH)
    here, there = program(state, step=2)[0], program(state, shuffled, NOISE[order], step=2)[0]
    assert_close([there.actor.params, there.critics.params], [here.actor.params, here.critics.params])


@pytest.mark.parametrize("case", ["masks", "discount"])
def test_without_a_future_the_targets_are_the_rewards(program, state, case):
    """Terminal rows, or a discount of 0: the next observation does not matter."""
    options = {"discount": 0.0} if case == "discount" else {}
    batch = BATCH if options else BATCH._replace(masks=np.zeros_like(BATCH.masks))
    elsewhere = batch._replace(next_observations=batch.next_observations + 7.0)
    results = [program(state, b, step=1, **options) for b in (batch, elsewhere)]
    assert equal(results[0][0].critics.params, results[1][0].critics.params)
    assert results[0][1]["critic/target_mean"] == pytest.approx(BATCH.rewards.mean(), abs=1e-6)


@pytest.mark.parametrize(("tau", "source"), [(0.0, "before"), (1.0, "after")])
def test_ends_of_tau(program, state, tau, source):
    """0 keeps the targets, 1 makes them the online networks of after the step."""
    after, _ = program(state, step=2, tau=tau)
    online = [after.actor.params, after.critics.params]
    expected = online if source == "after" else [state.target_actor, state.target_critics]
    assert equal([after.target_actor, after.target_critics], expected)


def test_annealing_multiplies_the_coefficient(program, state):
    """An annealing of 0.5 on beta = 0.4 is beta = 0.2."""
    (halved, metrics), (direct, direct_metrics) = (
        program(state, step=2, annealing=0.5),
        program(state, step=2, beta=0.2),
    )
    assert metrics["actor/regulariser_weight"] == pytest.approx(0.2)
    assert metrics["actor/loss"] == pytest.approx(direct_metrics["actor/loss"], abs=1e-6)
    assert_close(halved.actor.params, direct.actor.params)


def test_a_new_step_or_annealing_is_no_new_program(program, state):
    for step in (1, 2, 1_000_000, 7):
        program(state, step=step, annealing=1.0 / float(step))
    assert program.traces == 1


def test_acting_ignores_the_key():
    algorithm = td3_bc.td3_bc(2, constant(0.4), config=SIZES)
    params = {
        f"layer{i}": {"kernel": np.full(shape, 0.5, np.float32), "bias": np.zeros(shape[1], np.float32)}
        for i, shape in enumerate([(2, 3), (3, 2), (2, 2)])
    }
    observation = np.float32([0.2, 0.4])  # 0.3, times 3 halves 0.45, times 2 halves 0.45
    for key in (None, jax.random.key(0)):
        np.testing.assert_allclose(algorithm.act(params, observation, key), np.tanh([0.45, 0.45]), rtol=1e-6)
