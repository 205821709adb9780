"""Run folders: what a finished run says, what is left out and why, which runs belong together, and their curves."""

import json
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from ssar_jax.logs.tables import CsvTable
from ssar_jax.reporting.read import runs
from ssar_jax.reporting.read.curves import Curve, join, merge, read_curve
from ssar_jax.runs.folder import RunFolder
from ssar_jax.runs.summary import score_summary
from tests.data.helpers import user_error

CONFIG = {
    **{"algorithm": "td3_bc", "variant": "sa", "preset": "short", "task": "hopper-m", "num_updates": 20_000},
    **{"seed": 0, "num_seeds": 2, "critic": {"tau": 0.005}, "checkpoint": {"keep": 2}, "online": {"part_k": 50}},
}
SUMMARY = {
    **{name: CONFIG[name] for name in ("algorithm", "variant", "preset", "task", "num_updates")},
    **{"phase": "offline", "data_source": "embedded", "physics": "d4rl-v2", "dataset_hash": "abc", "seeds": [0, 1]},
    **{"updates_per_second": 66.5, "wall_seconds": 312.0, "versions": {"commit": "9fc5-dirty", "device": "1 x cpu"}},
}
KEY = runs.Key("offline", "td3_bc", "sa", "short", "hopper-m", "embedded", "d4rl-v2")
SCORES = {0: (1.0, 2.0), 10_000: (90.0, 10.0), 20_000: (20.0, 30.0)}  # update -> score of each seed


def write_run(path, scores=SCORES, *, config=(), summary=(), phase="offline"):
    """A folder as experiments.offline leaves it, with a score per step and seed."""
    path.mkdir(parents=True)
    summary = SUMMARY | dict(summary)
    (path / "config.json").write_text(json.dumps(CONFIG | dict(config)))
    (path / "summary.json").write_text(json.dumps(summary))
    add_evaluations(path, phase, scores, summary["seeds"])
    train = CsvTable(path / "train.csv")
    for step in (10_000, 20_000):
        for seed in summary["seeds"]:
            train.add({"step": step, "seed": seed, "critic/loss": 0.5, "coefficient/n": 1.0 + step / 10_000 + seed})
    return path


def add_evaluations(path, phase, scores, seeds):
    table = CsvTable(path / "eval.csv")
    for step, row in scores.items():
        for seed, score in zip(seeds, row, strict=True):
            position = {"step": 20_000 + step, "environment_steps": step} if phase == "online" else {"step": step}
            table.add({"phase": phase, "environment_steps": 0, **position, "seed": seed, "return": 7.0, "score": score})


def read_one(path):
    (run,), skipped = runs.read_runs(path)
    assert skipped == []
    return run


def test_a_finished_run(tmp_path):
    path = write_run(tmp_path / "a run")
    run = read_one(tmp_path)
    assert (run.path, run.key, run.measure, run.phases) == (path, KEY, "score", ("offline",))
    curve = run.curve()
    assert (curve.seeds, curve.switch) == ((0, 1), None)
    np.testing.assert_array_equal(curve.steps, [0, 10_000, 20_000])
    np.testing.assert_array_equal(curve.values, [[1.0, 90.0, 20.0], [2.0, 10.0, 30.0]])
    np.testing.assert_array_equal(curve.final, [20.0, 30.0])
    np.testing.assert_array_equal(curve.best, [90.0, 30.0])
    assert (run.updates_per_second, run.wall_seconds, run.commit, run.device) == (66.5, 312.0, "9fc5-dirty", "1 x cpu")
    config = f"'--config={path / 'config.json'}'"  # quoted, because of the space
    assert run.command == f"python -m experiments.offline {config} --workdir=runs/again"


def test_the_command_of_an_online_run_names_its_offline_run(tmp_path):
    path = write_run(tmp_path / "run", summary={"phase": "online", "offline_run": "runs/other"}, phase="online")
    command = f"python -m experiments.online --config={path / 'config.json'} --workdir=runs/again"
    assert read_one(tmp_path).command == f"{command} --offline_run=runs/other"


