"""Fine-tuning from the command line: its files and output, and resuming a killed run bit for bit."""

import csv
import json
import signal
import time
from functools import partial

import jax
import numpy as np
import pytest

from configs import td3_bc
from ssar_jax.runs import offline, online
from ssar_jax.runs.load import load_policy
from ssar_jax.training.fine_tuner import FineTuner
from tests.data.helpers import user_error
from tests.smoke import small_run

STEPS, WARMUP, EVALUATIONS, CHECKPOINTS = 1200, 100, 400, 300
ONLINE = (
    f"--config.online.num_steps={STEPS}",
    f"--config.online.warmup_steps={WARMUP}",
    f"--config.evaluation.interval={EVALUATIONS}",
    f"--config.checkpoint.every={CHECKPOINTS}",
)


def start(dataset, path, *others):
    return small_run.start(*small_run.flags(dataset, *ONLINE), f"--workdir={path}", *others, program="online")


@pytest.fixture(scope="module")
def tuned(finished, dataset, tmp_path_factory):
    """The fine-tuned small run: its folder, output and messages."""
    path = tmp_path_factory.mktemp("tuned") / "run"
    status, output, messages = small_run.finish(start(dataset, path, f"--offline_run={finished.path}"))
    assert status == 0, messages
    return path, output, messages


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_evaluations_include_both_sides_of_the_switch_and_follow_the_schedule(tuned, finished):
    """The last offline score is in both phases; then comes one every 400 steps."""
    evaluations = rows(tuned[0] / "eval.csv")
    steps = [(row["phase"], int(row["step"]), int(row["environment_steps"])) for row in evaluations]
    assert steps == [("offline", 0, 0), *(("online", step, step) for step in (0, 400, 800, 1200))]
    last = rows(finished.path / "eval.csv")[-1]["return"]
    assert evaluations[0]["return"] == evaluations[1]["return"] == last
    assert evaluations[-1]["return"] != last


def test_the_summary_describes_both_phases(tuned, finished):
    """Area: trapezoids over 0, 400, 800 and 1,200 steps, so the ends count half."""
    summary = json.loads((tuned[0] / "summary.json").read_text())
    assert (summary["phase"], summary["environment_steps"]) == ("online", STEPS)
    assert summary["online_updates"] == STEPS - WARMUP
    assert summary["num_updates"] == small_run.NUM_UPDATES + STEPS - WARMUP
    assert summary["offline_run"] == str(finished.path)
    assert summary["offline_score"] == json.loads((finished.path / "summary.json").read_text())["final_score"]
    scores = [float(row["score"]) for row in rows(tuned[0] / "eval.csv")[1:]]
    assert summary["final_score"] == [scores[-1]]
    area = (scores[0] / 2 + scores[1] + scores[2] + scores[3] / 2) / 3
    np.testing.assert_allclose(summary["area_score"], [area])


def test_metrics_show_the_share_of_online_data_and_the_annealing(tuned):
    """In mode `part` all of the eight trajectories, 400 rows, are kept; decay_steps of the short preset is 8,000."""
    metrics = rows(tuned[0] / "train.csv")
    assert [int(row["step"]) for row in metrics] == [300, 400, 600, 800, 900, 1000, 1200]
    shares = [float(row["online/batch_share"]) for row in metrics]
    assert shares == sorted(shares)
    # Between steps 1,001 and 1,200 between 1,001 / 1,401 = 0.714 and 0.75 of the rows are online.
    assert 0.70 < shares[-1] < 0.76
    # Updates 901 to 1,100: 1 - 1000.5 / 8,000.
    assert float(metrics[-1]["online/annealing"]) == pytest.approx(1 - 1000.5 / 8000, abs=1e-6)
    assert "coefficient/loss" not in metrics[-1]  # it is frozen
    episodes = [float(row["online/episodes"]) for row in metrics]
    assert sum(episodes) > 0


def test_the_command_prints_what_it_does(tuned):
    path, output, messages = tuned
    assert "replay buffers (part): 400 offline transitions; dataset 0.0 MiB, 1 seed 2.0 MiB\n" in output
    assert "environment step 400: score " in output
    assert "\nend of the offline phase: score " in output
    assert f"results: {path}" in output
    assert "final normalized score " in output
    assert messages == ""


def test_the_tuned_policy_can_be_loaded(tuned, finished):
    observations = np.random.default_rng(0).normal(size=(5, 11))
    actions = load_policy(tuned[0], seed=0)(observations)
    assert actions.shape == (5, 3)
    assert not np.allclose(actions, load_policy(finished.path, seed=0)(observations))


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_numbers(tuned, finished, dataset, tmp_path):
    path, offline = tmp_path / "run", f"--offline_run={finished.path}"
    process = start(dataset, path, offline)
    try:
        deadline = time.monotonic() + 240
        while not (path / "checkpoints" / str(CHECKPOINTS)).exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    finally:
        status, _, _ = small_run.finish(process)
    assert status == -signal.SIGKILL
    assert not (path / "summary.json").exists()
    status, _, messages = small_run.finish(start(dataset, path, offline, "--resume"))
    assert status == 0, messages
    assert "resuming at environment step" in messages
    small_run.assert_same_numbers(tuned[0], path)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--offline_run=/nowhere",), "/nowhere is not a run: --offline_run needs a finished run of"),
        (("--config.batch_size=16", "--config.online.warmup_steps=2000"), "online.warmup_steps=2000 must be below"),
    ],
)
def test_what_cannot_be_fine_tuned_is_one_line(dataset, tmp_path, flags, message):
    status, _, messages = small_run.finish(start(dataset, tmp_path / "run", *flags))
    assert status == 2
    assert messages.startswith("error: ")
    assert message in messages
    assert not (tmp_path / "run" / "config.json").exists()


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--config.discount=0.9", "has another config: discount was 0.99, is 0.9"),
        ("--config.online.buffer_capacity=100", "online.buffer_capacity=100 is less than the 400 offline"),
    ],
)
def test_what_does_not_fit_to_the_offline_run_is_refused(finished, dataset, tmp_path, flag, message):
    with user_error(message):
        online.run(small_run.make_config(dataset, *ONLINE, flag), tmp_path / "run", finished.path)
    assert not (tmp_path / "run" / "config.json").exists()


