"""Runs in environments of the user's own, which check, fail, never end, and report successes."""

import csv
import json
import os
import shutil
import signal

import gymnasium
import numpy as np
import pytest

from experiments.cli.config_files import load_config
from ssar_jax.logs.run_log import RunLog
from ssar_jax.runs import offline, online
from ssar_jax.runs.evaluate import evaluate_checkpoint
from ssar_jax.runs.load import load_policy
from ssar_jax.runs.scores import Scorer
from ssar_jax.runs.storage.lengthening import shorter_config
from tests.data.helpers import user_error
from tests.envs.user_env import UserEnv
from tests.smoke import small_run

CONFIG = "configs/td3_bc.py:custom,variant=base,preset=short"
SHORT = (
    "--config.environment.id=Mine-v0", "--config.num_updates=60", "--config.evaluation.interval=20",
    "--config.checkpoint.every=40",
)  # fmt: skip
ONLINE = ("--config.online.num_steps=60", "--config.online.warmup_steps=10", "--config.online.buffer=all")


class Mine(UserEnv):
    """What happens at every step is set by the tests."""

    hook = staticmethod(lambda env: None)

    def __init__(self, length=5):
        super().__init__(np.float32, length)

    def step(self, action):
        self.hook(self)
        return super().step(action)


@pytest.fixture(scope="module", autouse=True)
def registered():
    """Registers the environment, with a time limit and without an end."""
    gymnasium.register("Mine-v0", Mine, max_episode_steps=50)
    gymnasium.register("Endless-v0", lambda: Mine(length=None))
    yield
    del gymnasium.registry["Mine-v0"], gymnasium.registry["Endless-v0"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Random transitions of the environment's sizes."""
    path = small_run.write_dataset(tmp_path_factory.mktemp("data") / "mine.npz", 3, 1)
    with np.load(path) as arrays:
        columns = dict(arrays)
    np.savez(path, **{**columns, "actions": np.float32(0.3) * columns["actions"]})
    return path


def make_config(dataset):
    return small_run.make_config(dataset, *SHORT, *ONLINE, config=CONFIG)


@pytest.fixture
def config(dataset):
    return make_config(dataset)


@pytest.fixture(scope="module")
def whole(dataset, tmp_path_factory):
    """An offline run that nothing disturbed."""
    path = tmp_path_factory.mktemp("whole") / "run"
    assert offline.run(make_config(dataset), path) == 0
    return path


@pytest.fixture(scope="module")
def tuned(whole, dataset, tmp_path_factory):
    """An online run that nothing disturbed."""
    path = tmp_path_factory.mktemp("tuned") / "run"
    assert online.run(make_config(dataset), path, whole) == 0
    return path


def rows(path, name="eval.csv"):
    with (path / name).open(newline="") as file:
        return list(csv.DictReader(file))


def at_evaluation(number, action):
    """A hook that acts in an evaluation, after the one step of the trial; each has two episodes of five steps."""
    steps = []

    def hook(env):
        steps.append(1)
        if len(steps) == 1 + 10 * number + 3:
            action(env)

    return staticmethod(hook)


def fail(env):
    raise KeyError("speed")


def interrupt(env):
    os.kill(os.getpid(), signal.SIGTERM)


def test_actions_are_those_that_the_environment_accepts(whole, tuned):
    """In the evaluations of both phases, in training, in `evaluate`, and those of `load_policy`."""
    space = gymnasium.make("Mine-v0").action_space
    for path in (whole, tuned):
        assert [row["length"] for row in evaluate_checkpoint(path).content["seeds"]] == [5.0]
        policy = load_policy(path)
        for observation in np.random.default_rng(0).normal(scale=100.0, size=(50, 3)):
            assert space.contains(policy(observation))


@pytest.mark.parametrize(
    ("how", "number", "step"),
    [
        ("fails", 1, 20),
        ("signal", 3, 60),
        pytest.param("fails", 2, 40, marks=pytest.mark.slow),
        pytest.param("fails", 3, 60, marks=pytest.mark.slow),
        pytest.param("signal", 1, 20, marks=pytest.mark.slow),
        pytest.param("signal", 2, 40, marks=pytest.mark.slow),
    ],
)
def test_an_offline_run_is_saved_before_its_evaluation(config, whole, tmp_path, monkeypatch, number, step, how, capfd):
    """At update 20 without a checkpoint that is due, at 40 with one, at 60 in the last evaluation."""
    path = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(Mine, "hook", at_evaluation(number, fail if how == "fails" else interrupt))
        if how == "fails":
            with pytest.raises(KeyError, match="speed"):
                offline.run(config, path)
        else:
            assert offline.run(config, path) == 143
            out, err = capfd.readouterr()
            assert f"SIGTERM: stopping the evaluation at update {step}, which --resume repeats; a second" in err
            assert f"stopped at update {step}; rerun the command with --resume to continue" in out
    assert [int(row["step"]) for row in rows(path)] == list(range(0, step, 20))
    assert (path / "checkpoints" / str(step)).is_dir()
    assert offline.run(config, path, resume=True) == 0
    small_run.assert_same_numbers(whole, path)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["fails", "signal"])
