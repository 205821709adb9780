"""Processes of a sweep, with tiny programs as runs: order, shares of cores, failures, signals."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from ml_collections import ConfigDict

from experiments.sweeping import cores
from experiments.sweeping.engines import local
from experiments.sweeping.engines.local import LocalEngine
from experiments.sweeping.pool import Pool
from ssar_jax.run_format import IN_USE
from ssar_jax.runs.interruption import Interruption
from tests.experiments.sweeping.sweeps import ProgramRun
from tests.smoke import small_run

DONE = "(folder / 'data.json').touch(); finish()"
WAIT = "(folder / 'data.json').touch()\nwhile not (folder.parent / 'go').exists(): time.sleep(0.01)\nfinish()"
SAVES = (
    "def save(*_): print('saved', flush=True); sys.exit(130)\n"
    "signal.signal(signal.SIGINT, save); (folder / 'data.json').touch()\n"
    "if resumed: finish(); sys.exit()\n"
    "time.sleep(60)"
)

needs_two_cores = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr("experiments.sweeping.pool._POLL_SECONDS", 0.01)


def make_run(tmp_path, name, program, *, task="hopper-m", offline=None):
    return ProgramRun(
        system=name,
        phase="offline",
        config=ConfigDict({"task": task, "seed": 0, "num_seeds": 1}),
        folder=tmp_path / name,
        flags=(),
        offline=offline,
        program=program,
    )


def play(runs, *, jobs=1, interruption=None):
    """Returns the outcomes of the runs and the reported lines."""
    lines = []
    pool = Pool(runs, LocalEngine(jobs), lambda run, text: lines.append(f"{run.system}: {text}"))
    outcomes = pool.run(interruption or Interruption())
    return [outcomes[run.folder] for run in runs], lines


def test_a_failing_run_does_not_stop_the_others(tmp_path):
    programs = {"fails": "raise KeyError('bug')", "refused": "sys.exit('error: no such data')", "works": DONE}
    runs = [make_run(tmp_path, name, program) for name, program in programs.items()]
    outcomes, lines = play(runs)
    assert [outcome.status for outcome in outcomes] == ["failed", "failed", "finished"]
    assert [outcome.message for outcome in outcomes] == ["KeyError: 'bug'", "no such data", ""]
    assert lines == [
        f"fails: started, prints to {runs[0].log}",
        "fails: failed: KeyError: 'bug'",
        f"refused: started, prints to {runs[1].log}",
        "refused: failed: no such data",
        f"works: started, prints to {runs[2].log}",
        "works: finished: 51.3",
    ]
    assert "Traceback" in runs[0].log.read_text()


def test_finished_runs_are_skipped_and_started_ones_resumed(tmp_path):
    done = make_run(tmp_path, "done", DONE)
    begun = make_run(tmp_path, "begun", "if not resumed: os.kill(os.getpid(), signal.SIGKILL)\n" + DONE)
    outcomes, _ = play([done, begun])
    assert [outcome.status for outcome in outcomes] == ["finished", "failed"]
    assert outcomes[1].message == "killed by SIGKILL"
    outcomes, lines = play([done, begun])
    assert [outcome.status for outcome in outcomes] == ["finished before", "finished"]
    assert lines[:2] == ["done: finished before: 51.3", f"begun: resuming at 0, prints to {begun.log}"]
    assert begun.log.read_text().count("$ python -S -c ") == 2  # the log of the first try is kept


def test_a_run_whose_seeds_have_all_diverged_is_not_run_again(tmp_path):
    """Nor is the online run that would continue it."""
    stop = '(folder / "stopped.json").write_text(json.dumps({0: {"step": 700}})); sys.exit("seed 0 stopped: inf")'
    offline = make_run(tmp_path, "offline", stop)
    runs = [offline, make_run(tmp_path, "online", DONE, offline=offline.folder)]
    online_line = "online: not started: its offline run is not finished, but diverged"
    outcomes, lines = play(runs)
    assert [outcome.status for outcome in outcomes] == ["diverged", "not started"]
    assert lines == [
        f"offline: started, prints to {offline.log}",
        "offline: diverged: seed 0 stopped: inf",
        online_line,
    ]
    outcomes, lines = play(runs)
    assert [outcome.status for outcome in outcomes] == ["diverged", "not started"]
    assert lines == ["offline: diverged", online_line]


def test_a_folder_in_use_by_another_process_is_reported(tmp_path, monkeypatch):
    """After some tries, also if the other process prints into the same log."""
    monkeypatch.setattr(local, "_LOCK_WAITS", (0.01, 0.01))
    run = make_run(tmp_path, "run", f"print(f'error: {IN_USE} {{folder}}: wait for it\\n20 of 40'); sys.exit(2)")
    outcomes, lines = play([run])
    assert outcomes[0].status == "in use elsewhere"
    assert lines[-1] == "run: in use elsewhere"
    assert run.log.read_text().count("$ python -S -c ") == 3


def test_a_folder_that_is_free_again_is_taken(tmp_path, monkeypatch):
    """As when the run of a sweep that was killed is still saving."""
    monkeypatch.setattr(local, "_LOCK_WAITS", (0.01, 0.01))
    tries = "tries = folder.with_suffix('.tries'); tries.open('a').write('.')\n"
    in_use = f"if len(tries.read_text()) < 3: sys.exit(f'error: {IN_USE} {{folder}}: wait for it')\n"
    (outcome,), _ = play([make_run(tmp_path, "run", tries + in_use + DONE)])
    assert outcome.status == "finished"


@pytest.mark.skipif(sys.platform != "linux", reason="needs prctl")
def test_what_a_killed_process_has_started_is_asked_to_stop(tmp_path):
    child = (
        "import pathlib, signal, sys, time\n"
        f"path = pathlib.Path({str(tmp_path)!r})\n"
        "signal.signal(signal.SIGTERM, lambda *_: ((path / 'asked').touch(), sys.exit()))\n"
        "(path / 'begun').touch()\n"
        "time.sleep(60)\n"
    )
    program = (
        "import subprocess, sys, time\n"
        "from experiments.sweeping import leash\n"
        "subprocess.Popen(leash.leashed([sys.executable, '-S', '-c', sys.argv[1]]), process_group=0)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, child], cwd=small_run.ROOT) as parent:
        wait_for(tmp_path / "begun")
        parent.kill()
    wait_for(tmp_path / "asked")


def wait_for(path):
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@needs_two_cores
def test_two_runs_at_a_time_each_on_its_cores_and_its_accelerator(tmp_path, monkeypatch):
    """The second ends the first, so both run at once; the third starts when a share is free."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,GPU-b")
    tell = "print(sorted(os.sched_getaffinity(0)), os.environ['CUDA_VISIBLE_DEVICES'], flush=True)\n"
    runs = [
        make_run(tmp_path, "waits", tell + WAIT),
        make_run(tmp_path, "ends", tell + "(folder.parent / 'go').touch()\n" + DONE, task="walker2d-m"),
        make_run(tmp_path, "third", DONE),
    ]
    outcomes, lines = play(runs, jobs=2)
    assert [outcome.status for outcome in outcomes] == ["finished"] * 3
    assert [line.split(",")[0] for line in lines[:2]] == ["waits: started", "ends: started"]
    first, second = cores.divide(2)
    assert runs[0].log.read_text().splitlines()[-1] == f"{first} GPU-a"
    assert runs[1].log.read_text().splitlines()[-1] == f"{second} GPU-b"


