"""The data of a config: selection rules, physics, custom datasets and the preparation that a policy needs."""

import json
import logging
import shutil

import gymnasium
import h5py
import numpy as np
import pytest
from gymnasium.envs.classic_control.pendulum import PendulumEnv

from configs import cql, td3_bc
from ssar_jax.data.dataset import DataSource, OfflineDataset
from ssar_jax.data.scaling import prepare
from ssar_jax.data.sources.minari import minari_directory, read_minari
from ssar_jax.data.sources.minari_writing import write_minari
from ssar_jax.data.tasks import get_task
from ssar_jax.envs.make import environment_name, make_env
from ssar_jax.episodes import Episode
from ssar_jax.runs.data import load_data, load_environment, load_layout, load_preparation
from ssar_jax.runs.data import select as select_rows
from tests.data.helpers import trajectories, user_error
from tests.data.minari_sets import write_point_goal, write_set
from tests.envs.point_goal import PointGoal, goal_space, spec

# Ten trajectories with returns 1 to 10, one of them in two steps.
TEN = trajectories(*[[float(i)] for i in range(1, 10)], [4.0, 6.0])


def from_d4rl(dataset):
    source = DataSource("d4rl", "hopper-medium-v2")
    return OfflineDataset(**dataset.arrays(), source=source)


def select(dataset, **changes):
    """Applies the selection rule of a config with these fields."""
    config = td3_bc.get_config("hopper-m")
    config.selection.update(changes)
    return select_rows(config, dataset, prepare(dataset))


def save(dataset, path):
    dataset.save_npz(path)
    return str(path)


def small_dataset(observation_size, action_size, low=-1.0, high=1.0, rows=40):
    rng = np.random.default_rng(0)
    observations = rng.normal(size=(rows + 1, observation_size))
    actions = np.linspace(low, high, rows)[:, None] * np.ones(action_size)
    return {
        "observations": observations[:-1],
        "actions": actions,
        "rewards": rng.normal(size=rows),
        "masks": np.arange(rows) % 10 < 9,
        "next_observations": observations[1:],
    }


def test_no_rule_trusts_every_row():
    selection = select(TEN, rule="none")
    assert (selection.fraction, selection.threshold) == (1.0, None)


def test_published_thresholds_are_for_d4rls_files_only(caplog):
    """Above 8: the trajectories with returns 9 and 10, three of eleven rows. Elsewhere the best 30 %, 8 to 10."""
    rule = {"rule": "return", "threshold": 8.0}
    selection = select(from_d4rl(TEN), **rule)
    np.testing.assert_array_equal(selection.trusted, [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1])
    assert selection.threshold == 8.0
    elsewhere = select(TEN, **rule)
    np.testing.assert_array_equal(elsewhere.trusted, [0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1])
    assert elsewhere.threshold == 7.0  # the best return left out
    assert caplog.text == ""


def test_a_custom_threshold_is_used_for_custom_data():
    """Above 8: the trajectories with returns 9 and 10."""
    config = td3_bc.get_config("custom")
    config.selection.update({"rule": "return", "threshold": 8.0})
    np.testing.assert_array_equal(select_rows(config, TEN, prepare(TEN)).trusted, [0] * 8 + [1] * 3)


def test_the_best_fraction():
    selection = select(from_d4rl(TEN), rule="top_fraction", fraction=0.1)
    np.testing.assert_array_equal(selection.trusted, [0] * 9 + [1, 1])


def test_success_is_a_positive_last_reward():
    data = trajectories([0.0, 0.0], [0.0, 1.0])
    np.testing.assert_array_equal(select(data, rule="success").trusted, [0, 0, 1, 1])


def umaze_diverse(kind):
    """Two episodes of 1,000 rows; in the first the goal is reached in row 799, in the second in row 1,100."""
    rows = np.arange(2000.0)[:, None]
    terminal = np.isin(np.arange(2000), (799, 1100))
    return OfflineDataset.from_arrays(
        observations=rows * np.ones(29),
        actions=np.zeros((2000, 8)),
        rewards=terminal.astype(float),
        masks=~terminal,
        next_observations=(rows + 1) * np.ones(29),
        episode_ends=np.arange(2000) % 1000 == 999,
        source=DataSource(kind, "antmaze-umaze-diverse-v2"),
    )


def select_success(dataset):
    config = cql.get_config("antmaze-ud")
    config.selection.rule = "success"
    return np.flatnonzero(select_rows(config, dataset, prepare(dataset)).trusted)


