"""A run on a Minari dataset with dictionary observations: training, evaluation, and the policy afterwards."""

import json

import numpy as np
import pytest

from configs import td3_bc
from ssar_jax import evaluate, load_policy, make_env
from ssar_jax.envs.make import environment_name
from ssar_jax.errors import UserError
from ssar_jax.runs import offline, online
from ssar_jax.runs.evaluate import evaluate_checkpoint
from ssar_jax.runs.load import load_policies
from tests.data.helpers import user_error
from tests.data.minari_sets import write_point_goal
from tests.envs.point_goal import HORIZON, PointGoal


@pytest.fixture(scope="module", autouse=True)
def root(tmp_path_factory):
    """A folder for the dataset of this module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(tmp_path_factory.mktemp("minari")))
        write_point_goal(episodes=20)
        yield


def make_config(**environment):
    config = td3_bc.get_config("custom,variant=base")
    config.dataset.path = "test/point-goal-v0"
    config.environment.update(environment)
    config.num_updates, config.batch_size = 4, 8
    config.evaluation.interval, config.evaluation.episodes, config.checkpoint.every = 4, 2, 4
    config.critic.hidden_sizes = config.actor.hidden_sizes = (8,)
    return config


@pytest.fixture(scope="module")
def run(root, tmp_path_factory):
    """The folder of a finished run."""
    path = tmp_path_factory.mktemp("runs") / "one"
    assert offline.run(make_config(), path) == 0
    return path


def test_a_run_evaluates_in_the_environment_of_its_dataset(run, monkeypatch, tmp_path):
    """Again where the dataset is not: what a policy needs is in the run."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    summary = json.loads((run / "summary.json").read_text())
    scores = evaluate_checkpoint(run).content["seeds"][0]
    assert scores["return"] == pytest.approx(summary["final_return"][0])
    assert [episode["length"] for episode in scores["episodes"]] == [HORIZON, HORIZON]
    stored = load_policies(run)
    assert environment_name(stored.task.environment) == "PointGoal-v0"


def test_its_policy_takes_dictionaries_and_vectors(run):
    policy, raw = load_policy(run), PointGoal()
    env = make_env(load_policies(run).task.environment)
    observation, _ = raw.reset(seed=1)
    vector, _ = env.reset(seed=1)
    np.testing.assert_array_equal(policy(observation), policy(vector))
    stacked = {key: np.stack([value, value]) for key, value in observation.items()}
    np.testing.assert_allclose(policy(stacked)[1], policy(vector), rtol=1e-6)
    with user_error("the observation has no desired_goal"):
        policy({"observation": vector[2:], "achieved_goal": vector[:1]})
    with user_error("the policy takes observations [..., 4]"):
        policy(vector[:3])
    result = evaluate(policy, lambda: make_env(load_policies(run).task.environment), episodes=2)
    np.testing.assert_array_equal(result.lengths, [[HORIZON, HORIZON]])


def test_an_online_phase_needs_an_environment(tmp_path):
    """That of the dataset will do; off is none."""
    online.require_startable(make_config(), tmp_path / "a", resume=False, overwrite=False)
    with pytest.raises(UserError, match="no environment to fine-tune in"):
        online.require_startable(make_config(id="off"), tmp_path / "a", resume=False, overwrite=False)
