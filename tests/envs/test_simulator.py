"""The batched simulator: every number is that of the environments, bit for bit."""

import gymnasium
import numpy as np
import pytest

from ssar_jax.envs.make import TerminalAliveBonus, make_env
from ssar_jax.envs.simulator import Simulator, supports

KINDS = [(name, physics) for name in ("halfcheetah", "hopper", "walker2d") for physics in ("d4rl-v2", "gymnasium")]
KINDS += [("antmaze-umaze", "d4rl-v2"), ("antmaze-large", "gymnasium")]


def assert_steps_agree(name, physics, *, num_envs, num_steps, threads, limit=None):
    """Steps N environments and a simulator with the same actions; resets what ended."""

    def build():
        env = make_env(name, physics)
        return env if limit is None else gymnasium.wrappers.TimeLimit(env, limit)

    envs, simulator = [build() for _ in range(num_envs)], Simulator(build(), num_envs, threads)
    rng = np.random.default_rng(0)
    for i, env in enumerate(envs):
        np.testing.assert_array_equal(simulator.reset(i, seed=i), env.reset(seed=i)[0])
    ended = 0
    for t in range(num_steps):
        rows = np.flatnonzero(rng.random(num_envs) < 0.8) if t % 3 == 0 else np.arange(num_envs)
        # Float32 as policies give them; they also leave the bounds, as noise may.
        actions = rng.uniform(-1.1, 1.1, (len(rows), envs[0].action_space.shape[0])).astype(np.float32)
        outcome = simulator.step(actions, rows, str)
        for k, i in enumerate(rows):
            observation, reward, terminated, truncated, _ = envs[i].step(actions[k])
            np.testing.assert_array_equal(outcome.observations[k], observation)
            assert (outcome.rewards[k], outcome.terminated[k], outcome.truncated[k]) == (reward, terminated, truncated)
            if terminated or truncated:
                seed = 1000 + ended
                np.testing.assert_array_equal(simulator.reset(i, seed), envs[i].reset(seed=seed)[0])
                ended += 1
    for env in (*envs, simulator):
        env.close()
    return ended


@pytest.mark.parametrize(("name", "physics"), KINDS)
def test_it_is_the_environment(name, physics):
    ended = assert_steps_agree(name, physics, num_envs=3, num_steps=60, threads=1, limit=25)
    assert ended >= 6


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(("name", "physics"), KINDS)
def test_it_is_the_environment_for_long(name, physics, threads):
    """10,000 steps in all, with the environments' own time limits."""
    assert assert_steps_agree(name, physics, num_envs=5, num_steps=2_000, threads=threads) > 0


def test_the_goal_of_a_maze_pays_and_ends():
    """The ant is set onto the goal of its episode, which differs from the others'."""
    simulator = Simulator(make_env("antmaze-umaze"), 2, threads=1)
    for i in range(2):
        simulator.reset(i, seed=i)
    assert not np.array_equal(*simulator._goals)
    simulator._qpos[1][:2] = simulator._goals[1]
    outcome = simulator.step(np.zeros((2, 8), np.float32), range(2), str)
    np.testing.assert_array_equal(outcome.rewards, [0.0, 1.0])
    np.testing.assert_array_equal(outcome.terminated, [False, True])
    simulator.close()


def test_it_stands_only_for_what_it_knows():
    """A wrapper or a subclass may change anything."""

    class Louder(gymnasium.Wrapper):
        pass

    assert supports(make_env("hopper"))
    assert supports(make_env("antmaze-medium"))
    assert not supports(Louder(make_env("hopper")))
    assert not supports(make_env("ant-direction"))
    assert not supports(make_env("Pendulum-v1"))
    assert not supports(
        TerminalAliveBonus(gymnasium.make("Hopper-v5", disable_env_checker=True, render_mode="rgb_array"), 1.0)
    )
