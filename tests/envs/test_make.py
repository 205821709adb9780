"""Building environments: the terminal alive bonus, and clear errors."""

import gymnasium
import numpy as np
import pytest

from ssar_jax.envs.make import TerminalAliveBonus, make_env
from ssar_jax.errors import UserError


def one_step(environment, physics, lower_by, action):
    """One step from rest, lowered by some height: reward, whether terminal, forward speed."""
    env = make_env(environment, physics)
    env.reset(seed=0)
    simulator = env.unwrapped
    qpos = simulator.init_qpos.copy()
    qpos[1] -= lower_by
    simulator.set_state(qpos, np.zeros(simulator.model.nv))
    before = simulator.data.qpos[0]
    _, reward, terminated, _, _ = env.step(action)
    speed = (simulator.data.qpos[0] - before) / simulator.dt
    env.close()
    return reward, terminated, speed


# The legs' starting height is 1.25 m; hopper falls below 0.7 m, walker2d below 0.8 m: both terminal at 0.55 m.
@pytest.mark.parametrize("environment", ["hopper", "walker2d"])
@pytest.mark.parametrize(
    ("physics", "lower_by", "bonus"),
    [("d4rl-v2", 0.7, 1.0), ("d4rl-v2", 0.0, 1.0), ("gymnasium", 0.7, 0.0), ("gymnasium", 0.0, 1.0)],
)
def test_alive_bonus(environment, physics, lower_by, bonus):
    """Reward = speed + 1 - 0.001 |a|^2, the 1 on the terminal step too in v2, not there in v5; never 2."""
    size = {"hopper": 3, "walker2d": 6}[environment]
    reward, terminated, speed = one_step(environment, physics, lower_by, np.full(size, 0.5))
    assert terminated is (lower_by > 0.0)
    assert reward == pytest.approx(speed + bonus - 0.001 * size * 0.25, abs=1e-9)


@pytest.mark.parametrize("physics", ["d4rl-v2", "gymnasium"])
def test_halfcheetah_has_no_bonus(physics):
    """Reward = speed - 0.1 |a|^2, and no terminal state."""
    reward, terminated, speed = one_step("halfcheetah", physics, 0.0, np.full(6, 0.5))
    assert not terminated
    assert reward == pytest.approx(speed - 0.1 * 6 * 0.25, abs=1e-9)


class Ending(gymnasium.Env):
    """Ends after its first step, one way or the other, with reward 5."""

    observation_space = action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, terminated, truncated):
        self._end = terminated, truncated

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.zeros(1, np.float32), 5.0, *self._end, {}


@pytest.mark.parametrize(
    ("terminated", "truncated", "reward"),
    [(True, False, 7.0), (True, True, 7.0), (False, True, 5.0), (False, False, 5.0)],
)
def test_the_wrapper_pays_at_terminations_alone(terminated, truncated, reward):
    """A bonus of 2 on the reward of 5; running out of time ends no life."""
    env = TerminalAliveBonus(Ending(terminated, truncated), 2.0)
    env.reset(seed=0)
    assert env.step(np.zeros(1))[1:4] == (reward, terminated, truncated)


def test_the_named_environments_have_their_sizes_and_horizon():
    for environment, sizes in {"hopper": (11, 3), "halfcheetah": (17, 6), "walker2d": (17, 6)}.items():
        env = make_env(environment)
        assert (env.observation_space.shape[0], env.action_space.shape[0]) == sizes
        assert env.spec.max_episode_steps == 1000
        np.testing.assert_array_equal(env.action_space.high, np.ones(sizes[1]))
        env.close()


def test_registered_environments_can_be_had_by_id():
    env = make_env("CartPole-v1")
    assert env.spec.id == "CartPole-v1"
    env.close()


@pytest.mark.parametrize(
    "environment",
    [
        "halfcheeta",
        "Nowhere/Ant-v0",
        "no id at all!",
        "",
        "nowhere:Ant-v0",
    ],
)
def test_unknown_environment(environment):
    with pytest.raises(UserError) as error:
        make_env(environment)
    assert repr(environment) in str(error.value)
    assert "\n" not in str(error.value)


def test_unknown_physics_names_the_choices():
    with pytest.raises(UserError, match=r"'mujoco210' is unknown: choose one of d4rl-v2, gymnasium"):
        make_env("hopper", "mujoco210")