def test_success_on_d4rls_umaze_diverse_is_cut_at_the_horizon():
    """Of the first episode only the rows after the cut at 700, as in the authors' program; elsewhere all 800."""
    second = np.arange(1000, 1101)
    np.testing.assert_array_equal(select_success(umaze_diverse("d4rl")), np.append(np.arange(700, 800), second))
    np.testing.assert_array_equal(select_success(umaze_diverse("path")), np.append(np.arange(800), second))


def test_an_unknown_rule_is_one_line():
    with user_error("selection.rule 'best' is unknown", "choose none, return, top_fraction, success or advantage"):
        select(TEN, rule="best")


def test_too_small_a_selection_is_refused_on_request():
    with user_error("contains 0.1818 of the data", "selection.min_fraction=0.2"):  # 2 of 11 rows
        select(from_d4rl(TEN), rule="return", threshold=9.5, min_fraction=0.2)


def test_an_empty_selection_is_a_warning(caplog):
    with caplog.at_level(logging.WARNING):
        selection = select(from_d4rl(TEN), rule="return", threshold=10.0)
    assert selection.fraction == 0.0
    assert "THE SELECTION IS EMPTY: the threshold is a return of 10.0, " in caplog.text
    assert "the best trajectory of the data has 10.0." in caplog.text


def test_data_from_a_path(tmp_path):
    config = td3_bc.get_config("hopper-m")
    config.dataset.path = save(OfflineDataset.from_arrays(**small_dataset(11, 3)), tmp_path / "mine.npz")
    data = load_data(config)
    assert data.task == get_task("hopper-m")
    assert (data.physics, data.action_scaling) == ("d4rl-v2", None)
    described = data.describe()
    assert (described["data_source"], described["data_name"]) == ("path", "mine.npz")
    assert (described["num_transitions"], described["physics"]) == (40, "d4rl-v2")
    assert described["dataset_hash"] == data.dataset.content_hash
    assert described["selection_fraction"] == data.selection.fraction == pytest.approx(0.25)  # one of four
    np.testing.assert_allclose(data.prepared.transitions.observations.mean(axis=0), 0.0, atol=1e-6)


