"""Engines: what cannot run is one line, and what a worker does with a run, without a cluster."""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import pytest
from ml_collections import ConfigDict

from experiments.sweeping import cores
from experiments.sweeping.engines import base, remote
from experiments.sweeping.engines.choose import Resources, make_engine
from ssar_jax.run_format import IN_USE
from tests.data.helpers import user_error
from tests.experiments.sweeping.sweeps import ProgramRun

DONE = "(folder / 'data.json').touch(); finish()"
SAVES = (
    "def save(number, _): print('saved', number, flush=True); sys.exit(128 + number)\n"
    "signal.signal(signal.SIGINT, save); signal.signal(signal.SIGTERM, save)\n"
    "if resumed: finish(); sys.exit()\n"
    "print(os.getpid(), flush=True); time.sleep(60)"
)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(remote, "_POLL_SECONDS", 0.02)
    monkeypatch.setattr(remote, "_LOCK_WAITS", (0.1, 0.1))


def make_task(tmp_path, program, num_cores=1):
    run = ProgramRun(
        system="td3_bc",
        phase="offline",
        config=ConfigDict({"task": "hopper-m", "seed": 0, "num_seeds": 1}),
        folder=tmp_path / "runs/run",
        flags=(),
        program=program,
    )
    return remote.make_task(run, remote.Notice.post(tmp_path / "runs"), num_cores)


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("name", "resources", "message"),
    [
        ("local", Resources(cores=2), "--cores is for --engine=ray or --engine=slurm"),
        ("local", Resources(address="auto"), "--address is for --engine=ray"),
        ("local", Resources(jobs=0), "--jobs=0 must be at least 1"),
        ("ray", Resources(slurm=["a=b"]), "--slurm is for --engine=slurm"),
        ("ray", Resources(cores=0), "--cores=0 must be at least 1"),
        ("ray", Resources(gpus=-1.0), "--gpus=-1 must be at least 0"),
        ("ray", Resources(), "--engine=ray needs Ray: pip install -e '.[ray]'"),
        ("slurm", Resources(), "--engine=slurm needs submitit: pip install -e '.[slurm]'"),
        ("slurm", Resources(gpus=0.5), "--gpus=0.5 must be a whole number"),
        ("slurm", Resources(slurm=["gpu"]), "--slurm: 'gpu' is not <name>=<value>"),
    ],
)
def test_an_engine_that_cannot_be_made_is_one_line(tmp_path, monkeypatch, name, resources, message):
    for module in ("ray", "submitit"):
        monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    with user_error(message):
        make_engine(name, tmp_path, resources)


def test_a_worker_starts_a_run_resumes_it_and_leaves_a_finished_one(tmp_path):
    """What it does depends on the run folder at that moment, and not on the plan."""
    task = make_task(tmp_path, "print('resumed', resumed)\nif not resumed: sys.exit('stop')\n" + DONE)
    assert remote.execute(task)[::2] == ("failed", "stop")
    assert remote.execute(task).status == "finished"
    assert remote.execute(task).status == "finished before"
    log = task.run.log.read_text().splitlines()
    assert [line for line in log if line.startswith("resumed")] == ["resumed False", "resumed True"]
    assert base.last_line(task.run) == f"{os.uname().nodename}: resumed True"


def test_a_worker_waits_for_a_folder_that_is_still_in_use(tmp_path):
    """The last writer ends while the worker waits for the second time."""
    busy = "attempts = len(list(folder.glob('attempt*'))); (folder / f'attempt{attempts}').touch()\n" + (
        f"if attempts < 2: sys.exit(f'error: {IN_USE} {{folder}}: wait for it')\n"
    )
    assert remote.execute(make_task(tmp_path, busy + DONE)).status == "finished"


def test_a_folder_that_stays_in_use_is_reported(tmp_path):
    outcome = remote.execute(make_task(tmp_path, f"sys.exit(f'error: {IN_USE} {{folder}}: wait for it')"))
    assert outcome.status == "in use elsewhere"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_notice_stops_a_run_which_saves(tmp_path, number):
    task = make_task(tmp_path, SAVES)
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(remote.execute(task)))
    thread.start()
    wait_for(lambda: base.last_line(task.run).split(": ")[-1].isdecimal())
    task.notice.stop(number)
    thread.join(timeout=60)
    assert [outcome.status for outcome in outcomes] == ["stopped"]
    assert base.last_line(task.run).endswith(f"saved {int(number)}")
    assert remote.execute(task).status == "stopped"  # the notice still stands


def test_after_the_sweep_nothing_is_started(tmp_path):
    task = make_task(tmp_path, DONE)
    task.notice.remove()
    outcome = remote.execute(task)
    assert outcome.status == "failed"
    assert "choose --runs on a file system that all machines share" in outcome.message
    assert not task.run.folder.exists()


def test_a_machine_without_the_folder_of_the_sweep_is_named(tmp_path):
    notice = remote.Notice.post(tmp_path)
    assert remote.problem_here(os.getcwd(), notice) is None
    problem = remote.problem_here("/nowhere", notice)
    assert problem == "there is no /nowhere: the folder of the sweep must be at the same path on every machine"


def test_a_run_ends_with_the_worker_that_is_killed(tmp_path):
    """The run gets SIGTERM from the kernel, and saves."""
    task = make_task(tmp_path, SAVES)
    program = (
        "import pickle, sys; from experiments.sweeping.engines import remote\n"
        "remote.execute(pickle.load(sys.stdin.buffer))"
    )
    worker = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE)
    with worker:
        pickle.dump(task, worker.stdin)
        worker.stdin.close()
        wait_for(lambda: base.last_line(task.run).split(": ")[-1].isdecimal())
        worker.kill()
    wait_for(lambda: base.last_line(task.run).endswith(f"saved {int(signal.SIGTERM)}"))


def test_a_run_receives_signals_that_its_worker_blocks(tmp_path):
    """As Ray's workers do; the run says whether SIGINT is blocked or ignored."""
    report = "print(signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.getsignal(signal.SIGINT).__name__)\n"
    task = make_task(tmp_path, report + DONE)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        assert remote.execute(task).status == "finished"
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    assert base.last_line(task.run).endswith("set() default_int_handler")


def test_claimed_cores_are_disjoint_until_the_last_process_ends(tmp_path, monkeypatch):
    """Four cores: two claims of one, one of two with one free core left, which shares another."""
    monkeypatch.setattr(cores.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(cores.os, "sched_getaffinity", lambda process: {2, 3, 5, 7})
    with cores.claim(1) as (first, locks), cores.claim(2) as (second, _):
        assert (first, second) == ([2], [3, 5])
        with cores.claim(2) as (third, _):
            assert third == [2, 7]
        kept = os.dup(locks[0])  # as a child that inherits the lock
    with cores.claim(1) as (fourth, _):
        assert fourth == [3]
    os.close(kept)
    with cores.claim(1) as (fifth, _):
        assert fifth == [2]
    with cores.claim(4) as (everything, locks):
        assert (everything, locks) == ([2, 3, 5, 7], [])
