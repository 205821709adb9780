"""Recording episodes, and counting first episodes alone, on an environment whose every number is known."""

import gymnasium
import numpy as np
import pytest

from ssar_jax.envs.make import make_env
from ssar_jax.envs.rollout import FirstEpisodes, StoppedError, collect
from tests.data.helpers import user_error
from tests.envs.user_env import UserEnv


class Scripted(gymnasium.Env):
    """An episode of 2 + script % 3 steps whose step t pays 10 * length + t; even scripts end by a terminal state.

    The script is the reset seed modulo 100,000, which float32 holds exactly. The observation is (script, steps
    so far). `played` holds the episodes of all instances as [script, steps].
    """

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
    played = []  # noqa: RUF012

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._episode = [seed % 100_000, 0]
        self.played.append(self._episode)
        return np.float32(self._episode), {}

    def step(self, action):
        self._episode[1] += 1
        script, t = self._episode
        length = episode_length(script)
        assert t <= length, "stepped past its end"
        ended, terminal = t == length, script % 2 == 0
        return np.float32(self._episode), 10.0 * length + t, ended and terminal, ended and not terminal, {}


def episode_length(script):
    return 2 + script % 3


def episode_return(script):
    """sum_t 10 L + t over t = 1..L."""
    length = episode_length(script)
    return 10.0 * length**2 + length * (length + 1) / 2


@pytest.fixture
def scripted():
    """Registers the environment under an id for the time of a test; yields the function that builds it."""
    Scripted.played.clear()
    gymnasium.register("ssar-test/Scripted-v0", Scripted)
    yield lambda: make_env("ssar-test/Scripted-v0")
    del gymnasium.registry["ssar-test/Scripted-v0"]


def record(make_env, num_steps, num_envs, seed=0):
    """Collected episodes; the policy's action is a hundredth of the step that it sees."""
    made = []
    episodes = list(
        collect(
            make_env,
            lambda observations: observations[:, 1:] / 100.0,
            num_steps=num_steps,
            num_envs=num_envs,
            rng=np.random.default_rng(seed),
            on_step=made.append,
        )
    )
    assert sum(made) == num_steps
    return episodes


@pytest.mark.parametrize(("num_steps", "num_envs"), [(1, 1), (3, 5), (17, 1), (40, 3), (41, 4)])
def test_collect_makes_exactly_the_steps_asked_for(scripted, num_steps, num_envs):
    """Also when they do not divide by the number of environments, or are fewer than those."""
    episodes = record(scripted, num_steps, num_envs)
    assert sum(len(episode.rewards) for episode in episodes) == num_steps
    assert sum(steps for _, steps in Scripted.played) == num_steps
    # No environment is reset without an episode after it.
    assert len(Scripted.played) == len(episodes)


def test_collected_rows_are_those_of_the_environment(scripted):
    """Observations from the reset to the last one, the actions taken, the rewards, and the kind of end."""
    complete = cut = 0
    for episode in record(scripted, 60, 2):
        rows, script = len(episode.rewards), int(episode.observations[0, 0])
        steps = np.arange(rows + 1)
        np.testing.assert_array_equal(episode.observations, [[script, t] for t in steps])
        np.testing.assert_array_equal(episode.actions[:, 0], np.float32(steps[:-1] / 100.0))
        length = episode_length(script)
        np.testing.assert_array_equal(episode.rewards, 10.0 * length + steps[1:])
        assert {episode.observations.dtype, episode.actions.dtype, episode.rewards.dtype} == {np.dtype(np.float32)}
        terminal = rows == length and script % 2 == 0
        assert not np.any(episode.terminations[:-1] | episode.truncations[:-1])
        # The end of the recording, like the end of time, is a truncation.
        assert (episode.terminations[-1], episode.truncations[-1]) == (terminal, not terminal)
        complete, cut = complete + (rows == length), cut + (rows < length)
    assert complete > 10
    assert cut <= 2  # at most the last episode of each environment


