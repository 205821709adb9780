"""Run folders: finished runs, folders left out with their reasons, and curves."""

import json
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from ssar_jax.logs.tables import CsvTable
from ssar_jax.reporting.read import folders
from ssar_jax.reporting.read.curves import Curve, join, merge, read_curve
from ssar_jax.reporting.read.files import read_arrays
from ssar_jax.runs.storage.folder import RunFolder
from ssar_jax.runs.storage.summary import score_summary
from tests.data.helpers import user_error
from tests.reporting.report_runs import CONFIG, KEY, SUMMARY, add_evaluations, write_run


def read_one(path):
    (run,), skipped = folders.read_runs(path)
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
    assert run.command == f"ssar-jax offline {config} --workdir=runs/again"


def test_the_command_of_an_online_run_names_its_offline_run(tmp_path):
    path = write_run(tmp_path / "run", summary={"phase": "online", "offline_run": "runs/other"}, phase="online")
    command = f"ssar-jax online --config={path / 'config.json'} --workdir=runs/again"
    assert read_one(tmp_path).command == f"{command} --offline_run=runs/other"


def test_a_config_is_read_under_the_current_names_of_its_fields(tmp_path):
    write_run(tmp_path / "run", config={"coefficient": {"kind": "constant", "mask_regulariser": True}})
    assert read_one(tmp_path).config["coefficient"] == {"kind": "constant", "mask_regularizer": True}


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
    arrays = read_arrays(found[10])
    assert arrays.keys() == {"rows", "beta"}
    np.testing.assert_array_equal(arrays["beta"], [[1.0, 1.0]])
    content = found[10].read_bytes()
    found[10].write_bytes(content[: len(content) // 2])
    with user_error(str(found[10]), "cannot be read"):
        read_arrays(found[10])


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
    with user_error("no evaluation of the online phase, only of offline"):
        read_one(tmp_path).curve("online")


def skipped_reason(tmp_path):
    found, skipped = folders.read_runs(tmp_path)
    assert found == []
    ((path, reason, state),) = skipped
    assert path == tmp_path / "a"
    return state, reason


def test_an_unfinished_run_is_named_with_its_update(tmp_path):
    path = write_run(tmp_path / "a")
    (path / "summary.json").unlink()
    assert skipped_reason(tmp_path) == ("unfinished", "interrupted or still running, at update 20,000 of 20,000")
    whole = (path / "train.csv").read_text()
    (path / "train.csv").write_text(whole[: whole.rindex("20000") + 2])  # in its last row, cut to "20"
    assert "at update 20,000 of" in skipped_reason(tmp_path)[1]
    assert (path / "train.csv").read_text().endswith("\n20")  # the run may be writing: nothing is repaired
    (path / "train.csv").unlink()
    assert "at update 0 of 20,000" in skipped_reason(tmp_path)[1]


def test_an_unfinished_online_run_is_named_with_its_environment_step(tmp_path):
    path = write_run(tmp_path / "a", config={"online": {"num_steps": 50_000}})
    add_evaluations(path, "online", {0: (20.0, 31.0)}, [0, 1])
    (path / "summary.json").unlink()
    progress = "at environment step 20,000 of 50,000"
    assert skipped_reason(tmp_path) == ("unfinished", f"interrupted or still running, {progress}")


def stop_seeds(path, steps):
    """Leaves a run as one whose seeds diverged by these steps, as `runs/divergence.py` does."""
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


def test_a_run_with_a_seed_that_continues_has_not_diverged(tmp_path):
    stop_seeds(write_run(tmp_path / "a"), {1: 12_000})
    assert skipped_reason(tmp_path)[0] == "unfinished"


def test_a_run_that_has_not_started_is_named(tmp_path):
    with closing(RunFolder(tmp_path / "a", CONFIG, resume=False, overwrite=False)):
        reason = "no config.json: not a run, or a run that has not started"
        assert skipped_reason(tmp_path) == ("left out", reason)


def test_a_run_that_has_started_is_unfinished(tmp_path):
    with closing(RunFolder(tmp_path / "a", CONFIG, resume=False, overwrite=False)) as folder:
        folder.start()
        assert skipped_reason(tmp_path)[0] == "unfinished"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("config.json", "{}", "config.json has no algorithm, variant, preset, task, num_updates"),
        ("config.json", "[1, 2]", "config.json is a list, not an object: not written by this library"),
        ("config.json", "[" * 100_000, "config.json cannot be read (maximum recursion depth"),
        ("config.json", json.dumps(CONFIG | {"num_updates": "many"}), "config.json: num_updates is 'many', not an int"),
        ("config.json", json.dumps(CONFIG | {"coefficient": [1]}), "config.json: coefficient is [1], not an object or"),
        ("config.json", '{"algor', "config.json cannot be read (Unterminated string"),
        ("summary.json", '{"accuracy": 1.0}', "summary.json has no phase, algorithm"),
        ("summary.json", json.dumps(SUMMARY | {"task": None}), "summary.json: task is None, not text"),
        (
            "summary.json",
            json.dumps(SUMMARY | {"seeds": ["0"]}),
            "summary.json: seeds: an element is '0', not an integer",
        ),
        ("summary.json", json.dumps(SUMMARY | {"seeds": []}), "summary.json: seeds is empty"),
        (
            "summary.json",
            json.dumps(SUMMARY | {"area_score": ["x"]}),
            "summary.json: area_score: an element is 'x', not",
        ),
        ("summary.json", json.dumps(SUMMARY | {"versions": []}), "summary.json: versions is [], not an object"),
        ("summary.json", json.dumps(SUMMARY | {"system": 3}), "summary.json: system is 3, not text"),
        ("eval.csv", "phase,step,seed\n", "eval.csv has no evaluation of the offline phase"),
        ("eval.csv", "", "eval.csv has no evaluation of the offline phase"),
        ("eval.csv", "phase,step,seed\noffline,0,0\n", "eval.csv has no column score or return"),
        ("eval.csv", "phase,step,seed,score\noffline,0,0\n", "eval.csv is damaged (line 2 does not have 4 cells)"),
        ("eval.csv", "phase,step,seed,score\noffline,0,0,1,2\n", "eval.csv is damaged (line 2 does not have 4 cells)"),
        ("eval.csv", f"phase,step,seed,score\noffline,{10**30},0,1\n", "eval.csv is damaged (Python int too large"),
        ("eval.csv", "phase,step,seed,score\noffline,0,0,\0\n", "eval.csv is damaged ("),
        ("eval.csv", "phase,step,seed,score\noffline,0,0,garbage\n", "eval.csv is damaged (could not convert"),
        ("eval.csv", b"phase\xff", "eval.csv cannot be read ('utf-8' codec"),
    ],
)
def test_foreign_and_damaged_folders_are_named(tmp_path, name, content, reason):
    (write_run(tmp_path / "a") / name).write_bytes(content.encode() if isinstance(content, str) else content)
    state, found = skipped_reason(tmp_path)
    assert state == "left out"
    assert found.startswith(reason)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_table_saved_by_a_spreadsheet_is_left_out(tmp_path, mark, separator):
    """With a byte-order mark, other separators, or both; the file as the run wrote it is read."""
    file = write_run(tmp_path / "a") / "eval.csv"
    file.write_text(mark + file.read_text().replace(",", separator))
    if (mark, separator) == ("", ","):
        assert len(folders.read_runs(tmp_path)[0]) == 1
        return
    state, reason = skipped_reason(tmp_path)
    assert (state, reason.count("\n")) == ("left out", 0)
    assert reason.startswith("eval.csv has no column phase")
    assert "spreadsheet" in reason


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("train.csv", "step;seed\n1;0\n"),
        ("train.csv", "step,seed\nx,0\n"),
        ("stopped.json", '{"0": 3}'),
        ("stopped.json", '{"0": {}, "1": {}}'),
    ],
)
def test_an_unfinished_run_with_a_damaged_file_is_left_out(tmp_path, name, content):
    path = write_run(tmp_path / "a")
    (path / "summary.json").unlink()
    (path / name).write_text(content)
    state, reason = skipped_reason(tmp_path)
    assert (state, reason.split(" ")[0].rstrip(":")) == ("left out", name)


