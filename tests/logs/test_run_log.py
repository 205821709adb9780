"""The log of a run: CSV, JSON, and the files of the dashboards, read back."""

import csv
import json
import math
import sys

import numpy as np
import pytest

from ssar_jax.logs.run_log import RunLog, require_dashboards
from tests.data.helpers import user_error
from tests.logs.log_files import event_files, points, wandb_run

NO_EXTRA = "the extra `log` is not installed"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text('{"algorithm": "td3_bc", "task": "hopper-m", "seed": 3, "num_seeds": 2}')
    return tmp_path


def train(log, step, *losses, **others):
    """One row for each of the seeds 3, 4, ..."""
    for seed, loss in enumerate(losses, start=3):
        log.add("train", {"step": step, "seed": seed, "critic/loss": np.float32(loss), **others})


def evaluate(log, step, *scores):
    for seed, score in enumerate(scores, start=3):
        log.add("eval", {"phase": "offline", "step": step, "seed": seed, "score": score, "episodes": 10})


def json_rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def csv_rows(folder, table):
    with (folder / f"{table}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_json_has_the_rows_of_both_tables_in_order(folder):
    log = RunLog(folder, (3, 4), keep=-1)
    evaluate(log, 0, 1.5, None)
    train(log, 10, 0.1, math.nan)
    assert json_rows(folder) == [
        {"table": "eval", "phase": "offline", "step": 0, "seed": 3, "score": 1.5, "episodes": 10},
        {"table": "eval", "phase": "offline", "step": 0, "seed": 4, "score": None, "episodes": 10},
        {"table": "train", "step": 10, "seed": 3, "critic/loss": 0.1},
        {"table": "train", "step": 10, "seed": 4, "critic/loss": None},
    ]
    assert log.rows("eval") == csv_rows(folder, "eval")
    assert {file.name for file in folder.iterdir()} == {"config.json", "train.csv", "eval.csv", "metrics.jsonl"}


def test_csv_and_json_agree_after_a_resumption(folder):
    """With a late metric, and rows after the checkpoint at 20 that the resumed run writes again, the last one cut."""
    log = RunLog(folder, (3, 4), keep=-1)
    for step in (10, 20, 30):
        train(log, step, 0.1 * step, math.inf, **({"x/late": step} if step > 10 else {}))
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"table": "tra')
    log = RunLog(folder, (3, 4), keep=20)
    train(log, 30, 7.0, 8.0)
    rows = json_rows(folder)
    assert [(row["step"], row["critic/loss"]) for row in rows if row["seed"] == 3] == [(10, 1.0), (20, 2.0), (30, 7.0)]
    assert [row.get("x/late") for row in rows] == [None, None, 20, 20, None, None]
    # A field that JSON omits or that is null is an empty cell.
    cells = [{name: str(value) for name, value in row.items() if name != "table"} for row in rows]
    assert cells == [{name: cell for name, cell in row.items() if cell} for row in csv_rows(folder, "train")]


def test_a_run_without_a_checkpoint_starts_over(folder):
    evaluate(RunLog(folder, (3,), keep=-1), 0, 1.0)
    log = RunLog(folder, (3,), keep=-1)
    assert (log.rows("eval"), json_rows(folder)) == ([], [])


def test_tensorboard_files_are_read_back(folder):
    """One curve per tag and seed: only finite numbers, names without a group under the group of their table."""
    pytest.importorskip("tensorboardX", reason=NO_EXTRA)
    log = RunLog(folder, (3, 4), keep=-1, dashboards=["tensorboard", "tensorboard"])  # twice is once
    evaluate(log, 0, 1.5, 2.5)
    train(log, 10, 0.25, 0.5)
    train(log, 20, math.inf, 0.75, temperature=3, missing=None)
    train(log, 30, math.nan, 1.0)
    log.close()
    assert {path.name for path in (folder / "tensorboard").iterdir()} == {"seed-3", "seed-4"}
    ((*events,),) = event_files(folder / "tensorboard" / "seed-4")
    assert {value.tag for event in events for value in event.summary.value} == {
        *("critic/loss", "evaluation/score", "evaluation/episodes", "train/temperature")
    }
    assert points(events, "critic/loss") == [(10, 0.5), (20, 0.75), (30, 1.0)]
    assert points(events, "evaluation/score") == [(0, 2.5)]
    assert points(events, "train/temperature") == [(20, 3.0)]
    ((*events,),) = event_files(folder / "tensorboard" / "seed-3")
    assert points(events, "critic/loss") == [(10, 0.25)]


def test_a_resumed_run_has_complete_curves_in_tensorboard(folder):
    """The new file has the kept rows, and tells TensorBoard to drop the older file from step 0 on."""
    pytest.importorskip("tensorboardX", reason=NO_EXTRA)
    from tensorboardX.proto.event_pb2 import SessionLog

    log = RunLog(folder, (3,), keep=-1, dashboards=["tensorboard"])
    for step in (10, 20, 30):
        train(log, step, 1.0)
    log.close()
    (file,) = (folder / "tensorboard" / "seed-3").iterdir()
    file.rename(file.with_name("events.out.tfevents.1000000000.host"))  # named by the second in which it was opened
    log = RunLog(folder, (3,), keep=20, dashboards=["tensorboard"])
    train(log, 30, 2.0)
    log.close()
    old, new = event_files(folder / "tensorboard" / "seed-3")
    assert points(old, "critic/loss") == [(10, 1.0), (20, 1.0), (30, 1.0)]
    assert [event.step for event in new if event.session_log.status == SessionLog.START] == [0]
    assert points(new, "critic/loss") == [(10, 1.0), (20, 1.0), (30, 2.0)]


@pytest.fixture
def _no_account(tmp_path_factory, monkeypatch):
    """A user without a W&B account."""
    pytest.importorskip("wandb", reason=NO_EXTRA)
    home = tmp_path_factory.mktemp("home")
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")  # as an offline run sets it for the rest of its process


@pytest.mark.usefixtures("_no_account")
def test_wandb_runs_are_read_back(folder, caplog):
    """Offline and without an account: a run per seed in one group, and after a resumption new ones with all rows."""
    caplog.set_level("INFO", "ssar_jax")
    log = RunLog(folder, (3, 4), keep=-1, dashboards=["wandb"])
    train(log, 10, 0.25, 0.5)
    train(log, 20, 9.0, 9.0)
    log.close()
    log = RunLog(folder, (3, 4), keep=10, dashboards=["wandb"])
    train(log, 20, math.nan, 0.75, **{"x/late": 1})
    evaluate(log, 20, 1.5, 2.5)
    log.close()
    assert f"to upload them: wandb sync {folder}/wandb/offline-run-*" in caplog.text
    runs = {}
    for path in (folder / "wandb").glob("offline-run-*"):
        run, rows = wandb_run(path)
        assert (run.project, run.run_group) == ("ssar_jax", f"td3_bc-hopper-m-{folder.name}")
        assert {item.key: item.value_json for item in run.config.update}["algorithm"] == '"td3_bc"'
        runs[run.display_name.removeprefix(f"{run.run_group}-")] = [
            {
                name: value
                for name, value in row.items()
                if name in ("_step", "critic/loss", "evaluation/score", "x/late")
            }
            for row in rows
        ]
    assert runs == {
        "seed3": [{"_step": 10, "critic/loss": 0.25}, {"_step": 20, "x/late": 1, "evaluation/score": 1.5}],
        "seed4": [
            {"_step": 10, "critic/loss": 0.5},
            {"_step": 20, "critic/loss": 0.75, "x/late": 1, "evaluation/score": 2.5},
        ],
    }


def test_an_unknown_dashboard_is_an_error_with_the_known_ones():
    with user_error("--log: unknown 'tensorbord'; known are tensorboard, wandb"):
        require_dashboards(["wandb", "tensorbord"])
    require_dashboards([])


@pytest.mark.parametrize(("name", "package"), [("tensorboard", "tensorboardX"), ("wandb", "wandb")])
def test_a_missing_package_is_an_error(tmp_path, monkeypatch, name, package):
    """A folder with its name, as W&B creates them, is not a package."""
    (tmp_path / package).mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, package, raising=False)
    with user_error(f"--log={name} needs the package {package}: pip install -e '.[log]'"):
        require_dashboards([name])