@pytest.mark.slow  # two phases; test_custom_algorithm.py trains both by one command too
def test_without_an_offline_run_it_is_trained_first(dataset, tmp_path):
    """A second command finds both finished."""
    path, brief = tmp_path / "run", ("--config.num_updates=50", "--config.online.num_steps=150")
    status, output, messages = small_run.finish(start(dataset, path, *brief))
    assert status == 0, messages
    assert f"results: {path / 'offline'}" in output
    assert (path / "summary.json").exists()
    status, output, messages = small_run.finish(start(dataset, path, *brief, "--resume"))
    assert status == 0, messages
    assert f"{path} is finished: nothing to resume" in output


def test_buffers_that_would_not_fit_are_refused_before_the_offline_phase(dataset, tmp_path):
    buffer = ("--config.online.buffer=all", "--config.online.buffer_capacity=100")
    config = small_run.make_config(dataset, *ONLINE, *buffer)
    with user_error("online.buffer_capacity=100 is less than the 400 offline transitions"):
        offline.run(config, tmp_path / "offline", require=partial(online.require_trainable, config))
    assert not (tmp_path / "offline" / "config.json").exists()


def test_overwriting_an_online_run_keeps_an_offline_run_elsewhere(dataset, tmp_path):
    """It may have other uses. The command runs in another directory, because the default folder is relative."""
    (tmp_path / "configs").symlink_to(small_run.ROOT / "configs")
    offline_run = tmp_path / "runs" / "td3_bc" / "hopper-m" / "offline-sa-short-s0-0"
    offline_run.mkdir(parents=True)
    (offline_run / "config.json").write_text("{}")
    (offline_run / "train.csv").write_text("step\n")
    process = small_run.start(
        *small_run.flags(dataset, *ONLINE), "--overwrite", program="online", folder=tmp_path,
        PYTHONPATH=str(small_run.ROOT),
    )  # fmt: skip
    status, _, messages = small_run.finish(process)
    assert status == 2
    assert "contains an unfinished offline run, which --overwrite replaces only in a --workdir" in messages
    assert {file.name for file in offline_run.iterdir()} == {"config.json", "train.csv"}


def test_an_online_phase_that_cannot_start_is_refused_before_the_offline_phase(tmp_path):
    config = td3_bc.get_config("custom")
    with user_error("task custom has no environment to fine-tune in: set --config.environment.id"):
        online.require_startable(config, tmp_path / "run", resume=False, overwrite=False)
    config.environment.id = "hopper"
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    with user_error("run contains an unfinished run: --resume continues it"):
        online.require_startable(config, tmp_path / "run", resume=False, overwrite=False)


@pytest.mark.slow
def test_a_seed_that_diverges_stops_and_the_others_continue(dataset, tmp_path, monkeypatch, caplog):
    """The actor of seed 1 becomes NaN within the first 300 steps, so that MuJoCo gets NaN actions."""
    config = small_run.make_config(dataset, *ONLINE, "--config.num_seeds=2", "--config.num_updates=40")
    untouched, broken = tmp_path / "untouched", tmp_path / "broken"
    assert offline.run(config, tmp_path / "offline") == 0
    assert online.run(config, untouched, tmp_path / "offline") == 0
    advance = FineTuner.advance

    def breaking(tuner, num_steps):
        if tuner.steps == 0:
            advance(tuner, 150)
            states = jax.tree.map(np.array, tuner.states())
            for leaf in jax.tree.leaves(states.actor.params):
                leaf[1] = np.nan
            tuner.replace_states(states)
            num_steps -= 150
        return advance(tuner, num_steps)

    monkeypatch.setattr(FineTuner, "advance", breaking)
    assert online.run(config, broken, tmp_path / "offline") == 0
    assert "by environment step 300; it had no checkpoint yet" in "".join(caplog.messages)
    scores = [[row for row in rows(path / "eval.csv") if row["seed"] == "0"] for path in (untouched, broken)]
    assert scores[0] == scores[1]
    summary = json.loads((broken / "summary.json").read_text())
    assert summary["final_score"][1] is None
    assert summary["area_score"][1] is None
    first = load_policy(tmp_path / "offline", seed=1)(np.ones(11))
    np.testing.assert_array_equal(load_policy(broken, seed=1)(np.ones(11)), first)
    assert "seed 1 diverged by step 300: its policy is the initial one" in caplog.messages