def test_minaris_datasets_are_evaluated_in_their_physics(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    config = td3_bc.get_config("hopper-m")
    config.dataset.source, config.dataset.path = "minari", "mujoco/hopper/medium-v0"
    zeros = np.zeros(4)
    episode = Episode(np.zeros((5, 11)), np.zeros((4, 3)), zeros, zeros.astype(bool), np.arange(4) == 3)
    write_minari(config.dataset.path, [episode], description="")
    assert read_minari(config.dataset.path).source.kind == "minari"
    assert load_data(config).physics == "gymnasium"
    config.physics = "d4rl-v2"
    assert load_data(config).physics == "d4rl-v2"


def custom_config(path, **changes):
    config = td3_bc.get_config("custom")
    config.dataset.path = str(path)
    config.environment.id = changes.pop("environment", None)
    config.dataset.update(changes)
    return config


def test_custom_data_with_custom_bounds(tmp_path):
    """Actions from 0 to 10 become -1 to 1, and back for the policy: 0 is the middle, 5."""
    np.savez(tmp_path / "mine.npz", **small_dataset(4, 2, 0.0, 10.0))
    data = load_data(custom_config(tmp_path / "mine.npz", action_low=0.0, action_high=10.0))
    assert (data.task.observation_size, data.task.action_size, data.task.environment) == (4, 2, None)
    np.testing.assert_allclose(data.dataset.actions[[0, -1]], [[-1, -1], [1, 1]])
    data.save_preparation(tmp_path / "preparation.npz")
    scaling, bounds, action_size = load_preparation(tmp_path / "preparation.npz")
    np.testing.assert_array_equal(scaling.mean, data.prepared.observation_scaling.mean)
    np.testing.assert_array_equal(scaling.std, data.prepared.observation_scaling.std)
    np.testing.assert_array_equal(bounds.from_unit(np.array([-1.0, 0.0])), [0.0, 5.0])
    assert action_size == 2


def test_custom_data_with_the_environments_bounds(tmp_path):
    """Pendulum's torque is in [-2, 2]."""
    np.savez(tmp_path / "mine.npz", **small_dataset(3, 1, -2.0, 2.0))
    data = load_data(custom_config(tmp_path / "mine.npz", environment="Pendulum-v1"))
    assert data.task.environment == "Pendulum-v1"
    np.testing.assert_allclose(data.dataset.actions[[0, -1]], [[-1], [1]])
    np.testing.assert_array_equal(data.action_scaling.high, [2.0])


def test_custom_data_without_bounds_are_used_unchanged(tmp_path):
    np.savez(tmp_path / "mine.npz", **small_dataset(3, 1))
    data = load_data(custom_config(tmp_path / "mine.npz"))
    assert data.action_scaling is None
    np.testing.assert_array_equal(data.dataset.actions, np.float32(small_dataset(3, 1)["actions"]))
    data.save_preparation(tmp_path / "preparation.npz")
    assert load_preparation(tmp_path / "preparation.npz")[1] is None


@pytest.mark.parametrize("kind", ["npz", "hdf5", "minari"])
@pytest.mark.parametrize("task", ["custom", "hopper-m"])
def test_actions_slightly_outside_are_clipped_by_the_config_field(tmp_path, monkeypatch, caplog, task, kind):
    """In every kind of file; unset, they are refused."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    columns = small_dataset(11, 3, high=1.09)
    path = tmp_path / f"mine.{kind}"
    if kind == "npz":
        np.savez(path, **columns)
    elif kind == "hdf5":
        with h5py.File(path, "w") as file:
            for name in ("observations", "actions", "rewards"):
                file[name] = columns[name]
            file["terminals"] = ~columns["masks"]
            file["timeouts"] = np.zeros(40, bool)
    else:
        states = np.append(columns["observations"], columns["next_observations"][-1:], axis=0)
        episode = Episode(states, columns["actions"], columns["rewards"], ~columns["masks"], np.zeros(40, bool))
        path = write_minari("toy/mine-v0", [episode], description="")
    config = td3_bc.get_config(task)
    config.dataset.path = str(path)
    with user_error("not in [-1, 1]", "dataset.clip_actions=1.0 clips"):
        load_data(config)
    config.dataset.clip_actions = 1.0
    data = load_data(config)
    assert data.prepared.transitions.actions.max() == 1.0
    assert "action values were outside their bounds and are clipped; the farthest was 1.0" in caplog.text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"environment": "CartPole-v1"}, "environment.id=CartPole-v1 has actions Discrete(2)"),
        ({"environment": "NoSuch-v0"}, "environment 'NoSuch-v0' cannot be made"),
        ({"action_low": -1.0}, "dataset.action_low and dataset.action_high go together"),
        ({"action_low": (0.0, 0.0), "action_high": 1.0}, "there are action bounds for 2"),
        ({"action_low": 5.0, "action_high": 6.0}, "outside the bounds [5, 6]; they come from the environment"),
    ],
)
def test_custom_data_that_do_not_fit(tmp_path, changes, message):
    np.savez(tmp_path / "mine.npz", **small_dataset(3, 1))
    with user_error(message):
        load_data(custom_config(tmp_path / "mine.npz", **changes))


@pytest.mark.parametrize(
    ("environment", "sizes", "physics"),
    [("Pendulum-v1", (3, 1), "gymnasium"), ("Hopper-v5", (11, 3), "gymnasium"), ("hopper", (11, 3), "d4rl-v2")],
)
def test_registered_environments_are_used_unchanged(tmp_path, environment, sizes, physics):
    np.savez(tmp_path / "mine.npz", **small_dataset(*sizes))
    assert load_data(custom_config(tmp_path / "mine.npz", environment=environment)).physics == physics


def test_a_registered_environment_has_no_other_physics(tmp_path):
    np.savez(tmp_path / "mine.npz", **small_dataset(3, 1))
    config = custom_config(tmp_path / "mine.npz", environment="Pendulum-v1")
    config.physics = "d4rl-v2"
    with user_error("physics=d4rl-v2 is for environment.id=halfcheetah|hopper|", "not for Pendulum-v1: leave it out"):
        load_data(config)


def test_without_an_environment_there_is_no_physics_to_choose(tmp_path):
    np.savez(tmp_path / "mine.npz", **small_dataset(3, 1))
    config = custom_config(tmp_path / "mine.npz")
    assert load_data(config).physics == "gymnasium"
    config.physics = "d4rl-v2"
    with user_error("physics=d4rl-v2 has no effect: without environment.id nothing is simulated; leave it out, or set"):
        load_data(config)


@pytest.mark.parametrize(
    ("environment", "sizes", "horizon", "rows", "lengths"),
    [
        ("Pendulum-v1", (3, 1), 200, 500, [199, 199, 99]),
        ("antmaze-umaze", (29, 8), 700, 1500, [699, 699, 99]),
        ("ant-direction", (29, 8), 500, 600, [499, 99]),
    ],
)
def test_timeouts_are_those_of_the_environment_if_the_file_has_none(
    tmp_path, caplog, environment, sizes, horizon, rows, lengths
):
    """Every time-out and the last row are dropped: Pendulum's 500 rows of 200 steps are 199, 199 and 99."""
    columns = small_dataset(*sizes, low=-1.0, high=1.0, rows=rows)
    with h5py.File(tmp_path / "mine.hdf5", "w") as file:
        for name in ("observations", "actions", "rewards"):
            file[name] = columns[name]
        file["terminals"] = np.zeros(rows, bool)
    data = load_data(custom_config(tmp_path / "mine.hdf5", environment=environment))
    assert data.task.horizon == horizon
    np.testing.assert_array_equal(data.dataset.episode_lengths(), lengths)
    assert f"has no 'timeouts': episodes are cut after at most {horizon} steps" in caplog.text


def test_an_environment_without_a_time_limit_is_a_warning(tmp_path, caplog):
    """Its evaluation might not end."""
    gymnasium.register("Endless-v0", "gymnasium.envs.classic_control.pendulum:PendulumEnv")
    np.savez(tmp_path / "mine.npz", **small_dataset(3, 1, -2.0, 2.0))
    load_data(custom_config(tmp_path / "mine.npz", environment="Pendulum-v1"))
    assert caplog.text == ""
    load_data(custom_config(tmp_path / "mine.npz", environment="Endless-v0"))
    del gymnasium.registry["Endless-v0"]
    assert "environment.id=Endless-v0 has no time limit" in caplog.text


def test_an_environment_without_action_bounds_needs_custom_ones(tmp_path):
    gymnasium.register("Unbounded-v0", make_unbounded, max_episode_steps=5)
    np.savez(tmp_path / "mine.npz", **small_dataset(3, 1, -2.0, 2.0))
    with user_error("environment.id=Unbounded-v0 has unbounded actions, Box(-inf, inf", "dataset.action_low"):
        load_data(custom_config(tmp_path / "mine.npz", environment="Unbounded-v0"))
    bounds = {"action_low": -2.0, "action_high": 2.0}
    data = load_data(custom_config(tmp_path / "mine.npz", environment="Unbounded-v0", **bounds))
    del gymnasium.registry["Unbounded-v0"]
    np.testing.assert_array_equal(data.action_scaling.high, [2.0])


def make_unbounded(**options):
    env = PendulumEnv(**options)
    env.action_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,))
    return env


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((4, 1), "observations have size 4, but environment.id=Pendulum-v1 has 3"),
        ((3, 2), "actions have size 2, but environment.id=Pendulum-v1 has 1"),
    ],
)
def test_custom_data_must_have_the_environments_sizes(tmp_path, sizes, message):
    np.savez(tmp_path / "mine.npz", **small_dataset(*sizes))
    config = custom_config(tmp_path / "mine.npz", environment="Pendulum-v1", action_low=-2.0, action_high=2.0)
    with user_error(message):
        load_data(config)