@pytest.mark.parametrize("lost", ["csv", "json"])
def test_an_evaluation_of_which_a_part_was_written_is_dropped(folder, lost):
    """A run was killed after the first seed's row, or between the two files of the second; whole ones are kept."""
    log = RunLog(folder, (3, 4), keep=-1)
    for step in (0, 10):
        train(log, step, 0.1, 0.2)
        evaluate(log, step, 1.0, 2.0)
    if lost == "csv":
        (folder / "eval.csv").write_text("".join((folder / "eval.csv").read_text().splitlines(keepends=True)[:-1]))
    else:
        text = (folder / "metrics.jsonl").read_text()
        (folder / "metrics.jsonl").write_text("".join(text.splitlines(keepends=True)[:-1]))
    # Without the second seed, which may have diverged by then, the evaluation is whole.
    assert RunLog(folder, (3, 4), keep=10, evaluated=(3,)).has_evaluation("offline", 10)
    resumed = RunLog(folder, (3, 4), keep=10, evaluated=(3, 4))
    assert not resumed.has_evaluation("offline", 10)
    assert resumed.has_evaluation("offline", 0)
    assert not resumed.has_evaluation("online", 0)
    assert [row["step"] for row in csv_rows(folder, "train")] == ["0", "0", "10", "10"]
    assert [row["step"] for row in json_rows(folder) if row["table"] == "eval"] == [0, 0]
    evaluate(resumed, 10, 1.0, 2.0)
    assert RunLog(folder, (3, 4), keep=10, evaluated=(3, 4)).has_evaluation("offline", 10)