def test_collect_copies_the_observations():
    """Environments may return one float32 buffer again and again and count in it: 0, 1, 2, 3."""

    class Reusing(Scripted):
        def reset(self, *, seed=None, options=None):
            self._buffer = super().reset(seed=0)[0]
            return self._buffer, {}

        def step(self, action):
            self._buffer[1] += 1.0
            return self._buffer, 0.0, False, False, {}

    (episode,) = record(Reusing, 3, 1)
    np.testing.assert_array_equal(episode.observations[:, 1], [0.0, 1.0, 2.0, 3.0])


def test_collect_repeats_itself(scripted):
    """The same generator gives the same resets, another one other resets; environments differ among themselves."""

    def scripts(seed):
        return [int(episode.observations[0, 0]) for episode in record(scripted, 30, 3, seed)]

    first = scripts(0)
    assert first == scripts(0)
    assert first != scripts(1)
    assert len(set(first)) == len(first)


def test_collect_calls_the_policy_once_per_step_with_the_active_environments(scripted):
    """8 steps over 3 environments: 3 + 3 + 2, so three calls, the last one with two rows."""
    rows = []

    def policy(observations):
        rows.append(len(observations))
        return np.zeros((len(observations), 1), np.float32)

    list(collect(scripted, policy, num_steps=8, num_envs=3, rng=np.random.default_rng(0)))
    assert rows == [3, 3, 2]


def test_first_episodes_count_exactly_once(scripted):
    """Seeds 3, 4, 5 and 6: lengths 2, 3, 4, 2; returns 10 L^2 + L (L + 1) / 2 = 43, 96, 170, 43."""
    calls = []

    def policy(observations):
        calls.append(observations.copy())
        return np.zeros((len(observations), 1), np.float32)

    environments = FirstEpisodes(scripted, 4)
    returns, lengths, *_ = environments.play(policy, [3, 4, 5, 6])
    np.testing.assert_array_equal(returns, [43.0, 96.0, 170.0, 43.0])
    np.testing.assert_array_equal(lengths, [2, 3, 4, 2])
    # Nobody is reset, or stepped, after the end of its episode.
    assert Scripted.played == [[3, 2], [4, 3], [5, 4], [6, 2]]
    # One call per step of the longest episode; finished environments show their last observation on and on.
    np.testing.assert_array_equal(calls[-1], [[3, 2], [4, 3], [5, 3], [6, 2]])
    assert [call.shape for call in calls] == [(4, 2)] * 4
    environments.close()


def test_first_episodes_can_be_played_again(scripted):
    """Two rounds on the same environments share nothing: the second counts from 0."""
    environments = FirstEpisodes(scripted, 2)
    policy = lambda observations: np.zeros((2, 1), np.float32)  # noqa: E731
    for seeds in ([0, 1], [2, 7], [0, 1]):
        returns, lengths, *_ = environments.play(policy, seeds)
        np.testing.assert_array_equal(lengths, [episode_length(seed) for seed in seeds])
        np.testing.assert_array_equal(returns, [episode_return(seed) for seed in seeds])
    environments.close()


def test_first_episodes_of_the_hopper():
    """Against a plain loop over single environments: different lengths, same returns, and again the same."""

    def policy(observations):
        return np.tanh(observations[:, :3] - observations[:, 5:8]).astype(np.float32)

    def alone(seed):
        env = make_env("hopper")
        observation, _ = env.reset(seed=seed)
        total, length, ended = 0.0, 0, False
        while not ended:
            observation, reward, terminated, truncated, _ = env.step(policy(observation[None])[0])
            total, length, ended = total + reward, length + 1, terminated or truncated
        env.close()
        return total, length

    seeds = [11, 12, 13]
    environments = FirstEpisodes(lambda: make_env("hopper"), 3)
    returns, lengths, *_ = environments.play(policy, seeds)
    again, *_ = environments.play(policy, seeds)
    expected = [alone(seed) for seed in seeds]
    np.testing.assert_allclose(returns, [total for total, _ in expected], rtol=1e-12)
    np.testing.assert_array_equal(lengths, [length for _, length in expected])
    assert len(set(lengths)) > 1
    np.testing.assert_array_equal(again, returns)
    environments.close()


