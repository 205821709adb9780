"""An algorithm from outside the library runs by all commands: one file, no line in training/ or runs/."""

import json
import os
from pathlib import Path

import numpy as np

from tests.smoke import small_run

FILE = Path(__file__).with_name("custom_algorithm.py")
FLAGS = (
    "--config.num_updates=200",
    "--config.evaluation.interval=100",
    "--config.evaluation.episodes=2",
    "--config.checkpoint.every=100",
    "--config.online.num_steps=150",
    "--config.online.warmup_steps=50",
    "--config.num_seeds=2",
)


def run(*arguments, program):
    path = os.pathsep.join(filter(None, (str(FILE.parent), os.environ.get("PYTHONPATH"))))
    status, out, err = small_run.finish(small_run.start(*arguments, program=program, PYTHONPATH=path))
    assert status == 0, err
    return out


def test_it_trains_fine_tunes_and_is_scored_and_reported(tmp_path):
    dataset = small_run.write_dataset(tmp_path / "random.npz")
    config = (f"--config={FILE}:hopper-m,preset=short", f"--config.dataset.path={dataset}", *FLAGS)
    online = tmp_path / "online"
    run(*config, f"--workdir={online}", program="online")
    offline = online / "offline"
    for folder, phase in ((offline, "offline"), (online, "online")):
        summary = json.loads((folder / "summary.json").read_text())
        assert (summary["phase"], summary["system"]) == (phase, "Linear behavior cloning")
        assert np.isfinite(summary["final_score"]).all()
    run(str(offline), "--episodes=1", "--import=custom_algorithm", program="evaluate")
    page = tmp_path / "report" / "report.html"
    run(str(tmp_path), f"--out={page}", program="report")
    assert "Linear behavior cloning" in page.read_text()
