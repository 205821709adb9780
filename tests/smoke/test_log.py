"""The dashboards of `--log`, in addition to the tables of a run."""

import csv
import json

import pytest

from ssar_jax.runs import offline
from tests.data.helpers import user_error
from tests.logs.log_files import event_files, points, wandb_run
from tests.smoke import small_run

SHORTER = ("--config.num_updates=40", "--config.evaluation.interval=20", "--config.checkpoint.every=20")
NO_EXTRA = "the extra `log` is not installed"


def log_to(names, dataset, path, **environment):
    """Runs 40 updates with `--log`, without a W&B login."""
    nobody = {"WANDB_API_KEY": "", "NETRC": "/dev/null"}
    homes = ("HOME", "WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR")
    nobody |= {name: str(path.parent / "home") for name in homes}
    flags = small_run.flags(dataset, *SHORTER, f"--workdir={path}", f"--log={names}")
    return small_run.finish(small_run.start(*flags, **nobody, **environment))


@pytest.mark.slow
def test_dashboards_show_what_the_tables_hold(dataset, tmp_path):
    pytest.importorskip("tensorboardX", reason=NO_EXTRA)
    pytest.importorskip("wandb", reason=NO_EXTRA)
    path = tmp_path / "run"
    status, output, messages = log_to("tensorboard,wandb", dataset, path)
    assert status == 0, messages
    schedule, hint = messages.splitlines()
    assert schedule.startswith("the threshold schedule never fires")
    assert hint == f"W&B runs stay on this machine; to upload them: wandb sync {path}/wandb/offline-run-*"
    assert output.splitlines()[-2] == f"results: {path}"

    with (path / "train.csv").open(newline="") as file:
        curve = [(int(row["step"]), float(row["critic/loss"])) for row in csv.DictReader(file)]
    assert [step for step, _ in curve] == [20, 40]
    (events,) = event_files(path / "tensorboard" / "seed-0")
    assert points(events, "critic/loss") == [(step, pytest.approx(loss)) for step, loss in curve]
    assert [step for step, _ in points(events, "evaluation/score")] == [0, 20, 40]
    (folder,) = (path / "wandb").glob("offline-run-*")
    run, rows = wandb_run(folder)
    assert run.display_name == "td3_bc-hopper-m-run-seed0"
    assert [(row["_step"], row["critic/loss"]) for row in rows if "critic/loss" in row] == curve
    assert [row["_step"] for row in rows if "evaluation/score" in row] == [0, 20, 40]
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    assert [(line["table"], line["step"]) for line in lines] == [
        *(("eval", 0), ("train", 20), ("eval", 20), ("train", 40), ("eval", 40))
    ]


def test_an_unknown_dashboard_is_told_before_anything_is_done(tmp_path):
    with user_error("--log: unknown 'tensorbord'"):
        offline.run(None, tmp_path / "run", dashboards=["tensorbord"])
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_wandb_asks_for_no_login(dataset, tmp_path):
    """Even with uploads enabled; without a terminal W&B would end with a traceback."""
    pytest.importorskip("wandb", reason=NO_EXTRA)
    status, output, messages = log_to("wandb", dataset, tmp_path / "run", WANDB_MODE="online")
    message = "error: WANDB_MODE=online, but nobody is logged in: run `wandb login`, or unset WANDB_MODE\n"
    assert (status, output, messages) == (2, "", message)
    assert not (tmp_path / "run").exists()