def test_a_metric_of_training(tmp_path):
    write_run(tmp_path / "a")
    run = read_one(tmp_path)
    np.testing.assert_array_equal(run.metric("coefficient/n").values, [[2.0, 3.0], [3.0, 4.0]])
    with user_error("no metric beta", "it has coefficient/n, critic/loss"):
        run.metric("beta")


def test_diagnostics_come_in_the_order_of_updates(tmp_path):
    """9 before 10, though not as text; other files do not count."""
    folder = write_run(tmp_path / "a") / "diagnostics"
    folder.mkdir()
    for step in (10, 9):
        np.savez_compressed(folder / f"{step}.npz", rows=np.arange(2), beta=np.full((1, 2), 0.1 * step))
    (folder / "notes.npz").write_bytes(b"mine")
    found = read_one(tmp_path).diagnostics
    assert found == {9: folder / "9.npz", 10: folder / "10.npz"}
    assert list(found) == [9, 10]
    arrays = runs.read_diagnostics(found[10])
    assert arrays.keys() == {"rows", "beta"}
    np.testing.assert_array_equal(arrays["beta"], [[1.0, 1.0]])
    content = found[10].read_bytes()
    found[10].write_bytes(content[: len(content) // 2])
    with user_error(str(found[10]), "cannot be read"):
        runs.read_diagnostics(found[10])


def test_a_task_without_a_scale_has_returns(tmp_path):
    write_run(tmp_path / "a", {0: (None, None), 5: (None, None)})
    run = read_one(tmp_path)
    assert run.measure == "return"
    np.testing.assert_array_equal(run.curve().final, [7.0, 7.0])


def test_a_seed_that_diverged_or_stopped_has_no_final_score(tmp_path):
    write_run(tmp_path / "a", {0: (1.0, 2.0), 5: (np.nan, 3.0)})
    curve = read_one(tmp_path).curve()
    np.testing.assert_array_equal(curve.final, [np.nan, 3.0])
    np.testing.assert_array_equal(curve.best, [1.0, 3.0])
    stopped = read_curve([{"step": "0", "seed": "0", "score": "1"}, {"step": "0", "seed": "1", "score": "2"},
                          {"step": "5", "seed": "1", "score": "3"}], "score")  # fmt: skip
    np.testing.assert_array_equal(stopped.values, [[1.0, np.nan], [2.0, 3.0]])


def test_the_steps_of_the_online_phase_are_those_of_the_environment(tmp_path):
    path = write_run(tmp_path / "a", summary={"phase": "online"})
    add_evaluations(path, "online", {0: (20.0, 31.0), 5_000: (40.0, 50.0)}, [0, 1])
    run = read_one(tmp_path)
    assert (run.key.phase, run.phases) == ("online", ("offline", "online"))
    np.testing.assert_array_equal(run.curve().steps, [0, 5_000])
    np.testing.assert_array_equal(run.curve().final, [40.0, 50.0])
    np.testing.assert_array_equal(run.curve("offline").final, [20.0, 30.0])


def test_a_phase_that_was_not_evaluated(tmp_path):
    write_run(tmp_path / "a")
    with user_error("no evaluation of its online phase, but of offline"):
        read_one(tmp_path).curve("online")


def skipped_reason(tmp_path):
    found, skipped = runs.read_runs(tmp_path)
    assert found == []
    ((path, reason, state),) = skipped
    assert path == tmp_path / "a"
    return state, reason


def test_an_unfinished_run_is_named_with_its_update(tmp_path):
    path = write_run(tmp_path / "a")
    (path / "summary.json").unlink()
    assert skipped_reason(tmp_path) == ("unfinished", "broken off or still running, at update 20,000 of 20,000")
    whole = (path / "train.csv").read_text()
    (path / "train.csv").write_text(whole[: whole.rindex("20000") + 2])  # in its last row, cut to "20"
    assert "at update 20,000 of" in skipped_reason(tmp_path)[1]
    assert (path / "train.csv").read_text().endswith("\n20")  # the run may be writing: nothing is mended
    (path / "train.csv").unlink()
    assert "at update 0 of 20,000" in skipped_reason(tmp_path)[1]


def test_an_unfinished_online_run_is_named_with_its_environment_step(tmp_path):
    path = write_run(tmp_path / "a", config={"online": {"num_steps": 50_000}})
    add_evaluations(path, "online", {0: (20.0, 31.0)}, [0, 1])
    (path / "summary.json").unlink()
    progress = "at environment step 20,000 of 50,000"
    assert skipped_reason(tmp_path) == ("unfinished", f"broken off or still running, {progress}")


def stop_seeds(path, steps):
    """Leaves a run as one whose seeds diverged by these steps, as `training/divergence.py` does."""
    (path / "summary.json").unlink()
    stops = {
        str(seed): {"step": step, "metric": "critic/loss", "value": "inf", "checkpoint": None}
        for seed, step in steps.items()
    }
    (path / "stopped.json").write_text(json.dumps(stops))


def test_a_run_whose_seeds_have_all_diverged_is_named_with_its_step(tmp_path):
    """Seeds 3 and 4: the last stopped by 12,000, whatever its table still holds."""
    path = write_run(tmp_path / "a", config={"seed": 3, "num_seeds": 2})
    stop_seeds(path, {3: 12_000, 4: 9_000})
    assert skipped_reason(tmp_path) == ("diverged", "all seeds diverged, the last by update 12,000 of 20,000")
    (path / "stopped.json").write_text("{")
    assert skipped_reason(tmp_path)[0] == "left out"


def test_an_online_run_whose_seeds_have_all_diverged(tmp_path):
    path = write_run(tmp_path / "a", config={"online": {"num_steps": 50_000}})
    add_evaluations(path, "online", {0: (20.0, 31.0)}, [0, 1])
    stop_seeds(path, {0: 1_000, 1: 3_000})
    assert skipped_reason(tmp_path)[1] == "all seeds diverged, the last by environment step 3,000 of 50,000"


def test_a_run_of_which_a_seed_goes_on_has_not_diverged(tmp_path):
    stop_seeds(write_run(tmp_path / "a"), {1: 12_000})
    assert skipped_reason(tmp_path)[0] == "unfinished"


def test_a_run_that_has_not_begun_is_named(tmp_path):
    with closing(RunFolder(tmp_path / "a", CONFIG, resume=False, overwrite=False)):
        reason = "no config.json: somebody else's folder, or a run that has not begun"
        assert skipped_reason(tmp_path) == ("left out", reason)


def test_a_run_that_has_begun_is_unfinished(tmp_path):
    with closing(RunFolder(tmp_path / "a", CONFIG, resume=False, overwrite=False)) as folder:
        folder.start()
        assert skipped_reason(tmp_path)[0] == "unfinished"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("config.json", "{}", "config.json has no algorithm, variant, preset, task, num_updates"),
        ("config.json", "[1, 2]", "config.json has no algorithm"),
        ("config.json", '{"algor', "config.json cannot be read (Unterminated string"),
        ("summary.json", '{"accuracy": 1.0}', "summary.json has no phase, algorithm"),
        ("eval.csv", "phase,step,seed\n", "eval.csv holds no evaluation of the offline phase"),
        ("eval.csv", "phase,step,seed,score\noffline,0,0,garbage\n", "eval.csv is damaged (could not convert"),
        ("eval.csv", b"phase\xff", "eval.csv cannot be read ('utf-8' codec"),
    ],
)
def test_foreign_and_damaged_folders_are_named(tmp_path, name, content, reason):
    (write_run(tmp_path / "a") / name).write_bytes(content.encode() if isinstance(content, str) else content)
    state, told = skipped_reason(tmp_path)
    assert state == "left out"
    assert told.startswith(reason)