def point_goal_config(**changes):
    config = custom_config("test/point-goal-v0", **changes)
    config.evaluation.episodes = 2
    return config


@pytest.fixture
def point_goal(tmp_path, monkeypatch):
    """Writes a dataset that names its environment; returns a function that writes it in another way."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))

    def write(**options):
        shutil.rmtree(tmp_path / "minari", ignore_errors=True)
        write_point_goal(**options)

    write()
    return write


def test_a_minari_set_brings_its_environment_and_its_bounds(point_goal, tmp_path):
    """Its actions are in [-2, 2]; its environment, which is not registered, has a time limit of 6."""
    data = load_data(point_goal_config())
    env = make_env(data.task.environment)
    assert environment_name(data.task.environment) == "PointGoal-v0"
    assert (data.task.horizon, data.physics, env.observation_space.shape) == (6, "gymnasium", (4,))
    np.testing.assert_array_equal(data.action_scaling.high, [2.0])
    assert 0.5 < np.abs(data.dataset.actions).max() <= 1.0
    card = data.dataset.card()
    assert "policies are evaluated in the dataset's environment PointGoal-v0; --config.environment.id chooses" in card
    assert "observations are achieved_goal (1), desired_goal (1), observation (2), in this order" in card
    data.save_preparation(tmp_path / "preparation.npz")
    assert load_layout(tmp_path / "preparation.npz") == data.layout
    assert load_environment(tmp_path / "preparation.npz") == data.task.environment


def test_the_environment_for_evaluation_comes_first(point_goal):
    point_goal(eval_env=spec(id="Easy-v0"))
    assert environment_name(load_data(point_goal_config()).task.environment) == "Easy-v0"


def test_the_config_chooses_another_environment_or_none(point_goal, tmp_path, caplog):
    """With an environment of the config, the bounds are that environment's, and a warning names both."""
    load_data(point_goal_config())
    assert "a score means something only if" not in caplog.text
    gymnasium.register("Far-v0", "tests.envs.point_goal:PointGoal", max_episode_steps=3, kwargs={"reach": 4.0})
    try:
        data = load_data(point_goal_config(environment="Far-v0"))
    finally:
        del gymnasium.registry["Far-v0"]
    assert (data.task.environment, data.task.horizon) == ("Far-v0", 3)
    assert "is from PointGoal-v0, but policies are evaluated in Far-v0" in caplog.text
    np.testing.assert_array_equal(data.action_scaling.high, [4.0])
    assert "policies are evaluated" not in data.dataset.card()
    off = load_data(point_goal_config(environment="off"))
    assert off.task.environment is None
    np.testing.assert_array_equal(off.action_scaling.high, [2.0])
    off.save_preparation(tmp_path / "preparation.npz")
    assert load_environment(tmp_path / "preparation.npz") is None
    assert load_layout(tmp_path / "preparation.npz") == off.layout
    bounds = load_data(point_goal_config(action_low=-3.0, action_high=3.0))
    np.testing.assert_array_equal(bounds.action_scaling.high, [3.0])


