"""Downloads from a real HTTP server on loopback that may truncate, corrupt, stall and refuse."""

import dataclasses
import hashlib
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from experiments import download as download_command
from ssar_jax.data.d4rl_files import D4RLFile
from ssar_jax.data.sources.download import download
from ssar_jax.data.tasks import Task, get_task
from tests.data.helpers import user_error

CONTENT = bytes(range(256)) * 4096  # 1 MiB
PATH = "gym_mujoco_v2/hopper_medium-v2.hdf5"
NAME = "hopper_medium-v2.hdf5"


class Server(ThreadingHTTPServer):
    """Serves CONTENT in the ways named by `replies`, one per request; the last one repeats."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies = ["whole"]
        self.requests: list[str] = []
        self.finished = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/data/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing when the client closes the connection."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        replies = self.server.replies
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        if reply == "refuse":
            self.send_error(404)
            return
        self.send_response(200)
        if reply not in ("short", "endless"):  # replies without a length, which may just end
            self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        half = CONTENT[: len(CONTENT) // 2]
        if reply == "corrupt":
            self.wfile.write(half + bytes(len(CONTENT) - len(half)))
        elif reply == "whole":
            self.wfile.write(CONTENT)
        elif reply == "endless":
            self.wfile.write(4 * CONTENT)
        else:
            self.wfile.write(half)
        if reply == "stall":
            self.server.finished.wait(30.0)

    def log_message(self, format: str, *args: Any) -> None:
        """Write no log."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.finished.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def task() -> Task:
    record = D4RLFile(PATH, len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    return dataclasses.replace(get_task("hopper-m"), file=record)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_download(server: Server, task: Task, tmp_path: Path) -> None:
    path, fetched = download(task, tmp_path / "new", base_url=server.url)
    assert (path, fetched) == (tmp_path / "new" / NAME, True)
    assert path.read_bytes() == CONTENT
    assert path.stat().st_mode & 0o777 == 0o644
    assert server.requests == [f"/data/{PATH}"]


def test_an_intact_file_is_left_alone(server: Server, task: Task, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(CONTENT)
    assert download(task, tmp_path, base_url=server.url) == (tmp_path / NAME, False)
    assert server.requests == []


def test_a_damaged_file_is_replaced(server: Server, task: Task, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(CONTENT[:-1])
    assert download(task, tmp_path, base_url=server.url).fetched
    assert (tmp_path / NAME).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("reply", "parts"),
    [
        ("truncate", ("truncated", "1,048,576 bytes")),
        ("short", ("truncated", "524,288 bytes arrived instead of 1,048,576")),
        ("endless", ("not the official file, more than 1,048,576 bytes arrived",)),
        ("corrupt", ("damaged", "sha256")),
        ("stall", ("stalled", "no data for 0.3 s")),
        ("refuse", ("the server refuses", "404")),
    ],
)
@pytest.mark.parametrize("before", [None, b"a damaged file"], ids=["absent", "damaged"])
def test_failures_leave_the_final_name_alone(
    server: Server, task: Task, tmp_path: Path, reply: str, parts: tuple[str, ...], before: bytes | None
) -> None:
    if before is not None:
        (tmp_path / NAME).write_bytes(before)
    server.replies = [reply]
    with user_error(f"{server.url}{PATH}: ", *parts):
        download(task, tmp_path, base_url=server.url, timeout_seconds=0.3, retries=0)
    assert names(tmp_path) == ([] if before is None else [NAME])
    assert before is None or (tmp_path / NAME).read_bytes() == before
    assert len(server.requests) == 1


@pytest.mark.parametrize("reply", ["truncate", "short", "corrupt", "stall"])
def test_failures_that_may_pass_are_tried_again(server: Server, task: Task, tmp_path: Path, reply: str) -> None:
    server.replies = [reply, "whole"]
    assert download(task, tmp_path, base_url=server.url, timeout_seconds=0.3, retries=1).fetched
    assert len(server.requests) == 2


def test_no_network(task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    server.server_close()  # nothing listens on its port now
    with user_error(f"{server.url}{PATH}: cannot be reached", "check the network connection"):
        download(task, tmp_path, base_url=server.url, retries=0)
    assert names(tmp_path) == []


def test_unwritable_folder(server: Server, task: Task, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with user_error(f"cannot write to {tmp_path / 'file' / 'datasets'}", "D4RL_DATASET_DIR"):
        download(task, tmp_path / "file" / "datasets", base_url=server.url)
    assert server.requests == []


def test_full_disk(server: Server, task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with user_error("the disk is too full, 1,048,576 bytes are needed and 1,000 are free"):
        download(task, tmp_path, base_url=server.url)
    assert server.requests == []


def test_disk_that_fills_up_during_the_download(
    server: Server, task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(source: str, target: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "move", fail)
    with user_error(f"cannot write {tmp_path / NAME}: No space left on device"):
        download(task, tmp_path, base_url=server.url)
    assert names(tmp_path) == []


def test_custom_tasks_have_nothing_to_download(task: Task, tmp_path: Path) -> None:
    with user_error("task hopper-m has no official file"):
        download(dataclasses.replace(task, file=None), tmp_path)


def test_command(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / NAME).write_bytes(CONTENT)
    monkeypatch.setenv("D4RL_DATASET_DIR", str(tmp_path))
    monkeypatch.setattr(download_command, "get_task", lambda name: task)
    download_command.main(["hopper-m"])
    assert capsys.readouterr().out == f"hopper-m: already there, verified: {tmp_path / NAME}\n"


def test_command_needs_known_tasks() -> None:
    with user_error("name at least one task", "ssar-jax download hopper-m"):
        download_command.main([])
    with user_error("unknown task 'hoper-m'"):
        download_command.main(["hoper-m"])


def test_command_line() -> None:
    command = [sys.executable, "-m", "experiments.download", "hopper-m", "hoper-m"]
    root = Path(__file__).parents[3]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("error: unknown task 'hoper-m'; nearest: ")
    assert result.stderr.count("\n") == 1
