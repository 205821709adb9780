"""The training task of the embedded suite's ant: walking into a direction."""

import numpy as np
import pytest

from ssar_jax.envs.ant import AntDirectionEnv

ACTION = np.linspace(-1.0, 1.0, 8, dtype=np.float32)


@pytest.fixture(scope="module")
def env():
    return AntDirectionEnv()


def test_an_observation_is_the_proprioception_and_the_direction(env):
    observation, _ = env.reset(seed=0)
    assert env.observation_space.shape == (29,)
    np.testing.assert_array_equal(observation, [*env.data.qpos[2:], *env.data.qvel, *env.direction])
    assert np.hypot(*observation[27:]) == pytest.approx(1.0)


def test_the_reward_is_the_speed_into_the_direction(env):
    """A step takes 0.1 s, so the reward is ten times the displacement along the direction."""
    env.reset(seed=0)
    for direction in ([1.0, 0.0], [0.0, -1.0], [0.6, 0.8]):
        env.direction = np.array(direction)
        before = env.xy
        _, reward, *_ = env.step(ACTION)
        displacement = env.xy - before
        assert np.all(displacement != 0.0)
        assert reward == pytest.approx(10.0 * (displacement[0] * direction[0] + displacement[1] * direction[1]))


def test_the_direction_changes_every_hundred_steps(env):
    """Also after a reset in between; the last observation of a hundred shows the next direction already."""

    def directions(seed, steps):
        first, _ = env.reset(seed=seed)
        return np.array([first[27:], *(env.step(0.0 * ACTION)[0][27:] for _ in range(steps))])

    directions(0, 30)
    shown = directions(1, 205)
    changes = np.flatnonzero(np.any(np.diff(shown, axis=0) != 0.0, axis=1)) + 1
    np.testing.assert_array_equal(changes, [100, 200])
    np.testing.assert_array_equal(directions(1, 100), shown[:101])
    assert np.any(directions(2, 0) != shown[0])


def test_directions_are_uniform_on_the_circle(env):
    """The four quadrants hold 100 of 400 each, with a deviation of sqrt(400 * 3 / 16) = 8.7; the mean vanishes."""
    env.reset(seed=0)
    drawn = np.array([env.reset()[0][27:] for _ in range(400)])
    quadrants = np.bincount(2 * (drawn[:, 0] > 0) + (drawn[:, 1] > 0), minlength=4)
    assert np.all(np.abs(quadrants - 100) < 35)
    assert np.hypot(*drawn.mean(0)) < 0.15


@pytest.mark.parametrize(
    ("quaternion", "terminated"),
    [
        ((1.0, 0.0, 0.0, 0.0), False),
        ((0.0, 0.0, 0.0, 1.0), False),  # turned around the vertical axis
        ((0.8, 0.6, 0.0, 0.0), False),  # 74 degrees on its side
        ((0.6, 0.0, 0.8, 0.0), True),  # 106 degrees
        ((0.0, 1.0, 0.0, 0.0), True),
    ],
)
def test_lying_on_its_back_terminates(env, quaternion, terminated):
    """High in the air, so that the step of 0.1 s turns it little."""
    env.reset(seed=0)
    qpos = env.init_qpos.copy()
    qpos[2:7] = 3.0, *quaternion
    env.set_state(qpos, np.zeros(14))
    assert env.step(0.0 * ACTION)[2:4] == (terminated, False)