def test_an_environment_with_other_observations_is_refused(point_goal):
    """Three of four arrays have another size, although the sum of all sizes is the same."""
    point_goal(env=spec(entry_point="tests.runs.test_data:OtherPointGoal"))
    with user_error(
        "observations are achieved_goal (1), desired_goal (1), observation (2), but the dataset's environment "
        "PointGoal-v0 has achieved_goal (2), desired_goal (1), observation (1): choose the environment"
    ):
        load_data(point_goal_config())


class OtherPointGoal(PointGoal):
    """Its arrays have other sizes, and the same sum of sizes."""

    def __init__(self):
        super().__init__()
        self.observation_space = goal_space(achieved_goal=2, desired_goal=1, observation=1)

    def reset(self, *, seed=None, options=None):
        _, info = super().reset(seed=seed)
        return self.observation_space.sample(), info

    def step(self, action):
        return self.observation_space.sample(), *super().step(action)[1:]


def test_an_environment_of_a_set_that_cannot_be_made_names_the_remedy(point_goal):
    file = minari_directory() / "test" / "point-goal-v0" / "data" / "metadata.json"
    file.write_text(
        json.dumps(json.loads(file.read_text()) | {"env_spec": spec(entry_point="no_such_arms:Arm").to_json()})
    )
    with user_error("environment 'PointGoal-v0' cannot be made", "pip install no-such-arms", "or to off"):
        load_data(point_goal_config())
    assert load_data(point_goal_config(environment="off")).task.environment is None


def test_the_physics_of_an_environment_of_a_set_cannot_be_chosen(point_goal):
    config = point_goal_config()
    config.physics = "d4rl-v2"
    with user_error("physics=d4rl-v2 is for environment.id=halfcheetah|hopper|", "not for PointGoal-v0: leave it out"):
        load_data(config)


def test_actions_within_minus_one_and_one_are_not_scaled(point_goal):
    """So a dataset without an environment keeps its content hash."""
    write_set("test/unit-v0", [np.zeros((5, 2), np.float32)], gymnasium.spaces.Box(-1.0, 1.0, (2,)))
    assert load_data(custom_config("test/unit-v0")).action_scaling is None


def test_paths_of_datasets_as_users_write_them(tmp_path, monkeypatch):
    np.savez(tmp_path / "mine.npz", **small_dataset(3, 1))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PLACE", str(tmp_path))
    for written in ("mine.npz", "~/mine.npz", "$PLACE/mine.npz", str(tmp_path / "mine.npz")):
        assert load_data(custom_config(written)).dataset.source.location == str(tmp_path / "mine.npz")