def refuse(monkeypatch, refused):
    """Takes away the permission to read a file or folder, which root would have on disk."""

    def guard(function, *, itself):
        def call(path, *arguments, **options):
            if refused in path.parents or (itself and path == refused):
                raise PermissionError(13, "Permission denied", str(path))
            return function(path, *arguments, **options)

        return call

    for name in ("iterdir", "open", "is_dir", "is_file", "exists"):
        monkeypatch.setattr(Path, name, guard(getattr(Path, name), itself=name in ("iterdir", "open")))


@pytest.mark.parametrize("name", [".", "config.json", "summary.json", "eval.csv"])
def test_a_run_without_permission_is_left_out_and_the_others_are_read(tmp_path, monkeypatch, name):
    path, other = write_run(tmp_path / "runs" / "a"), write_run(tmp_path / "runs" / "b")
    refuse(monkeypatch, path / name)
    found, ((skipped, reason, state),) = folders.read_runs(tmp_path / "runs")
    assert [run.path for run in found] == [other]
    assert (skipped, state) == (path, "left out")
    assert "cannot be read ([Errno 13] Permission denied" in reason


def test_a_foreign_config_above_runs_does_not_hide_them(tmp_path):
    """Another program's or a damaged one; checkpoints are not searched."""
    for content in ('{"model": "gpt"}', "[1]", "{"):
        (tmp_path / "config.json").write_text(content)
        root = tmp_path / str(len(content))
        run = write_run(root / "a")
        (root / "config.json").write_text(content)
        (root / "checkpoints" / "5").mkdir(parents=True)
        (root / "checkpoints" / "5" / "config.json").write_text("{}")
        found, skipped = folders.read_runs(root)
        assert [each.path for each in found] == [run]
        assert [each.path for each in skipped] == [root]
        assert skipped[0].reason.startswith("config.json ")
    assert len(folders.read_runs(tmp_path)[0]) == 3


