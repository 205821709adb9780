"""Full and read-only disks, a clock that is set back, two starts at once: one clear line, and no number is lost."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.smoke import small_run

pytestmark = pytest.mark.slow

_ROOM = "8m"  # of the disk of a run that finishes


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the path of the data of every run."""
    return small_run.write_dataset(tmp_path_factory.mktemp("data") / "data.npz")


@pytest.fixture(scope="module")
def undisturbed(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a run that nothing happened to."""
    folder = tmp_path_factory.mktemp("undisturbed")
    finish(dataset, folder)
    return folder


@contextmanager
def disk(folder: Path, size: str) -> Iterator[None]:
    """Mounts a disk in memory, which needs the rights of root."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def remount(folder: Path, option: str) -> None:
    """Changes a disk in memory while it is in use."""
    subprocess.run(["mount", "-o", f"remount,{option}", folder], check=True)


def finish(dataset: Path, folder: Path, *more: str) -> None:
    """Runs to the end."""
    status, _, messages = small_run.finish(small_run.start(*small_run.flags(dataset), f"--workdir={folder}", *more))
    assert status == 0, messages


def refused(process: "subprocess.Popen[str]") -> str:
    """Requires a process to end with one line of error, and returns it."""
    status, _, messages = small_run.finish(process)
    assert status == 2, messages
    assert "Traceback" not in messages
    return messages.strip().splitlines()[-1]


@pytest.mark.parametrize("size", ["40k", "100k", "200k", "400k"])
def test_a_full_disk(dataset: Path, undisturbed: Path, tmp_path: Path, size: str) -> None:
    """However far the run came, it goes on from there when there is room."""
    with disk(tmp_path / "disk", size):
        folder = tmp_path / "disk" / "run"
        line = refused(small_run.start(*small_run.flags(dataset), f"--workdir={folder}"))
        assert "No space left" in line or "os_error_code" in line, line
        remount(tmp_path / "disk", f"size={_ROOM}")
        finish(dataset, folder, *(["--resume"] if (folder / "config.json").exists() else []))
        small_run.assert_same_numbers(undisturbed, folder)


def test_a_disk_that_becomes_read_only(dataset: Path, undisturbed: Path, tmp_path: Path) -> None:
    """As Linux does with a failing disk."""
    with disk(tmp_path / "disk", _ROOM):
        folder = tmp_path / "disk" / "run"
        process = small_run.start(*small_run.flags(dataset), f"--workdir={folder}")
        _wait_for(folder / "checkpoints" / "250")
        process.send_signal(19)  # SIGSTOP: no file may be open for writing while the disk changes
        subprocess.run(["mount", "-o", "bind", tmp_path / "disk", tmp_path / "disk"], check=True)
        remount(tmp_path / "disk", "bind,ro")
        try:
            process.send_signal(18)
            line = refused(process)
            assert "Read-only file system" in line, line
            line = refused(small_run.start(*small_run.flags(dataset), f"--workdir={folder}", "--resume"))
            assert "cannot write to" in line, line
        finally:
            process.kill()
            subprocess.run(["umount", tmp_path / "disk"], check=True)
        finish(dataset, folder, "--resume")
        small_run.assert_same_numbers(undisturbed, folder)


def _wait_for(path: Path) -> None:
    """Waits until a file or folder exists."""
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.01)


_CLOCK_SET_BACK = """
import datetime, runpy, sys, time
for name in ("time", "time_ns"):
    def earlier(read=getattr(time, name), day=86_400 * (10**9 if name == "time_ns" else 1)):
        return read() - 3 * day
    setattr(time, name, earlier)
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def test_a_clock_that_is_set_back(dataset: Path, undisturbed: Path, tmp_path: Path) -> None:
    """Between two parts of a run: all its files are then from the future."""
    folder = tmp_path / "run"
    process = small_run.start(*small_run.flags(dataset), f"--workdir={folder}")
    _wait_for(folder / "checkpoints" / "500")
    process.kill()
    small_run.finish(process)
    future = time.time() + 3 * 86_400
    for file in folder.rglob("*"):
        os.utime(file, (future, future))
    arguments = [*small_run.flags(dataset), f"--workdir={folder}", "--resume"]
    command = [sys.executable, "-c", _CLOCK_SET_BACK, "experiments.offline", *arguments]
    subprocess.run(command, cwd=small_run.ROOT, check=True, capture_output=True, timeout=240)
    small_run.assert_same_numbers(undisturbed, folder)


def test_two_starts_at_once(dataset: Path, undisturbed: Path, tmp_path: Path) -> None:
    """One of them runs, whichever, and the other says so; three times, since they race."""
    for number in range(3):
        folder = tmp_path / f"run-{number}"
        both = [small_run.start(*small_run.flags(dataset), f"--workdir={folder}") for _ in range(2)]
        ended = [small_run.finish(process) for process in both]
        assert sorted(status for status, _, _ in ended) == [0, 2], ended
        line = next(messages for status, _, messages in ended if status == 2).strip().splitlines()[-1]
        assert "another process is writing" in line or "holds a finished run" in line, line
        small_run.assert_same_numbers(undisturbed, folder)
