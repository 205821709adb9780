"""AntMaze's task, its walls and its silence. tests/envs/test_physics.py compares the ant with MuJoCo 2.1.0's."""

import subprocess
import sys

import mujoco
import numpy as np
import pytest

from ssar_jax.envs.antmaze import AntMazeEnv
from ssar_jax.envs.make import make_env
from ssar_jax.envs.mazes import MAZES
from ssar_jax.errors import UserError

STILL = np.zeros(8, np.float32)


@pytest.fixture(scope="module")
def umaze():
    return AntMazeEnv(MAZES["umaze"])


@pytest.mark.parametrize("name", MAZES)
def test_a_box_stands_on_every_wall_cell(name):
    """4 m x 4 m and 2 m high, on the ground."""
    maze = MAZES[name]
    model = AntMazeEnv(maze).model
    boxes = model.geom_type == mujoco.mjtGeom.mjGEOM_BOX
    expected = {(*maze.center(cell), 1.0) for cell in np.argwhere(maze.walls)}
    assert {tuple(position) for position in model.geom_pos[boxes]} == expected
    assert np.all(model.geom_size[boxes] == [2.0, 2.0, 1.0])


# A cell ends 2 m from its center and the torso's radius is 0.25 m. Along x three cells are free: 8 + 2 - 0.25.
@pytest.mark.parametrize(("push", "stops_at"), [((-1, 0), 1.75), ((0, -1), 1.75), ((0, 1), 1.75), ((1, 0), 9.75)])
def test_walls_stop_the_ant(umaze, push, stops_at):
    """Pushed at 5 m/s for 4 s, which would be 20 m; the push presses the torso 0.04 m into the wall."""
    umaze.reset(seed=0)
    for _ in range(40):
        velocity = umaze.data.qvel.copy()
        velocity[:2] = 5.0 * np.array(push)
        umaze.set_state(umaze.data.qpos, velocity)
        observation, *_ = umaze.step(STILL)
    assert observation[:2] @ push == pytest.approx(stops_at, abs=0.06)


def test_an_observation_is_the_position_in_the_maze_and_27_numbers(umaze):
    observation, _ = umaze.reset(seed=1)
    assert umaze.observation_space.shape == (29,)
    np.testing.assert_array_equal(observation[:2], umaze.xy)
    np.testing.assert_array_equal(observation, [*umaze.data.qpos, *umaze.data.qvel])
    observation, *_ = umaze.step(np.full(8, 0.5, np.float32))
    np.testing.assert_array_equal(observation, [*umaze.data.qpos, *umaze.data.qvel])


def test_reset_noise(umaze):
    """Uniform in ±0.1 around the pose in the start cell's center, 0.75 m high; velocities 0.1 times normal."""
    observations = np.array([umaze.reset(seed=seed)[0] for seed in range(300)])
    pose = [0, 0, 0.75, 1, 0, 0, 0, *np.zeros(8)]
    positions, quaternions, velocities = observations[:, :15] - pose, observations[:, 3:7], observations[:, 15:]
    np.testing.assert_allclose(np.linalg.norm(quaternions, axis=1), 1.0)
    free = np.delete(positions, range(3, 7), axis=1)
    assert np.all(np.abs(free) <= 0.1)
    assert np.all(np.abs(free).max(0) > 0.095)
    # Standard errors: 0.1 / sqrt(3 * 300) = 0.0033 and 0.1 / sqrt(300) = 0.006; of the deviation 0.004.
    assert np.all(np.abs(free.mean(0)) < 0.015)
    assert np.all(np.abs(velocities.mean(0)) < 0.03)
    np.testing.assert_allclose(velocities.std(0), 0.1, atol=0.02)


@pytest.mark.parametrize("name", MAZES)
def test_goal_noise_is_one_sided_and_new_at_every_reset(name):
    """U(0, 1) + U(0, 1/2): mean 0.75, deviation sqrt(1/12 + 1/48) = 0.32; 300 draws know the mean to 0.02."""
    env = AntMazeEnv(MAZES[name])
    env.reset(seed=0)
    goals = []
    for _ in range(300):
        env.reset()
        goals.append(env.goal)
    noise = np.array(goals) - env.maze.center(env.maze.goal_cell)
    assert len(np.unique(noise)) == 600
    assert np.all((noise >= 0.0) & (noise <= 1.5))
    assert np.all(noise.min(0) < 0.2)
    assert np.all(noise.max(0) > 1.3)
    np.testing.assert_allclose(noise.mean(0), 0.75, atol=0.08)


