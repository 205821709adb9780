"""Dictionary observations become vectors, the same ones as in the datasets."""

import gymnasium
import numpy as np
import pytest

from ssar_jax.envs.flattening import VectorObservations, layout_of, with_vectors
from ssar_jax.envs.make import environment_name, make_env, time_limit
from ssar_jax.envs.rollout import FirstEpisodes
from tests.data.helpers import user_error
from tests.envs.point_goal import HORIZON, PointGoal, goal_space, spec


@pytest.fixture
def registered():
    gymnasium.register("PointGoal-v0", PointGoal, max_episode_steps=HORIZON)
    yield "PointGoal-v0"
    del gymnasium.registry["PointGoal-v0"]


def test_vectors_are_those_of_flatten_observation(registered):
    env, reference = make_env(registered), gymnasium.wrappers.FlattenObservation(PointGoal())
    assert env.observation_space == reference.observation_space
    observation, _ = env.reset(seed=3)
    expected, _ = reference.reset(seed=3)
    np.testing.assert_array_equal(observation, expected)
    assert observation.shape == (4,)
    np.testing.assert_array_equal(env.step(np.ones(1, np.float32))[0], reference.step(np.ones(1))[0])
    assert time_limit(registered, env) == HORIZON
    assert str(layout_of(env, registered)) == "achieved_goal (1), desired_goal (1), observation (2)"


def test_antmaze_has_d4rls_order():
    env = PointGoal()
    assert with_vectors(env, "AntMaze_UMaze-v5").observation_space.shape == (3,)
    assert with_vectors(env, "PointMaze-v5").observation_space.shape == (4,)


def test_environments_with_vectors_stay_as_they_are():
    env = gymnasium.make("Pendulum-v1")
    assert with_vectors(env, "Pendulum-v1") is env
    assert layout_of(env, "Pendulum-v1") is None


def test_an_entry_that_is_no_array_is_named():
    env = PointGoal()
    inner = gymnasium.spaces.Dict({"mission": gymnasium.spaces.Text(5), "x": gymnasium.spaces.Box(0, 1)})
    env.observation_space = gymnasium.spaces.Dict({"robot": inner})
    with user_error("environment Mine-v0: its observation robot.mission is Text(", "FlattenObservation"):
        with_vectors(env, "Mine-v0")


def test_a_policy_sees_the_goal_and_reaches_it(registered):
    """The first action moves the point to its goal; the return is then 0 but for rounding."""

    def policy(observations):
        return np.clip(observations[:, [1]] - observations[:, [0]], -2.0, 2.0)

    envs = FirstEpisodes(lambda: make_env(registered), 3)
    returns, lengths, *_ = envs.play(policy, [0, 1, 2])
    envs.close()
    np.testing.assert_allclose(returns, 0.0, atol=1e-5)
    np.testing.assert_array_equal(lengths, HORIZON)


def test_a_dataset_describes_an_environment_that_is_not_registered():
    description = spec(kwargs={"reach": 0.5}).to_json()
    env = make_env(description)
    assert isinstance(env, VectorObservations)
    assert float(env.action_space.high[0]) == 0.5
    assert environment_name(description) == "PointGoal-v0"
    assert time_limit(description, env) == HORIZON
    assert environment_name("hopper") == "hopper"


def test_fields_of_older_versions_of_gymnasium_are_left_out():
    description = spec().to_json().replace("{", '{"autoreset": false, "apply_api_compatibility": false, ', 1)
    assert make_env(description).observation_space.shape == (4,)


class Failing(gymnasium.Env):
    """Does not fit what is installed."""

    def __init__(self):
        raise AssertionError


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        (
            {"entry_point": "no_such_arms.envs:Arm"},
            ("No module named 'no_such_arms'", "pip install no-such-arms"),
        ),
        ({"entry_point": "tests.envs.point_goal:Gone"}, ("Gone",)),
        ({"kwargs": {"gravity": 1.0}}, ("gravity",)),
        ({"entry_point": "tests.envs.test_flattening:Failing"}, ("cannot be made: AssertionError",)),
        ({"entry_point": None}, ("PointGoal-v0",)),
    ],
)
def test_a_described_environment_that_cannot_be_made(changes, parts):
    with user_error(
        "the dataset's environment 'PointGoal-v0' cannot be made: ", *parts, "set --config.environment.id", "to off"
    ):
        make_env(spec(**changes).to_json())


def test_bounds_of_the_vectors_are_those_of_the_entries():
    env = PointGoal()
    env.observation_space = gymnasium.spaces.Dict(
        {"b": gymnasium.spaces.Box(-1.0, 3.0, (2,)), "a": goal_space(x=1)["x"]}
    )
    space = with_vectors(env, "Mine-v0").observation_space
    np.testing.assert_array_equal(space.low, [-np.inf, -1.0, -1.0])
    np.testing.assert_array_equal(space.high, [np.inf, 3.0, 3.0])
