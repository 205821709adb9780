"""The run folder: its lock, what may be resumed or replaced, and atomic files."""

import errno
import fcntl
import gc
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from configs import td3_bc
from ssar_jax.errors import UnreadableError
from ssar_jax.run_format import default_folder, read_json
from ssar_jax.runs.storage import folder as folder_module
from ssar_jax.runs.storage.folder import RunFolder
from tests.data.helpers import deny, user_error

ROOT = Path(__file__).parents[3]
CONFIG = {"algorithm": "td3_bc", "seed": 0, "critic": {"tau": 0.005, "hidden_sizes": (256, 256)}}


pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs" / "one"


def start(path, config=CONFIG, *, resume=False, overwrite=False):
    gc.collect()  # releases the locks of folders that are no longer referenced
    folder = RunFolder(path, config, resume=resume, overwrite=overwrite)
    folder.start()
    return folder


def test_a_new_run_holds_its_config_and_versions(path):
    folder = start(path)
    assert folder.path == path
    assert folder.read_json("config.json") == {
        "algorithm": "td3_bc",
        "seed": 0,
        "critic": {"tau": 0.005, "hidden_sizes": [256, 256]},
    }
    written = folder.read_json("versions.json")
    assert {"packages", "python", "commit", "device", "processor", "jax", "environment"} == written.keys()
    assert {"jax", "numpy", "mujoco", "ssar_jax"} <= written["packages"].keys()
    assert written["device"].startswith("1 x ")


def test_the_default_folder_names_the_run(tmp_path):
    config = td3_bc.get_config("hopper-m,variant=base_ln,preset=short")
    config.seed, config.num_seeds = 3, 5
    expected = tmp_path / "td3_bc" / "hopper-m" / "offline-base_ln-short-s3-7"
    assert default_folder(tmp_path, config, "offline") == expected


def test_an_unfinished_run_is_refused_unless_resumed_or_replaced(path):
    start(path)
    with user_error(f"{path} contains an unfinished run", "--resume continues it", "--overwrite", "--workdir="):
        start(path)
    start(path, resume=True)
    start(path, overwrite=True)


def test_a_finished_run_is_refused_unless_replaced(path):
    start(path).write_json("summary.json", {})
    with user_error(f"{path} contains a finished run: --overwrite replaces it, --workdir="):
        start(path)
    start(path, resume=True)  # allowed: the caller finds that nothing is left to do


def test_there_must_be_a_run_to_resume(path):
    with user_error(f"--resume: {path} contains no run", "leave the flag out"):
        start(path, resume=True)
    assert not path.exists()


def test_a_folder_created_for_a_run_that_did_not_start_is_removed(path):
    """Its parents too; what existed before or was added in the meantime stays."""
    deep = path / "algorithm" / "task"
    RunFolder(deep, CONFIG, resume=False, overwrite=False).close()
    assert not path.parent.exists()
    path.mkdir(parents=True)
    RunFolder(deep, CONFIG, resume=False, overwrite=False).close()
    assert not list(path.iterdir())
    folder = RunFolder(deep, CONFIG, resume=False, overwrite=False)
    (path / "algorithm" / "sweep.log").write_text("mine")
    folder.close()
    assert [file.name for file in path.rglob("*")] == ["algorithm", "sweep.log"]
    start(deep).close()
    RunFolder(deep, CONFIG, resume=True, overwrite=False).close()
    assert (deep / "config.json").exists()
    assert (deep / ".lock").exists()


def test_overwriting_removes_what_the_run_wrote_and_nothing_else(path):
    folder = start(path)
    folder.write_json("summary.json", {})
    ours = (
        *("data.json", "stopped.json", "train.csv", "eval.csv", "metrics.jsonl", "preparation.npz"),
        *("checkpoints/10/default/d/x",),
        *("diagnostics/0.npz", "tensorboard/seed-0/events", "wandb/offline-run-1/run-1.wandb"),
    )
    for name in (*ours, "notes.txt"):
        folder.file(name).parent.mkdir(parents=True, exist_ok=True)
        folder.file(name).write_text("old")
    folder.file("wandb/latest-run").symlink_to("offline-run-1")
    del folder
    start(path, CONFIG | {"seed": 1}, overwrite=True)
    assert read_json(path / "config.json")["seed"] == 1
    left = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}
    assert left == {".lock", "config.json", "versions.json", "notes.txt"}


@pytest.mark.parametrize("name", ["train.csv", "checkpoints/mine.bin", "wandb/run/a"])
def test_other_files_are_kept_unless_overwritten(path, name):
    """A folder without a config is not a run; empty folders and other file names do not matter."""
    (path / name).parent.mkdir(parents=True)
    (path / name).write_text("mine")
    (path / "notes.txt").write_text("mine")
    with user_error(f"{path} is not a run but contains {name.partition('/')[0]}, which", "--workdir=", "--overwrite"):
        start(path)
    assert (path / name).read_text() == "mine"
    start(path, overwrite=True)
    assert not (path / name).exists()
    assert (path / "notes.txt").read_text() == "mine"