def test_an_online_run_is_saved_before_its_evaluation(config, whole, tuned, tmp_path, monkeypatch, how):
    path, play = tmp_path / "run", Scorer.__call__

    def disturbed(scorer, phase, step, *arguments, **options):
        if step == 40 and how == "fails":
            raise KeyError("speed")
        if step == 40:
            os.kill(os.getpid(), signal.SIGINT)
        play(scorer, phase, step, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Scorer, "__call__", disturbed)
        if how == "fails":
            with pytest.raises(KeyError, match="speed"):
                online.run(config, path, whole)
        else:
            assert online.run(config, path, whole) == 130
    assert [row["step"] for row in rows(path)] == ["0", "0", "20"]
    assert online.run(config, path, whole, resume=True) == 0
    small_run.assert_same_numbers(tuned, path)


@pytest.mark.slow
def test_a_signal_in_the_first_evaluation_starts_the_run_again(config, whole, tmp_path, monkeypatch):
    path = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(Mine, "hook", at_evaluation(0, interrupt))
        assert offline.run(config, path) == 143
    assert not (path / "eval.csv").exists()
    assert offline.run(config, path, resume=True) == 0
    small_run.assert_same_numbers(whole, path)


def test_endless_episodes_are_bounded_and_successes_reported(config, tmp_path, monkeypatch, caplog):
    """By the run and by `evaluate` alike; online the environment is refused."""
    monkeypatch.setattr(Mine, "report", lambda env: {"is_success": env.steps == 9})
    config.environment.id, config.evaluation.max_episode_steps, config.num_updates = "Endless-v0", 9, 20
    path = tmp_path / "run"
    assert offline.run(config, path) == 0
    assert {(row["length"], row["success_rate"]) for row in rows(path)} == {("9.0", "1.0")}
    assert "2 of 2 episodes were cut after 9 steps" in caplog.text
    assert small_run.summary(path)["final_success_rate"] == [1.0]
    (row,) = evaluate_checkpoint(path).content["seeds"]
    assert (row["length"], row["success_rate"]) == (9.0, 1.0)
    with user_error("environment Endless-v0 has no time limit, so a training episode may never end: register it with"):
        online.run(config, tmp_path / "online", path)
    assert not (tmp_path / "online").exists()


@pytest.mark.slow
def test_nan_of_an_environment_is_named_and_the_run_is_saved(config, tmp_path, monkeypatch):
    def observe(env):
        return np.array([env.steps, np.nan if broken and env.steps == 3 else 0.0, 0.0])

    broken, path = [], tmp_path / "run"
    monkeypatch.setattr(Mine, "observe", observe)
    monkeypatch.setattr(Mine, "hook", at_evaluation(1, lambda env: broken.append(1)))
    with user_error("environment Mine-v0 returned an observation with entry 1 = nan in step 3"):
        offline.run(config, path)
    assert (path / "checkpoints" / "20").is_dir()
    assert not (path / "summary.json").exists()