def test_runs_are_found_at_any_depth(tmp_path):
    """Each once, in order; a folder of results next to them is foreign, folders above runs and empty ones are not."""
    second, first = write_run(tmp_path / "b" / "x"), write_run(tmp_path / "a" / "y" / "z")
    (first / "checkpoints" / "5").mkdir(parents=True)
    (first / "checkpoints" / "5" / "config.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "empty").mkdir()
    (tmp_path / "report" / "figures").mkdir(parents=True)
    (tmp_path / "report" / "report.html").write_text("<html>")
    (tmp_path / "report" / "figures" / "a.svg").write_text("<svg>")
    (tmp_path / "loop").symlink_to(tmp_path)
    found, skipped = folders.read_runs(tmp_path)
    assert [run.path for run in found] == [first, second]
    assert [path for path, *_ in skipped] == [tmp_path / "report"]
    assert [run.path for run in folders.read_runs(first, second)[0]] == [first, second]  # roots may be runs


def test_the_offline_run_in_the_folder_of_an_online_one_is_read(tmp_path):
    """`experiments.online --workdir=X` trains it in X/offline; its checkpoints hold no run."""
    online = write_run(tmp_path / "x", summary={"phase": "online"}, phase="online")
    offline = write_run(online / "offline")
    (online / "checkpoints" / "offline").mkdir(parents=True)
    (online / "checkpoints" / "offline" / "config.json").write_text("{}")
    found, skipped = folders.read_runs(tmp_path)
    assert ([(run.path, run.key.phase) for run in found], skipped) == ([(online, "online"), (offline, "offline")], [])
    assert [run.path for run in folders.read_runs(online)[0]] == [online, offline]


def test_a_root_must_be_a_folder(tmp_path):
    with user_error(f"{tmp_path / 'none'} is not a folder"):
        folders.read_runs(tmp_path / "none")


def test_both_phases_on_one_axis():
    """Seeds 1 and 2 have both phases; the switch is at 20, where each phase has an evaluation."""
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
    """Both use the same rows."""
    path = write_run(tmp_path / "a")
    summary = score_summary(CsvTable(path / "eval.csv").rows, (0, 1))
    curve = read_one(tmp_path).curve()
    assert (summary["final_score"], summary["best_score"]) == (curve.final.tolist(), curve.best.tolist())


def test_reading_writes_nothing(tmp_path):
    write_run(tmp_path / "a")
    before = {file: file.stat().st_mtime_ns for file in Path(tmp_path).rglob("*")}
    folders.read_runs(tmp_path)
    assert {file: file.stat().st_mtime_ns for file in Path(tmp_path).rglob("*")} == before
