"""Training environments in lockstep: resets, time limits, and going on bit for bit from a checkpoint."""

import json
from functools import partial

import gymnasium
import numpy as np
import pytest

from ssar_jax.envs.lockstep import LockstepEnvs
from ssar_jax.envs.make import make_env
from ssar_jax.training.evaluation import episode_seed
from tests.data.helpers import user_error
from tests.envs.user_env import UserEnv


class Counter(gymnasium.Env):
    """Observes the seed of its reset and the steps since; ends by itself after 3 steps if the action is positive."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,))
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.seed, self.steps = seed % 1000, 0
        return np.array([self.seed, 0.0]), {}

    def step(self, action):
        self.steps += 1
        return np.array([self.seed, self.steps]), 2.0, bool(self.steps == 3 and action[0] > 0), False, {}


def make_counter():
    return gymnasium.wrappers.TimeLimit(Counter(), 5)


def reset_seed(seed, episode):
    return np.random.SeedSequence((seed, episode, 1)).generate_state(1)[0] % 1000


def test_episodes_end_by_termination_and_by_the_time_limit():
    """Seed 4 terminates after 3 steps, seed 7 is cut after 5; only the first is `terminated`."""
    envs = LockstepEnvs(make_counter, [4, 7])
    np.testing.assert_array_equal(envs.reset(), [[reset_seed(4, 0), 0], [reset_seed(7, 0), 0]])
    steps = [envs.step(np.array([[1.0], [-1.0]])) for _ in range(5)]
    assert [step.terminated.tolist() for step in steps] == [[False, False]] * 2 + [[True, False]] + [[False, False]] * 2
    assert [step.finished_returns for step in steps] == [{}, {}, {0: 6.0}, {}, {1: 10.0}]
    # The transition keeps the last observation; the next action answers the first of the new episode.
    np.testing.assert_array_equal(steps[2].next_observations[0], [reset_seed(4, 0), 3])
    np.testing.assert_array_equal(steps[2].observations[0], [reset_seed(4, 1), 0])
    np.testing.assert_array_equal(steps[4].next_observations[1], [reset_seed(7, 0), 5])
    np.testing.assert_array_equal(steps[4].observations[1], [reset_seed(7, 1), 0])
    assert reset_seed(4, 0) != reset_seed(4, 1)


def test_training_episodes_are_none_of_evaluation():
    """SeedSequence pads with zeros, so the word that sets them apart must not be followed by any."""
    training = LockstepEnvs(lambda: gymnasium.wrappers.TimeLimit(Counter(), 1), [4])
    starts = [training.reset()[0, 0]] + [training.step(np.zeros((1, 1))).observations[0, 0] for _ in range(9)]
    assert not set(starts) & {episode_seed(4, episode) % 1000 for episode in range(10)}


def test_a_seed_plays_the_same_beside_others():
    together, alone = LockstepEnvs(make_counter, [4, 7]), LockstepEnvs(make_counter, [7])
    assert (together.reset()[1] == alone.reset()[0]).all()
    for _ in range(12):
        both, one = together.step(np.array([[1.0], [-1.0]])), alone.step(np.array([[-1.0]]))
        assert (both.observations[1] == one.observations[0]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_actions_reach_the_environment_in_its_type_and_bounds(dtype):
    """The environment refuses all others. 1 - 0.3^2 = 0.91."""
    envs = LockstepEnvs(lambda: UserEnv(dtype), [0, 1])
    envs.reset()
    np.testing.assert_allclose(envs.step(np.array([[0.0], [7.0]])).rewards, [1.0, 0.91], rtol=1e-6)


def test_numbers_that_are_not_finite_are_the_environments():
    class Paying(UserEnv):
        def reward(self, action):
            return np.nan if self.steps == 2 else 0.0

    envs = LockstepEnvs(Paying, [4])
    envs.reset()
    envs.step(np.zeros((1, 1)))
    with user_error("environment Paying returned the reward nan in training episode 1 of seed 4 for the action [0.0]"):
        envs.step(np.zeros((1, 1)))


def play(envs, rng, size, steps):
    return [envs.step(rng.uniform(-1.0, 1.0, (2, size)).astype(np.float32)) for _ in range(steps)]


# antmaze-umaze has a goal, ant-direction turns within an episode, and Ant-v5 reads derived quantities before a step.
NAMES = ["halfcheetah", "hopper", "walker2d", "antmaze-umaze", "ant-direction", "Pendulum-v1", "Ant-v5"]


@pytest.mark.parametrize("name", NAMES)
def test_a_restored_environment_goes_on_bit_for_bit(name):
    """Across episode ends, so that counters and reset seeds are restored too, and by way of a JSON file."""

    def build():
        limited = partial(gymnasium.wrappers.TimeLimit, max_episode_steps=150)
        return LockstepEnvs(lambda: limited(make_env(name)), [3, 5])

    rng, envs, again = np.random.default_rng(0), build(), build()
    envs.reset()
    size = make_env(name).action_space.shape[0]
    play(envs, rng, size, 250)
    saved, generator = json.dumps(envs.save()), rng.bit_generator.state
    going_on = play(envs, rng, size, 160)
    again.restore(json.loads(saved))
    rng.bit_generator.state = generator
    for step, expected in zip(play(again, rng, size, 160), going_on, strict=True):
        for column, other in zip(step[:-1], expected[:-1], strict=True):
            np.testing.assert_array_equal(column, other)
        assert step.finished_returns == expected.finished_returns
    assert any(step.finished_returns for step in going_on)  # so an episode did end


def test_an_environment_that_does_not_repeat_itself_is_named(caplog):
    """It counts its steps over all episodes, so a new one is elsewhere after the same episode."""

    class Aging(Counter):
        age = 0

        def step(self, action):
            self.age += 1
            observation, *rest = super().step(action)
            return observation + self.age, *rest

    envs, again = (LockstepEnvs(lambda: gymnasium.wrappers.TimeLimit(Aging(), 3), [4]) for _ in range(2))
    envs.reset()
    for _ in range(2):
        envs.step(np.zeros((1, 1)))
    again.restore(envs.save())
    assert caplog.text == ""  # in its first episode nothing is missing
    for _ in range(3):
        envs.step(np.zeros((1, 1)))
    again.restore(envs.save())
    assert "environment Aging does not repeat itself" in caplog.text


def test_a_checkpoint_of_environments_is_plain_data():
    """Nothing in it could run code."""
    envs = LockstepEnvs(make_counter, [4])
    envs.reset()
    envs.step(np.array([[0.5]]))
    assert envs.save() == [{"episodes": 1, "actions": [[0.5]], "observation": [float(reset_seed(4, 0)), 1.0]}]