def test_a_final_score_that_is_nan_is_no_success(config, tmp_path, monkeypatch, caplog):
    add = RunLog.add

    def without_return(log, table, row):
        add(log, table, row | {"return": np.nan} if table == "eval" and row["step"] == 20 else row)

    monkeypatch.setattr(RunLog, "add", without_return)
    config.num_updates = 20
    assert offline.run(config, tmp_path / "run") == 1
    assert "the final score of seed 0 is not a finite number" in caplog.text
    assert not (tmp_path / "run" / "summary.json").exists()


def test_an_environment_that_cannot_be_used_is_refused_before_the_data_are_read(config, tmp_path, monkeypatch):
    monkeypatch.setattr(Mine, "reward", lambda env, action: action)
    config.dataset.path = str(tmp_path / "no_such_file.npz")
    with user_error("environment.id=Mine-v0: step returned the reward an array of shape (1,)"):
        offline.run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_lengthened_run_is_the_long_run(config, whole, tmp_path):
    """A finished run of 40 updates, resumed with 60, has the numbers of one of 60."""
    path = tmp_path / "run"
    config.num_updates = 40
    assert offline.run(config, path) == 0
    config.num_updates = 60
    assert offline.run(config, path, resume=True) == 0
    small_run.assert_same_numbers(whole, path)
    assert (path / "config.json").read_bytes() == (whole / "config.json").read_bytes()
    config.num_updates = 40
    with user_error("the config changed: num_updates was 60, is 40"):
        offline.run(config, path, resume=True)


@pytest.mark.slow
def test_a_lengthened_online_run_is_the_long_run(config, whole, tuned, tmp_path):
    path = tmp_path / "run"
    total, config.online.num_steps = config.online.num_steps, 40
    assert online.run(config, path, whole) == 0
    config.online.num_steps = total
    online.require_startable(config, path, resume=True, overwrite=False)
    assert online.run(config, path, whole, resume=True) == 0
    small_run.assert_same_numbers(tuned, path)
    assert (path / "config.json").read_bytes() == (tuned / "config.json").read_bytes()


def test_an_online_run_does_not_go_on_from_a_lengthened_offline_run(config, tuned, whole, tmp_path):
    path, parent = tmp_path / "run", tmp_path / "parent"
    shutil.copytree(tuned, path)
    shutil.copytree(whole, parent)
    (path / "summary.json").unlink()
    summary = json.loads((parent / "summary.json").read_text())
    (parent / "summary.json").write_text(json.dumps(summary | {"num_updates": 80}))
    with user_error(f"cannot resume {path}: it started from 60 updates of {parent}, which has 80 now"):
        online.run(config, path, parent, resume=True)


def test_a_run_is_not_lengthened_with_another_config(config, tmp_path):
    (tmp_path / "config.json").write_text(config.to_json_best_effort())
    (tmp_path / "summary.json").write_text("{}")
    before = (tmp_path / "config.json").read_bytes()
    config.num_updates, config.discount = 80, 0.5
    with user_error("the config changed: discount was 0.99, is 0.5"):
        offline.run(config, tmp_path, resume=True)
    assert (tmp_path / "config.json").read_bytes() == before
    assert (tmp_path / "summary.json").exists()


def test_a_schedule_over_the_whole_run_cannot_be_lengthened(tmp_path):
    (tmp_path / "config.json").write_text('{"num_updates": 10}')
    config = load_config("configs/iql.py:hopper-m,preset=short")
    with user_error(
        f"cannot lengthen {tmp_path} from num_updates=10 to 20000: the updates of iql depend on num_updates"
    ):
        offline.run(config, tmp_path, resume=True)
    config.actor.schedule = "constant"
    shorter = shorter_config(config, tmp_path, "num_updates")
    assert shorter == config.to_dict() | {"num_updates": 10}
    config.actor.update({"schedule": "cosine", "decay_steps": 500})
    assert shorter_config(config, tmp_path, "num_updates") is not None
