"""Runs in environments of the user's own, which check, fail, never end, and report successes."""

import csv
import os
import signal

import gymnasium
import numpy as np
import pytest

from experiments.cli.config_files import load_config
from ssar_jax.runs import offline, online
from ssar_jax.runs.evaluate import evaluate_checkpoint
from ssar_jax.runs.load import load_policy
from tests.data.helpers import user_error
from tests.envs.user_env import UserEnv
from tests.smoke import small_run

CONFIG = "configs/td3_bc.py:custom,preset=short"
SHORT = (
    "--config.environment.id=Mine-v0", "--config.num_updates=60", "--config.evaluation.interval=20",
    "--config.checkpoint.every=40",
)  # fmt: skip
ONLINE = ("--config.online.num_steps=60", "--config.online.warmup_steps=10", "--config.online.buffer=all")


class Mine(UserEnv):
    """What happens at every step of an evaluation is set by the tests."""

    hook = staticmethod(lambda env: None)
    built = 0

    def __init__(self, length=5):
        super().__init__(np.float32, length)
        type(self).built += 1

    def step(self, action):
        self.hook(self)
        return super().step(action)


@pytest.fixture(autouse=True)
def mine(monkeypatch):
    """Registers the environment with a time limit for the time of a test."""
    monkeypatch.setattr(Mine, "hook", staticmethod(lambda env: None))
    gymnasium.register("Mine-v0", Mine, max_episode_steps=50)
    yield Mine
    del gymnasium.registry["Mine-v0"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Random transitions of the environment's sizes."""
    path = small_run.write_dataset(tmp_path_factory.mktemp("data") / "mine.npz", 3, 1)
    with np.load(path) as arrays:
        columns = dict(arrays)
    np.savez(path, **{**columns, "actions": np.float32(0.3) * columns["actions"]})
    return path


@pytest.fixture
def config(dataset):
    return small_run.make_config(dataset, *SHORT, *ONLINE, config=CONFIG)


def rows(path, name="eval.csv"):
    with (path / name).open(newline="") as file:
        return list(csv.DictReader(file))


def assert_same_tables(path, other):
    for name in ("train.csv", "eval.csv", "metrics.jsonl"):
        assert (path / name).read_bytes() == (other / name).read_bytes(), name


def at_evaluation(number, action):
    """A hook that acts in the second step of an evaluation; each has two episodes of five steps."""
    steps = []

    def hook(env):
        steps.append(1)
        if len(steps) == 10 * number + 3:
            action(env)

    return staticmethod(hook)


def fail(env):
    raise KeyError("speed")


def interrupt(env):
    os.kill(os.getpid(), signal.SIGTERM)


def test_actions_are_those_that_the_environment_accepts(config, tmp_path):
    """In the evaluations of both phases, in training, in `evaluate`, and those of `load_policy`."""
    assert offline.run(config, tmp_path / "offline") == 0
    assert online.run(config, tmp_path / "online", tmp_path / "offline") == 0
    space = gymnasium.make("Mine-v0").action_space
    for path in (tmp_path / "offline", tmp_path / "online"):
        assert [row["length"] for row in evaluate_checkpoint(path).content["seeds"]] == [5.0]
        policy = load_policy(path)
        for observation in np.random.default_rng(0).normal(scale=100.0, size=(50, 3)):
            assert space.contains(policy(observation))


@pytest.mark.parametrize(("number", "step"), [(1, 20), (2, 40), (3, 60)])
@pytest.mark.parametrize("how", ["fails", "signal"])
def test_an_offline_run_is_saved_before_its_evaluation(config, tmp_path, monkeypatch, mine, number, step, how, capfd):
    """At update 20 without a checkpoint that is due, at 40 with one, at 60 in the last evaluation."""
    whole, path = tmp_path / "whole", tmp_path / "run"
    assert offline.run(config, whole) == 0
    with monkeypatch.context() as patch:
        tried = 1  # the step of the trial before the run
        patch.setattr(mine, "hook", staticmethod(lambda env: None))
        patch.setattr(mine, "hook", _after(tried, at_evaluation(number, fail if how == "fails" else interrupt)))
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


def _after(count, hook):
    """Calls a hook after a number of steps."""
    steps = []

    def later(env):
        steps.append(1)
        if len(steps) > count:
            hook(env)

    return staticmethod(later)


@pytest.mark.parametrize("how", ["fails", "signal"])
def test_an_online_run_is_saved_before_its_evaluation(config, tmp_path, monkeypatch, how):
    """The evaluation after 40 steps fails; it is not that of training, whose environment is another one."""
    config.evaluation.interval = config.checkpoint.every = 40
    assert offline.run(config, tmp_path / "offline") == 0
    whole, path = tmp_path / "whole", tmp_path / "run"
    assert online.run(config, whole, tmp_path / "offline") == 0
    play, calls = online.Scorer.__call__, []

    def failing(scorer, phase, step, *arguments, stop, **options):
        calls.append(step)
        if step == 40 and how == "fails":
            raise KeyError("speed")
        if step == 40:
            os.kill(os.getpid(), signal.SIGINT)
        play(scorer, phase, step, *arguments, stop=stop, **options)

    with monkeypatch.context() as patch:
        patch.setattr(online.Scorer, "__call__", failing)
        if how == "fails":
            with pytest.raises(KeyError, match="speed"):
                online.run(config, path, tmp_path / "offline")
        else:
            assert online.run(config, path, tmp_path / "offline") == 130
    assert [row["step"] for row in rows(path)] == ["0", "0"]
    assert online.run(config, path, tmp_path / "offline", resume=True) == 0
    assert_same_tables(whole, path)


def test_a_signal_in_the_first_evaluation_starts_the_run_again(config, tmp_path, monkeypatch, mine):
    path = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(mine, "hook", _after(1, at_evaluation(0, interrupt)))
        assert offline.run(config, path) == 143
    assert not (path / "eval.csv").exists()
    assert offline.run(config, path, resume=True) == 0
    assert len(rows(path)) == 4


def test_an_endless_environment_is_bounded(config, tmp_path, caplog):
    """By the horizon, here that of the config; a run and `evaluate` say so alike, and online it is refused."""
    del gymnasium.registry["Mine-v0"]
    gymnasium.register("Mine-v0", lambda: Mine(length=None))
    config.evaluation.max_episode_steps = 9
    path = tmp_path / "run"
    assert offline.run(config, path) == 0
    assert {row["length"] for row in rows(path)} == {"9.0"}
    assert "2 of 2 episodes were cut after 9 steps" in caplog.text
    assert evaluate_checkpoint(path).content["seeds"][0]["length"] == 9.0
    with user_error("environment Mine-v0 has no time limit, so a training episode may never end: register it with"):
        online.run(config, tmp_path / "online", path)
    assert not (tmp_path / "online" / "config.json").exists()


def test_success_rates_are_reported(config, tmp_path, monkeypatch, mine):
    monkeypatch.setattr(mine, "report", lambda env: {"is_success": env.steps == 5})
    path = tmp_path / "run"
    assert offline.run(config, path) == 0
    assert {row["success_rate"] for row in rows(path)} == {"1.0"}
    assert small_run.summary(path)["final_success_rate"] == [1.0]
    assert evaluate_checkpoint(path).content["seeds"][0]["success_rate"] == 1.0


def test_nan_of_an_environment_is_named_and_the_run_is_saved(config, tmp_path, monkeypatch, mine):
    def observe(env):
        return np.array([env.steps, np.nan if broken and env.steps == 3 else 0.0, 0.0])

    broken, path = [], tmp_path / "run"
    monkeypatch.setattr(mine, "observe", observe)
    monkeypatch.setattr(mine, "hook", _after(1 + 10, staticmethod(lambda env: broken.append(1))))
    with user_error("environment Mine-v0 returned an observation with entry 1 = nan in step 3"):
        offline.run(config, path)
    assert (path / "checkpoints" / "20").is_dir()
    assert not (path / "summary.json").exists()


def test_a_final_score_that_is_nan_is_no_success(config, tmp_path, monkeypatch, caplog):
    add = offline.RunLog.add

    def without_return(log, table, row):
        add(log, table, row | {"return": np.nan} if table == "eval" and row["step"] == 60 else row)

    monkeypatch.setattr(offline.RunLog, "add", without_return)
    assert offline.run(config, tmp_path / "run") == 1
    assert "the final score of seed 0 is not a finite number" in caplog.text
    assert not (tmp_path / "run" / "summary.json").exists()


def test_an_environment_that_cannot_be_used_is_refused_before_the_data_are_read(config, tmp_path, monkeypatch, mine):
    monkeypatch.setattr(mine, "reward", lambda env, action: action)
    config.dataset.path = str(tmp_path / "no_such_file.npz")
    with user_error("environment.id=Mine-v0: step returned the reward an array of shape (1,)"):
        offline.run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_environment_that_cannot_be_stored_is_refused_before_the_offline_phase(config, tmp_path, monkeypatch, mine):
    monkeypatch.setattr(mine, "hook", staticmethod(lambda env: setattr(env, "file", open(os.devnull))))  # noqa: SIM115
    with user_error("Mine cannot be stored in a checkpoint: its attribute 'file'"):
        offline.run(config, tmp_path / "run", require=lambda data: online.require_trainable(config, data))
    assert not (tmp_path / "run").exists()


def test_a_lengthened_run_is_the_long_run(config, tmp_path):
    """A finished run of 40 updates, resumed with 60, has the numbers of one of 60."""
    whole, path = tmp_path / "whole", tmp_path / "run"
    assert offline.run(config, whole) == 0
    config.num_updates = 40
    assert offline.run(config, path) == 0
    config.num_updates = 60
    assert offline.run(config, path, resume=True) == 0
    small_run.assert_same_numbers(whole, path)
    assert (path / "config.json").read_bytes() == (whole / "config.json").read_bytes()
    config.num_updates = 40
    with user_error("the config changed: num_updates was 60, is 40"):
        offline.run(config, path, resume=True)


def test_a_run_is_not_lengthened_with_another_config(config, tmp_path):
    config.num_updates = 20
    assert offline.run(config, tmp_path / "run") == 0
    before = (tmp_path / "run" / "config.json").read_bytes()
    config.num_updates, config.discount = 40, 0.5
    with user_error("the config changed: discount was 0.99, is 0.5"):
        offline.run(config, tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "config.json").read_bytes() == before
    assert (tmp_path / "run" / "summary.json").exists()


def test_a_schedule_over_the_whole_run_cannot_be_lengthened(tmp_path):
    (tmp_path / "config.json").write_text('{"num_updates": 10}')
    config = load_config("configs/iql.py:hopper-m,preset=short")
    with user_error(
        f"cannot lengthen {tmp_path} from num_updates=10 to 20000: a schedule of iql is over the whole of num_updates"
    ):
        offline.run(config, tmp_path, resume=True)
