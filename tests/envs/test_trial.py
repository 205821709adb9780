"""Environments that cannot be used are refused in one line that names what they do."""

import gymnasium
import jax.numpy as jnp
import numpy as np
import pytest

from ssar_jax.envs.make import make_env
from ssar_jax.envs.trial import require_usable
from ssar_jax.errors import UserError
from tests.data.helpers import user_error
from tests.envs.user_env import UserEnv


class OldStep(UserEnv):
    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, terminated or truncated, info


class OldReset(UserEnv):
    def reset(self, *, seed=None, options=None):
        return super().reset(seed=seed)[0]


class NoSeed(UserEnv):
    def reset(self):
        return super().reset()


class ArrayReward(UserEnv):
    def reward(self, action):
        return 1.0 - action


class NaNReward(UserEnv):
    def reward(self, action):
        return np.float64("nan")


class LongObservation(UserEnv):
    def observe(self):
        return np.zeros(4)


class LongAfterReset(UserEnv):
    def observe(self):
        return np.zeros(3 + self.steps)


class NaNObservation(UserEnv):
    def observe(self):
        return np.array([0.0, np.nan, 0.0])


class TextObservation(UserEnv):
    def observe(self):
        return "start"


class WrongActions(UserEnv):
    def __init__(self):
        super().__init__()
        self.action_space = gymnasium.spaces.Box(0, 5, (1,), np.int64)


class Raising(UserEnv):
    def step(self, action):
        return {}["speed"]


class RaisingReset(UserEnv):
    def reset(self, *, seed=None, options=None):
        raise ValueError("no license")


class NoInfo(UserEnv):
    def report(self):
        return None


class TextEnd(UserEnv):
    def step(self, action):
        observation, reward, _, truncated, info = super().step(action)
        return observation, reward, "no", truncated, info


CASES = [
    (
        OldStep,
        ("it returns 4 values (ndarray, float, bool, dict)", "(observation, reward, terminated, truncated, info)"),
    ),
    (OldReset, ("reset returned an array of shape (3,)", "which returns (observation, info)")),
    (NoSeed, ("fails in reset(seed=0) (TypeError", "define reset(self, *, seed=None, options=None)")),
    (ArrayReward, ("step returned the reward an array of shape (1,): return a number, such as float(reward)",)),
    (NaNReward, ("step returned the reward nan: rewards must be finite",)),
    (LongObservation, ("reset returned an observation of shape (4,), but observation_space has (3,)",)),
    (LongAfterReset, ("step returned an observation of shape (4,), but observation_space has (3,)",)),
    (NaNObservation, ("reset returned an observation with entry 1 = nan: it must be finite",)),
    (TextObservation, ("reset returned 'start' as observation: return an array",)),
    (WrongActions, ("has int64 actions: give its action_space a float dtype",)),
    (Raising, ("fails in step([0.0]) (KeyError: 'speed', in ", "test_trial.py:")),
    (RaisingReset, ("fails in reset(seed=0) (ValueError: no license, in ", "): correct the environment")),
    (NoInfo, ("step returned None as info: return a dictionary",)),
    (TextEnd, ("step returned 'no' as terminated: return True or False",)),
]


@pytest.mark.parametrize("limited", [False, True], ids=["bare", "with a time limit"])
@pytest.mark.parametrize(("kind", "messages"), CASES, ids=lambda value: getattr(value, "__name__", ""))
def test_what_cannot_be_used_is_one_line(kind, messages, limited):
    """A wrapper such as the time limit fails before its caller sees what an old environment returns."""
    if limited and kind is OldStep:
        messages = ("it returns 4 values", "fails in step([0.0]) (ValueError: not enough values to unpack")
    elif kind is OldStep:
        messages = ("step returned 4 values (ndarray, float, bool, dict)", messages[1])
    env = gymnasium.wrappers.TimeLimit(kind(), 9) if limited else kind()
    with pytest.raises(UserError) as raised:
        require_usable(env, "environment.id=Mine-v0")
    text = str(raised.value)
    assert text.startswith("environment.id=Mine-v0")
    assert "\n" not in text
    for message in messages:
        assert message in text


def test_other_spaces_are_refused():
    for name, kind in (("CartPole-v1", "action"), ("Blackjack-v1", "observation")):
        with user_error(f"environment.id={name} has {kind}s ", "continuous vectors are needed"):
            require_usable(gymnasium.make(name), f"environment.id={name}")


@pytest.mark.parametrize("name", ["hopper", "antmaze-umaze", "Pendulum-v1"])
def test_environments_that_work_are_accepted(name):
    env = make_env(name)
    require_usable(env, name)
    env.close()


@pytest.mark.parametrize("kind", [float, np.float32, np.array, jnp.float32, int])
def test_a_reward_may_be_any_scalar(kind):
    class Paying(UserEnv):
        def reward(self, action):
            return kind(1.0)

    require_usable(Paying(), "environment")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_environment_that_checks_its_actions_is_accepted(dtype):
    require_usable(UserEnv(dtype), "environment")
    bare = UserEnv(dtype)
    bare.action_space = gymnasium.spaces.Box(0.1, 0.3, (1,), dtype)  # zero is not among its actions
    require_usable(bare, "environment")
