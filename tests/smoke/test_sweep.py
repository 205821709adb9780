"""A sweep from the command line."""

import fcntl
import json
import signal
import time

import pytest

from tests.smoke import small_run

SYSTEMS = ("--systems=td3_bc", "--tasks=hopper-m", "--preset=short")


def start(dataset, root, *others):
    """Starts a sweep of small runs."""
    flags = (f"--config.dataset.path={dataset}", *small_run.SMALL, *others)
    return small_run.start(*SYSTEMS, f"--runs={root}", *flags, program="sweep")


def sweep(dataset, root, *others):
    return small_run.finish(start(dataset, root, *others))


@pytest.mark.slow
def test_it_trains_and_tells_by_that_what_others_take(dataset, tmp_path):
    """Without a finished run the estimate uses the machine's matmul rate, the next one the rate of the run."""
    brief = ("--config.num_updates=50", "--config.evaluation.episodes=1")
    status, output, messages = sweep(dataset, tmp_path, *brief)
    assert (status, messages) == (0, "")
    folder = tmp_path / "td3_bc/hopper-m/offline-sa-short-s0-0"
    head, _, row, bound, total, started, done, *_, last = output.splitlines()
    assert head.startswith("1 run, one at a time with ")
    assert row.split()[:6] == ["td3_bc", "hopper-m", "offline", "new", "50", "≥"]
    assert bound.startswith("≥: useful operations at the ")
    assert total.startswith("total: at least ")
    assert started == f"[1/1] td3_bc hopper-m offline: started, prints to {folder}.log"
    assert f"results: {folder}" in (tmp_path / f"{folder}.log").read_text()
    score = json.loads((folder / "summary.json").read_text())["final_score_mean"]
    assert done == f"[1/1] td3_bc hopper-m offline: finished: {score:.1f}"
    assert last.split()[:5] == ["td3_bc", "hopper-m", "offline", "finished", f"{score:.1f}"]

    status, output, messages = sweep(dataset, tmp_path, "--seed=1", "--dry_run", *brief)
    assert (status, messages) == (0, "")
    assert "time: from finished runs of the same system" in output
    assert "≥" not in output
    assert not (folder.parent / "offline-sa-short-s1-1").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--tasks=hopper-m",), "no --systems: name them"),
        (("--systems=td3bc", "--tasks=hopper-m"), "unknown system 'td3bc'; did you mean td3_bc?"),
        (("--systems=td3_bc", "--tasks=hoper-m"), "unknown task 'hoper-m'; nearest: hopper-m"),
        (
            ("--systems=iql", "--tasks=hopper-m", "--config.actor.width=8"),
            "iql on hopper-m: unknown field --config.actor",
        ),
        (("hopper-m",), "unexpected argument 'hopper-m'"),
        (("--systems=td3_bc", "--tasks=hopper-m", "--log=tensorbord"), "--log: unknown 'tensorbord'; known are "),
        (("--systems=td3_bc", "--tasks=hopper-m", "--runs=/dev/null/x", "--dry_run"), "cannot write to /dev/null/x: "),
        (("--systems=td3_bc", "--tasks=hopper-m", "--config.seed=1"), "--config.seed=1: a sweep takes --seed"),
        (("--system=td3_bc",), "unknown flag --system; did you mean --systems"),
    ],
)
def test_what_cannot_be_planned_is_one_line(arguments, message):
    status, output, messages = small_run.finish(small_run.start(*arguments, program="sweep"))
    assert (status, output, messages.count("\n")) == (2, "", 1), messages
    assert messages.startswith(f"error: {message}")


@pytest.mark.slow
@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_sweep_saves_and_goes_on(finished, dataset, tmp_path, number, expected):
    """Its run ends with the numbers of an uninterrupted one."""
    folder = tmp_path / "td3_bc/hopper-m/offline-sa-short-s0-0"
    process = start(dataset, tmp_path)
    try:
        deadline = time.monotonic() + 240
        while not (folder / "checkpoints" / str(small_run.CHECKPOINTS)).exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(number)
    finally:
        status, output, messages = small_run.finish(process)
    assert status == expected
    assert messages.startswith(f"\n{signal.Signals(number).name}: stopping after what is in progress")
    assert output.splitlines()[-1].startswith("to continue, repeat the command")
    assert output.splitlines()[-2].split()[3] == "stopped"
    status, output, messages = sweep(dataset, tmp_path)
    assert (status, messages) == (0, "")
    assert "resuming at " in output
    small_run.assert_same_numbers(finished.path, folder)
    status, output, messages = sweep(dataset, tmp_path)
    assert (status, messages) == (0, "")
    assert "started" not in output


@pytest.mark.slow
def test_what_another_sweep_trains_is_left_to_it(dataset, tmp_path):
    """This process holds the lock of its folder."""
    folder = tmp_path / "td3_bc/hopper-m/offline-sa-short-s0-0"
    brief = ("--config.num_updates=50", "--config.evaluation.episodes=1")
    folder.mkdir(parents=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        status, output, messages = sweep(dataset, tmp_path, "--systems=td3_bc,td3_bc:base", *brief)
    assert (status, messages) == (1, "")
    assert "td3_bc hopper-m offline: in use elsewhere\n" in output
    assert "td3_bc:base hopper-m offline: finished: " in output
    assert [file.name for file in folder.iterdir()] == [".lock"]


@pytest.mark.slow
def test_both_phases(dataset, tmp_path):
    """The online phase starts from the offline run of the same sweep."""
    brief = ("--config.num_updates=50", "--config.online.num_steps=150", "--config.online.warmup_steps=100")
    status, output, messages = sweep(dataset, tmp_path, "--phase=online", *brief)
    assert (status, messages) == (0, "")
    rows = [line.split()[:4] for line in output.splitlines()[-2:]]
    assert rows == [["td3_bc", "hopper-m", phase, "finished"] for phase in ("offline", "online")]
    summary = json.loads((tmp_path / "td3_bc/hopper-m/online-sa-short-s0-0/summary.json").read_text())
    assert (summary["phase"], summary["environment_steps"]) == ("online", 150)