def test_what_a_kill_during_a_write_left_behind_is_removed(path):
    """And nothing else whose name begins with a dot."""
    start(path)
    left, kept = (
        (".train.csv.ab_c12z9", "diagnostics/.50.npz.abcdefgh"),
        (".notes.txt.abcdefgh", ".lock", "diagnostics/.x"),
    )
    (path / "diagnostics").mkdir()
    for name in (*left, *kept):
        (path / name).touch()
    start(path, resume=True)
    assert not any((path / name).exists() for name in left)
    assert all((path / name).exists() for name in kept)


def test_resuming_in_another_version_warns_and_is_recorded(path, monkeypatch, caplog):
    """Two resumptions with the same other version are one change; the first versions are kept."""
    first = read_json(start(path).file("versions.json"))
    start(path, resume=True)
    assert caplog.text == ""
    monkeypatch.setattr("ssar_jax.runs.storage.folder.versions", lambda: first | {"commit": "abc"})
    start(path, resume=True)
    assert (
        f"resuming with other versions, so the numbers may differ: commit was {first['commit']}, is abc" in caplog.text
    )
    start(path, resume=True)
    assert read_json(path / "versions.json") == first | {"resumed": [first | {"commit": "abc"}]}


def test_resuming_with_another_config_names_every_difference(path):
    start(path)
    changed = {"algorithm": "td3_bc", "seed": 2, "critic": {"tau": 0.01, "hidden_sizes": (256, 256)}}
    with user_error("the config changed", "critic.tau was 0.005, is 0.01", "seed was 0, is 2", "--workdir"):
        start(path, changed, resume=True)
    with user_error("critic.hidden_sizes was [256, 256], is [256]"):
        start(path, CONFIG | {"critic": {"tau": 0.005, "hidden_sizes": (256,)}}, resume=True)
    with user_error("batch_size was None, is 256"):
        start(path, CONFIG | {"batch_size": 256}, resume=True)
    start(path, resume=True)  # tuples are lists in JSON, which is no difference


DATA = {"data_source": "path", "data_name": "mine.npz", "dataset_hash": "abc", "num_transitions": 10}


def with_path(path):
    return CONFIG | {"dataset": {"path": None if path is None else str(path)}}


def start_with_data(path, dataset, data=DATA):
    """Starts a run and returns a function that resumes it with a dataset at another place."""
    start(path, with_path(dataset)).write_json("data.json", data)

    def resume(place, **changes):
        gc.collect()
        folder = RunFolder(path, with_path(place), resume=True, overwrite=False)
        folder.require_data(data | changes)
        folder.close()

    return resume


def test_a_changed_dataset_is_named(path, tmp_path):
    resume = start_with_data(path, tmp_path / "mine.npz")
    resume(tmp_path / "mine.npz")
    with user_error("the dataset changed", "dataset_hash was abc, is def"):
        resume(tmp_path / "mine.npz", dataset_hash="def")


def test_a_dataset_may_move_but_not_change(path, tmp_path, caplog):
    """A file with the same content may have another place and another name, which the log notes."""
    resume = start_with_data(path, tmp_path / "mine.npz")
    moved = f"dataset.path was {tmp_path / 'mine.npz'}, is {tmp_path / 'data' / 'ours.npz'}"
    with caplog.at_level(logging.INFO):
        resume(tmp_path / "data" / "ours.npz", data_name="ours.npz")
    assert f"the dataset has moved, and its content is the same: {moved}" in caplog.text
    with user_error("the dataset changed", moved, "dataset_hash was abc, is def", "data_name was mine.npz"):
        resume(tmp_path / "data" / "ours.npz", data_name="ours.npz", dataset_hash="def")
    with user_error("the dataset changed", "data_source was path, is d4rl"):
        resume(tmp_path / "data" / "ours.npz", data_source="d4rl")


