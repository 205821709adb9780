"""Evaluation: scores by hand, reset seeds, one policy call per step, scaled observations and actions."""

import jax
import numpy as np
import pytest

from ssar_jax.algorithms.base import Algorithm
from ssar_jax.data.actions import ActionScaling
from ssar_jax.data.scaling import ObservationScaling
from ssar_jax.training.evaluation import Evaluator, episode_seed
from ssar_jax.training.evaluation import evaluate as evaluate_policy
from tests.data.helpers import user_error
from tests.envs.user_env import UserEnv
from tests.training.scripted_env import Scripted, length


def no_training(*arguments, **options):
    raise AssertionError("an evaluation only calls `act`")


def linear_policy(params, observations, key):
    """gain * t + offset, for the observation (t, seed)."""
    assert key is None, "evaluation is deterministic"
    return params["gain"] * observations[..., :1] + params["offset"]


LINEAR = Algorithm(init=no_training, draw=no_training, update=no_training, policy_params=no_training, act=linear_policy)
PARAMS = {"gain": np.float32([1.0, 10.0]), "offset": np.float32([0.5, 0.0])}


@pytest.fixture
def evaluate():
    """Returns a function that evaluates PARAMS and returns the result and the environments."""
    evaluators = []

    def run(seeds, episodes, params=PARAMS, scaling=None, action_scaling=None, repeats=1):
        environments = []

        def make_env():
            environments.append(Scripted(-50.0, 50.0))  # no action of these tests is clipped
            return environments[-1]

        scaling = scaling or ObservationScaling.identity(2)
        evaluators.append(Evaluator(LINEAR, make_env, seeds, episodes, scaling, action_scaling))
        results = [evaluators[-1](params) for _ in range(repeats)]
        return (results[0] if repeats == 1 else results), environments

    yield run
    for evaluator in evaluators:
        evaluator.close()


def test_returns_and_lengths_by_hand(evaluate):
    """An episode of T steps sees t = 0 .. T-1: the first seed earns T (T-1) / 2 + T / 2, the second 10 T (T-1) / 2."""
    result, _ = evaluate((0, 1), 5)
    lengths = np.array([[length(episode_seed(seed, i)) for i in range(5)] for seed in (0, 1)])
    assert len(np.unique(lengths)) > 1  # episodes end at different steps
    np.testing.assert_array_equal(result.lengths, lengths)
    np.testing.assert_allclose(result.returns[0], lengths[0] * (lengths[0] - 1) / 2 + lengths[0] / 2)
    np.testing.assert_allclose(result.returns[1], 10 * lengths[1] * (lengths[1] - 1) / 2)


def test_episode_i_of_seed_s_starts_from_the_sequence_s_i(evaluate):
    _, environments = evaluate((4, 7), 3, repeats=2)
    wanted = [
        int(np.random.SeedSequence((seed, episode)).generate_state(1)[0]) for seed in (4, 7) for episode in range(3)
    ]
    played = [env.reset_seeds for env in environments if env.reset_seeds]
    assert played == [[seed, seed] for seed in wanted]  # the same at every evaluation
    assert len(set(wanted)) == 6


def test_a_seeds_episodes_do_not_depend_on_the_other_seeds(evaluate):
    one = {name: value[:1] for name, value in PARAMS.items()}
    three = {name: np.repeat(value[:1], 3) for name, value in PARAMS.items()}
    alone, _ = evaluate((7,), 3, one)
    together, _ = evaluate((2, 7, 5), 3, three)
    np.testing.assert_array_equal(together.returns[1], alone.returns[0])
    np.testing.assert_array_equal(together.lengths[1], alone.lengths[0])


def test_the_policy_is_called_once_per_step(evaluate):
    """As often as the longest episode has steps, with all observations at once."""
    shapes = []

    def scaling(observations):
        shapes.append(observations.shape)
        return observations

    result, _ = evaluate((0, 1), 5, scaling=scaling)
    assert shapes == [(10, 2)] * result.lengths.max()


def test_observations_are_scaled(evaluate):
    """(t - 1) / 2 instead of t: with gain 1 and offset 0.5 every step pays t / 2."""
    result, _ = evaluate((0, 1), 5, scaling=ObservationScaling(np.float32([1, 0]), np.float32([2, 1])))
    lengths = result.lengths[0]
    np.testing.assert_allclose(result.returns[0], lengths * (lengths - 1) / 4)


def test_actions_are_scaled_to_the_environments_range(evaluate):
    """An action u in [-1, 1] becomes 2 + 0.5 (u + 1) (10 - 2) = 6 + 4 u in [2, 10]."""
    result, _ = evaluate((0, 1), 5, action_scaling=ActionScaling.from_bounds(2.0, 10.0))
    lengths = result.lengths[0]
    np.testing.assert_allclose(result.returns[0], 6 * lengths + 4 * (lengths * (lengths - 1) / 2 + lengths / 2))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_policy_is_evaluated_in_an_environment_that_checks_its_actions(dtype):
    result = evaluate_policy(lambda observations: np.full((3, 1), 1.0), lambda: UserEnv(dtype), episodes=3)
    np.testing.assert_allclose(result.returns, [[5 * 0.91] * 3], rtol=1e-6)


def test_an_environment_that_cannot_be_used_is_refused_before_the_evaluation():
    class OldReset(UserEnv):
        def reset(self, *, seed=None, options=None):
            return super().reset(seed=seed)[0]

    with user_error("environment OldReset: reset returned an array of shape (3,)"):
        evaluate_policy(lambda observations: np.zeros((1, 1)), OldReset, episodes=1)


def test_an_evaluation_of_an_environment_without_an_end_is_bounded():
    def policy(observations):
        return np.zeros((2, 1))

    result = evaluate_policy(policy, lambda: UserEnv(length=None), episodes=2, max_episode_steps=8)
    assert (result.lengths.tolist(), result.num_cut) == ([[8, 8]], 2)


def test_without_a_cpu_backend_policies_act_where_they_are_trained(evaluate, monkeypatch):
    """As with JAX_PLATFORMS=cuda, where asking for CPU devices raises."""
    expected, _ = evaluate((0, 1), 5)
    devices = jax.devices

    def no_cpu(backend=None):
        if backend == "cpu":
            raise RuntimeError("Unknown backend cpu")
        return devices(backend)

    monkeypatch.setattr(jax, "devices", no_cpu)
    result, _ = evaluate((0, 1), 5)
    np.testing.assert_array_equal(result.returns, expected.returns)