def test_runs_lie_at_any_depth(tmp_path):
    """Each once, in order; a folder of results beside them is foreign, folders above runs and empty ones are not."""
    second, first = write_run(tmp_path / "b" / "x"), write_run(tmp_path / "a" / "y" / "z")
    (first / "checkpoints" / "5").mkdir(parents=True)
    (first / "checkpoints" / "5" / "config.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "empty").mkdir()
    (tmp_path / "report" / "figures").mkdir(parents=True)
    (tmp_path / "report" / "report.html").write_text("<html>")
    (tmp_path / "report" / "figures" / "a.svg").write_text("<svg>")
    (tmp_path / "loop").symlink_to(tmp_path)
    found, skipped = runs.read_runs(tmp_path)
    assert [run.path for run in found] == [first, second]
    assert [path for path, *_ in skipped] == [tmp_path / "report"]
    assert [run.path for run in runs.read_runs(first, second)[0]] == [first, second]  # roots may be runs


def test_the_offline_run_in_the_folder_of_an_online_one_is_read(tmp_path):
    """`experiments.online --workdir=X` trains it in X/offline; its checkpoints hold no run."""
    online = write_run(tmp_path / "x", summary={"phase": "online"}, phase="online")
    offline = write_run(online / "offline")
    (online / "checkpoints" / "offline").mkdir(parents=True)
    (online / "checkpoints" / "offline" / "config.json").write_text("{}")
    found, skipped = runs.read_runs(tmp_path)
    assert ([(run.path, run.key.phase) for run in found], skipped) == ([(online, "online"), (offline, "offline")], [])
    assert [run.path for run in runs.read_runs(online)[0]] == [online, offline]


def test_a_root_must_be_a_folder(tmp_path):
    with user_error(f"{tmp_path / 'none'} is no folder"):
        runs.read_runs(tmp_path / "none")


def test_both_phases_on_one_axis():
    """Seeds 1 and 2 have both phases; the switch stands at 20, where each phase has an evaluation."""
    offline = Curve((0, 1, 2), np.array([0, 20]), np.array([[0.0, 0.5], [1.0, 1.5], [2.0, 2.5]]))
    online = Curve((2, 1, 3), np.array([0, 5]), np.array([[22.0, 22.5], [21.0, 21.5], [23.0, 23.5]]))
    both = join(offline, online)
    assert (both.seeds, both.switch) == ((2, 1), 20)
    np.testing.assert_array_equal(both.steps, [0, 20, 20, 25])
    np.testing.assert_array_equal(both.values, [[2.0, 2.5, 22.0, 22.5], [1.0, 1.5, 21.0, 21.5]])
    with user_error("offline runs have seeds (0, 1, 2), the online runs (3,)", "no seed has both phases"):
        join(offline, Curve((3,), np.array([0]), np.array([[1.0]])))


def test_merging_one_curve_changes_nothing():
    curve = Curve((3, 4), np.array([0, 5]), np.array([[1.0, np.nan], [2.0, 3.0]]))
    merged = merge([curve])
    assert merged.seeds == curve.seeds
    np.testing.assert_array_equal(merged.steps, curve.steps)
    np.testing.assert_array_equal(merged.values, curve.values)


def test_a_summary_agrees_with_what_is_read(tmp_path):
    """Of the very rows that `score_summary` looks at."""
    path = write_run(tmp_path / "a")
    summary = score_summary(CsvTable(path / "eval.csv").rows, (0, 1))
    curve = read_one(tmp_path).curve()
    assert (summary["final_score"], summary["best_score"]) == (curve.final.tolist(), curve.best.tolist())


def test_reading_writes_nothing(tmp_path):
    write_run(tmp_path / "a")
    before = {file: file.stat().st_mtime_ns for file in Path(tmp_path).rglob("*")}
    runs.read_runs(tmp_path)
    assert {file: file.stat().st_mtime_ns for file in Path(tmp_path).rglob("*")} == before