def test_relative_and_absolute_paths_of_one_file_are_one(path, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    resume = start_with_data(path, "mine.npz")
    with caplog.at_level(logging.INFO):
        resume(tmp_path / "mine.npz")
        resume("./mine.npz")
    assert "moved" not in caplog.text


def test_without_a_record_of_the_content_a_dataset_may_not_move(path, tmp_path):
    start(path, with_path(tmp_path / "mine.npz"))
    gc.collect()
    with user_error("the config changed", f"dataset.path was {tmp_path / 'mine.npz'}, is {tmp_path / 'ours.npz'}"):
        RunFolder(path, with_path(tmp_path / "ours.npz"), resume=True, overwrite=False)


def test_a_run_that_is_replaced_may_have_other_data(path):
    start(path).write_json("data.json", DATA)
    gc.collect()
    RunFolder(path, CONFIG, resume=False, overwrite=True).require_data(DATA | {"dataset_hash": "def"})


def test_a_file_without_permission_is_not_damaged(path, monkeypatch):
    start(path)
    with monkeypatch.context() as patch:
        deny(patch, path / "config.json")
        with user_error(f"{path / 'config.json'} cannot be read (Permission denied): check its permissions") as caught:
            start(path, resume=True)
    assert isinstance(caught.value, UnreadableError)


def test_a_damaged_config_is_an_error(path):
    start(path)
    (path / "config.json").write_text('{"algorithm": ')
    with user_error(f"{path / 'config.json'} cannot be read", "check that its folder is a run"):
        start(path, resume=True)
    with user_error("cannot be read"):
        read_json(path / "missing.json")


def test_json_is_written_atomically(path):
    folder = start(path)
    folder.write_json("summary.json", {"score": 1.0})
    with pytest.raises(TypeError):
        folder.write_json("summary.json", {"score": object()})
    with pytest.raises(ValueError, match="not JSON compliant"):
        folder.write_json("summary.json", {"score": float("nan")})
    assert json.loads((path / "summary.json").read_text()) == {"score": 1.0}
    assert {file.name for file in path.iterdir()} == {".lock", "config.json", "versions.json", "summary.json"}


def test_a_folder_that_cannot_be_created_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with user_error(f"cannot write to {tmp_path / 'file' / 'run'}: Not a directory", "--workdir"):
        start(tmp_path / "file" / "run")


HOLD = """
import sys
from pathlib import Path
from ssar_jax.runs.storage.folder import RunFolder
folder = RunFolder(Path(sys.argv[1]), {}, resume=False, overwrite=False)
folder.start()
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_refused_while_the_first_runs(path):
    """Only until then: the lock of a killed process is released."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            assert process.stdout.readline() == "locked\n"
            for options in ({}, {"resume": True}, {"overwrite": True}):
                with user_error(f"another process is writing to {path}", "--workdir"):
                    start(path, {}, **options)
        finally:
            process.kill()
    start(path, {}, resume=True)


def test_a_folder_that_is_no_longer_used_is_free_again(path):
    """Within one process too, for training one run after another from Python."""
    folder = start(path)
    with user_error("another process is writing"):
        start(path, resume=True)
    del folder
    start(path, resume=True)


def test_a_refused_folder_is_not_locked(path):
    """Although the traceback of the error keeps it alive, as in a notebook."""
    start(path).close()
    with pytest.raises(ValueError, match="unfinished run") as refusal:
        start(path)
    RunFolder(path, CONFIG, resume=True, overwrite=False).close()
    assert refusal.value.__traceback__ is not None


@pytest.fixture
def failing_lock(monkeypatch):
    """Returns a function that makes every lock fail with an error code."""
    folder_module._warn_of_no_lock.cache_clear()

    def fail_with(code):
        def flock(file, operation):
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(fcntl, "flock", flock)

    yield fail_with
    folder_module._warn_of_no_lock.cache_clear()


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_one_warning(path, failing_lock, caplog, code):
    failing_lock(code)
    with caplog.at_level(logging.WARNING):
        start(path).close()
        start(path, resume=True).close()
    reason = f"the file system does not support locks: {os.strerror(code)}"
    assert caplog.messages == [
        f"run folders are not locked ({reason}): do not let two processes write to the same folder"
    ]


@pytest.mark.parametrize("code", [errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES])
def test_only_a_lock_that_another_process_holds_means_in_use(path, failing_lock, code):
    failing_lock(code)
    with user_error(f"another process is writing to {path}", "--workdir"):
        start(path)


def test_another_error_of_the_lock_is_one_line(path, failing_lock):
    failing_lock(errno.EIO)
    with user_error(f"cannot lock {path / '.lock'}: {os.strerror(errno.EIO)}", "--workdir"):
        start(path)


WITHOUT_FCNTL = """
import logging
import sys
from pathlib import Path

sys.modules["fcntl"] = None  # as on Windows: importing it raises ImportError
from ssar_jax.runs import load
from ssar_jax.runs.storage.folder import RunFolder

logging.basicConfig(format="%(message)s", force=True)
for resume in (False, True):
    folder = RunFolder(Path(sys.argv[1]), {}, resume=resume, overwrite=False)
    folder.start()
    folder.close()
print(load.load_policy.__name__)
"""


def test_without_fcntl_policies_can_be_loaded_and_runs_are_not_locked(path):
    """Windows has no fcntl."""
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_FCNTL, str(path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (0, "load_policy\n"), result.stderr
    assert [line for line in result.stderr.splitlines() if "locked" in line] == [
        "run folders are not locked (this platform has no fcntl): do not let two processes write to the same folder"
    ]
    assert (path / "config.json").exists()