def test_seeded_resets_repeat(umaze):
    def two(seed):
        return [(*umaze.reset(seed=s)[0], *umaze.goal) for s in (seed, None)]

    first = two(3)
    assert first == two(3)
    assert first[0] != first[1]
    assert first != two(4)


@pytest.mark.parametrize(("distance", "reached"), [(0.499, True), (0.501, False)])
@pytest.mark.parametrize("terminates", [True, False])
def test_reward_within_half_a_meter(distance, reached, terminates):
    """The goal is put at that distance from where the step leads; it ends the episode where it is asked to."""
    env = AntMazeEnv(MAZES["umaze"], terminate_at_goal=terminates)

    def step():
        env.reset(seed=0)
        before = env.xy
        env.goal = goal
        _, reward, terminated, truncated, _ = env.step(np.ones(8, np.float32))
        return env.xy, before, (reward, terminated, truncated)

    goal = np.array([0.0, 8.0])
    after, before, outcome = step()
    assert not np.array_equal(before, after)
    assert outcome == (0.0, False, False)
    goal = after + distance * np.array([0.6, 0.8])
    assert step()[2] == (float(reached), reached and terminates, False)


def test_falling_ends_nothing(umaze):
    umaze.reset(seed=0)
    qpos = umaze.init_qpos.copy()
    qpos[2:7] = 0.3, 0.0, 1.0, 0.0, 0.0  # on its back
    umaze.set_state(qpos, np.zeros(14))
    for _ in range(5):
        assert umaze.step(STILL)[1:4] == (0.0, False, False)
    assert umaze.data.body("torso").xmat[8] < -0.9


def test_start_and_goal_can_be_chosen(umaze):
    """The reset's noise is on the start still; the next reset draws again."""
    for cell in umaze.maze.free_cells:
        center = umaze.maze.center(cell)
        observation, _ = umaze.reset(seed=0, options={"start": center, "goal": (4.0, 8.0)})
        assert np.all(np.abs(observation[:2] - center) <= 0.1)
        assert np.any(observation[:2] != center)
        np.testing.assert_array_equal(umaze.goal, [4.0, 8.0])
    observation, _ = umaze.reset()
    assert np.all(np.abs(observation[:2]) <= 0.1)
    assert np.all(umaze.goal != [4.0, 8.0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": (0.0, 4.0)}, r"start \[0\.0, 4\.0\] is not in a free cell: .* maze\.free_cells"),
        ({"goal_cell": (1, 1)}, "no reset option goal_cell: choose start or goal"),
    ],
)
def test_wrong_options(umaze, options, message):
    with pytest.raises(UserError, match=message):
        umaze.reset(options=options)


@pytest.mark.parametrize(
    ("environment", "horizon"),
    [("antmaze-umaze", 700), ("antmaze-medium", 1000), ("antmaze-large", 1000), ("ant-direction", 500)],
)
def test_horizons(environment, horizon, monkeypatch):
    """With an instant step in the simulator's place, for the time limit is a wrapper's."""
    env = make_env(environment)
    observation, _ = env.reset(seed=0)
    monkeypatch.setattr(env.unwrapped, "step", lambda action: (observation, 0.0, False, False, {}))
    truncations = [env.step(STILL)[3] for _ in range(horizon)]
    assert truncations == [False] * (horizon - 1) + [True]


def test_no_file_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    make_env("antmaze-umaze").close()
    assert list(tmp_path.iterdir()) == []


QUIET = """
import sys
from ssar_jax.envs.make import make_env
import ssar_jax.envs.antmaze
assert "gymnasium_robotics" not in sys.modules
env = make_env("antmaze-umaze")
env.reset(seed=0)
env.step(env.action_space.sample())
assert "gymnasium_robotics" in sys.modules
"""


def test_nothing_is_printed_and_nothing_imported_early():
    command = [sys.executable, "-W", "error", "-c", QUIET]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_an_unknown_maze_is_one_line_with_the_known_names():
    with pytest.raises(UserError, match="antmaze-umaze, antmaze-medium, antmaze-large, ant-direction"):
        make_env("antmaze-ultra")