@needs_two_cores
def test_one_run_at_a_time_prepares_the_data_of_a_task(tmp_path):
    """The second run of the task starts when the first has its data, and before that one ends."""
    first = make_run(tmp_path, "first", "time.sleep(0.5); (folder / 'ready').touch()\n" + WAIT)
    check = "assert (folder.parent / 'first' / 'ready').exists(); (folder.parent / 'go').touch()\n"
    runs = [first, make_run(tmp_path, "second", check + DONE)]
    outcomes, _ = play(runs, jobs=2)
    assert [outcome.status for outcome in outcomes] == ["finished", "finished"], outcomes


@needs_two_cores
@pytest.mark.parametrize(
    ("program", "status", "message"),
    [(DONE, "finished", ""), ("sys.exit(1)", "not started", "its offline run is not finished, but failed")],
)
def test_the_online_phase_needs_the_offline_run(tmp_path, program, status, message):
    offline = make_run(tmp_path, "offline", program)
    online = make_run(tmp_path, "online", DONE, offline=offline.folder)
    outcomes, _ = play([offline, online], jobs=2)
    assert (outcomes[1].status, outcomes[1].message) == (status, message)


def test_a_signal_is_passed_on_and_nothing_more_is_started(tmp_path):
    """A run that saves ends with 130; the next sweep resumes it."""
    runs = [make_run(tmp_path, "saves", SAVES), make_run(tmp_path, "never", DONE)]
    interruption = Interruption()

    def interrupt():
        deadline = time.monotonic() + 60
        while not (runs[0].folder / "data.json").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        interruption.signal_number = signal.SIGINT

    thread = threading.Thread(target=interrupt)
    thread.start()
    outcomes, lines = play(runs, interruption=interruption)
    thread.join()
    assert [outcome.status for outcome in outcomes] == ["stopped", "not started"]
    assert lines[1:] == ["saves: SIGINT passed on: saving", "saves: stopped"]
    assert runs[0].log.read_text().endswith("\nsaved\n")
    assert not runs[1].folder.exists()
    outcomes, _ = play(runs)
    assert [outcome.status for outcome in outcomes] == ["finished", "finished"]


def test_nothing_outlives_a_pool_that_ends_early(tmp_path, monkeypatch):
    """The second Ctrl-C is a KeyboardInterrupt while the pool waits."""
    run = make_run(tmp_path, "run", "print(os.getpid(), flush=True); (folder / 'data.json').touch(); time.sleep(60)")

    def sleep(seconds):
        if (run.folder / "data.json").exists():
            raise KeyboardInterrupt

    monkeypatch.setattr("experiments.sweeping.pool.time.sleep", sleep)
    with pytest.raises(KeyboardInterrupt):
        play([run])
    process = int(run.log.read_text().splitlines()[-1])
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_a_line_of_progress_is_reported_once(tmp_path, monkeypatch):
    monkeypatch.setattr("experiments.sweeping.pool._PROGRESS_SECONDS", 0.0)
    run = make_run(tmp_path, "run", "print('halfway', flush=True); time.sleep(1.0)\n" + DONE)
    outcomes, lines = play([run])
    assert outcomes[0].status == "finished"
    assert lines.count("run: halfway") == 1
