"""The guided ant: errands, waypoints, rows and rewards."""

import numpy as np
import pytest

from ssar_jax.behaviour.navigation import GuidedMaze, walk_guided
from ssar_jax.behaviour.policies import GaussianPolicy
from ssar_jax.behaviour.stages import stage_of
from ssar_jax.data.tasks import TASKS, get_task
from ssar_jax.envs.mazes import MAZES
from ssar_jax.envs.rollout import FirstEpisodes
from ssar_jax.episodes import Episode


def place(env, xy):
    """Puts the ant somewhere and returns what the next observation would be."""
    simulator = env.unwrapped
    qpos = simulator.data.qpos.copy()
    qpos[:2] = xy
    simulator.set_state(qpos, simulator.data.qvel)
    return env._guide(simulator._observe())


def starts_and_goals(maze, errand, episodes=60):
    env, seen = GuidedMaze(maze, errand), []
    for seed in range(episodes):
        observation, _ = env.reset(seed=seed)
        seen.append((env.unwrapped.maze.cell_at(observation[:2]), env.unwrapped.maze.cell_at(env.goal)))
    return {start for start, _ in seen}, {goal for _, goal in seen}


def test_errands_differ_in_where_they_start_and_lead():
    free = set(MAZES["medium"].free_cells)
    assert starts_and_goals("umaze", "fixed", 10) == ({MAZES["umaze"].start_cell}, {MAZES["umaze"].goal_cell})
    play_starts, play_goals = starts_and_goals("medium", "play")
    diverse_starts, diverse_goals = starts_and_goals("medium", "diverse")
    assert MAZES["medium"].goal_cell in play_goals
    assert len(play_goals) == 4
    assert min(len(play_starts), len(diverse_starts), len(diverse_goals)) > 0.7 * len(free)
    assert play_starts | play_goals | diverse_starts | diverse_goals <= free


@pytest.mark.parametrize("maze", ["umaze", "medium", "large"])
def test_a_point_that_follows_the_guide_arrives_without_touching_a_wall(maze):
    """A fifth of a meter at a time; the guide leads through free cells alone, half a meter off the walls."""
    env = GuidedMaze(maze, "diverse")
    for seed in range(5):
        observation, _ = env.reset(seed=seed)
        xy = observation[:2].copy()
        for _ in range(600):
            observation = place(env, xy)
            assert np.linalg.norm(observation[-2:]) == pytest.approx(1.0)
            xy = xy + 0.2 * observation[-2:]
            for corner in ((-0.5, -0.5), (-0.5, 0.5), (0.5, -0.5), (0.5, 0.5)):
                assert MAZES[maze].cell_at(xy + corner) in MAZES[maze].free_cells
            if np.linalg.norm(xy - env.goal) < 0.5:
                break
        assert np.linalg.norm(xy - env.goal) < 0.5
    env.close()


def test_the_guide_finds_back_after_a_detour():
    """From the goal's neighborhood the ant is carried to the far end; the way there is led again."""
    env = GuidedMaze("large", "fixed")
    env.reset(seed=0)
    maze = MAZES["large"]
    place(env, env.goal)
    far = maze.center((1, 10))
    direction = place(env, far)[-2:]
    first_step = maze.center(maze.path((1, 10), maze.goal_cell)[1]) - far
    assert direction @ (first_step / np.linalg.norm(first_step)) > 0.5


def test_rewards_are_the_evaluations_for_every_errand():
    """The reward is 1 at the evaluation's goal, drawn for every episode, and the episode continues."""
    env = GuidedMaze("umaze", "diverse")
    goals = []
    for seed in range(3):
        env.reset(seed=seed)
        goals.append(env.unwrapped.goal.copy())
        place(env, goals[-1])
        _, reward, terminated, truncated, _ = env.step(np.zeros(8))
        assert (reward, terminated, truncated) == (1.0, False, False)
        place(env, (0.0, 0.0))
        assert env.step(np.zeros(8))[1] == 0.0
    assert len(np.unique(goals, axis=0)) == 3
    fixed = GuidedMaze("umaze", "fixed")
    fixed.reset(seed=0)
    np.testing.assert_array_equal(fixed.goal, fixed.unwrapped.goal)


def test_episodes_have_a_row_more_than_the_horizon():
    env = GuidedMaze("umaze", "fixed")
    env.reset(seed=0)
    cuts = [env.step(np.zeros(8))[3] for _ in range(701)]
    assert cuts == [False] * 700 + [True]


def test_what_is_kept_of_an_episode():
    """The direction goes, and every row at the goal is terminal."""
    played = Episode(
        np.zeros((4, 31), np.float32),
        np.zeros((3, 8), np.float32),
        np.float32([0, 1, 1]),
        np.zeros(3, bool),
        np.array([False, False, True]),
    )
    kept = stage_of(get_task("antmaze-mp")).finish(played)
    assert kept.observations.shape == (4, 29)
    np.testing.assert_array_equal(kept.terminations, [False, True, True])
    np.testing.assert_array_equal(kept.truncations, [False, False, True])


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_every_task_has_a_stage(task):
    stage = stage_of(task)
    env = stage.make_env()
    observation, _ = env.reset(seed=0)
    extra = 2 if task.agent == "antmaze" else 0
    assert observation.shape == env.observation_space.shape == (task.observation_size + extra,)
    assert env.action_space.shape == (task.action_size,)
    env.close()


def test_the_walker_sees_proprioception_and_direction_and_gets_noise():
    """A linear policy without spread whose action is tanh of input 27, the direction's first number."""
    kernel = np.zeros((29, 16), np.float32)
    kernel[27, 0] = 1.0
    bias = np.r_[np.zeros(8), np.full(8, -50.0)].astype(np.float32)
    policy = GaussianPolicy([(kernel, bias)], 1.0, 0.0)
    observations = np.zeros((4000, 31))
    observations[:, 29] = 0.5
    actions = walk_guided(policy, np.random.default_rng(0), observations)
    # 4,000 draws of standard deviation 0.2: the mean is good to 4 * 0.2 / 63 = 0.013.
    np.testing.assert_allclose(actions.mean(axis=0), [np.tanh(0.5)] + [0.0] * 7, atol=0.013)
    np.testing.assert_allclose(actions[:, 1:].std(axis=0), 0.2, atol=0.01)
    assert np.abs(actions).max() <= 1.0


def test_guided_mazes_can_be_played_in_a_batch():
    """As the test of a tier does."""
    envs = FirstEpisodes(lambda: GuidedMaze("umaze", "fixed"), 2)
    returns, lengths, *_ = envs.play(lambda observations: np.zeros((2, 8)), [0, 1])
    envs.close()
    assert (returns.tolist(), lengths.tolist()) == ([0.0, 0.0], [701, 701])