def zeros(observations):
    return np.zeros((len(observations), 1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_actions_reach_the_environment_in_its_type_and_bounds(dtype):
    """The environment refuses all others. 1 - 0.3^2 = 0.91 in each of 5 steps."""
    environments = FirstEpisodes(lambda: UserEnv(dtype), 2)
    played = environments.play(lambda observations: np.array([[0.0], [7.0]]), [0, 1])
    np.testing.assert_allclose(played.returns, [5.0, 5 * 0.91], rtol=1e-6)


def test_actions_of_another_shape_are_refused():
    """They would broadcast."""
    environments = FirstEpisodes(UserEnv, 2)
    for shape in ((2,), (2, 2), (1, 1)):
        with user_error(f"the policy returned actions of shape {shape}", "but the environment takes (1,)"):
            environments.play(lambda observations, shape=shape: np.zeros(shape), [0, 1])


class Turning(UserEnv):
    """Returns NaN as its observation after three steps."""

    def observe(self):
        return np.array([0.0, np.nan if self.steps == 3 else 0.0, 0.0])


class Paying(UserEnv):
    """Returns an infinite reward in its second step."""

    def reward(self, action):
        return np.inf if self.steps == 2 else 0.0


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            Turning,
            "environment Turning returned an observation with entry 1 = nan in step 3 of the episode with reset ",
        ),
        (Paying, "environment Paying returned the reward inf in step 2 of the episode with reset seed 5"),
    ],
)
def test_numbers_that_are_not_finite_are_the_environments(kind, message):
    with user_error(message, "for the action [0.0]: correct the environment"):
        FirstEpisodes(kind, 1).play(zeros, [5])


def test_after_an_action_of_nan_the_environment_is_not_blamed():
    class Trusting(UserEnv):
        def step(self, action):
            self.steps += 1
            return self.observe(), float(action[0]), False, self.steps == 5, {}

    played = FirstEpisodes(Trusting, 1).play(lambda observations: np.full((1, 1), np.nan), [0])
    assert np.isnan(played.returns[0])


def test_episodes_that_never_end_are_cut():
    """After 7 steps; an episode that ends in its seventh step was not cut."""
    played = FirstEpisodes(lambda: UserEnv(length=None), 2, max_steps=7).play(zeros, [0, 1])
    assert (played.lengths.tolist(), played.returns.tolist(), played.num_cut) == ([7, 7], [7.0, 7.0], 2)
    assert FirstEpisodes(lambda: UserEnv(length=7), 2, max_steps=7).play(zeros, [0, 1]).num_cut == 0


def test_episodes_can_be_stopped_at_any_step_and_played_again():
    env, asked = UserEnv(length=9), []
    environments = FirstEpisodes(lambda: env, 1)

    def stop():
        asked.append(1)
        return len(asked) == 4

    with pytest.raises(StoppedError):
        environments.play(zeros, [0], stop)
    assert env.steps == 3
    assert environments.play(zeros, [0]).lengths.tolist() == [9]


@pytest.mark.parametrize("name", ["success", "is_success"])
def test_successes_are_those_of_the_last_step(name):
    """In step 5; success in step 3 alone does not count, and a report that is missing is none."""

    class Reporting(UserEnv):
        def report(self):
            reports = {0: {5: np.True_}, 1: {3: True, 5: False}, 2: {3: 1.0}, 3: {1: False, 5: np.float32(1.0)}}
            value = reports[self.number].get(self.steps)
            return {} if value is None else {name: value}

        def reset(self, *, seed=None, options=None):
            self.number = seed
            return super().reset(seed=seed)

    played = FirstEpisodes(Reporting, 4).play(zeros, [0, 1, 2, 3])
    np.testing.assert_array_equal(played.successes, [1.0, 0.0, 0.0, 1.0])


def test_without_reports_there_are_no_successes():
    class Reporting(UserEnv):
        def report(self):
            return {"success": None, "is_success": np.zeros(2)}

    assert FirstEpisodes(Reporting, 1).play(zeros, [0]).successes is None
