"""Kills runs at random moments, again and again, and requires the numbers of an undisturbed run in the end.

    python -m tests.campaigns.kill --kills=100

An offline run, one that evaluates while it trains, an online run, a sweep and the generation of a dataset are started,
killed by SIGKILL and started again, until they finish; then tables, summary, diagnostics and final states are compared
bit for bit with those of a run that nobody disturbed. Half of the kills come at a random time, the others while a file
is being written.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple

from tests.smoke import small_run

_LIMIT = 240.0  # s, for one process


class Subject(NamedTuple):
    """Something that is killed.

    Attributes:
        name: its name in the report.
        command: folder -> arguments of Python that start or continue the work there.
        compare: (undisturbed folder, folder) requires the same numbers.
    """

    name: str
    command: Callable[[Path], list[str]]
    compare: Callable[[Path, Path], None]


def subjects(dataset: Path, parent: Path) -> list[Subject]:
    """Returns everything that is killed.

    Args:
        dataset: the dataset of the small run.
        parent: folder of the offline run that the online run starts from.
    """

    def run(folder: Path, program: str, *arguments: str) -> list[str]:
        begun = ["--resume"] if (folder / "config.json").exists() else []
        return ["-m", f"experiments.{program}", *arguments, f"--workdir={folder}", *begun]

    brief = ("--config.online.num_steps=1_500", "--config.online.warmup_steps=200")
    sweep = (
        "-m",
        "experiments.sweep",
        "--systems=td3_bc,td3_bc:base",
        "--tasks=hopper-m",
        "--preset=short",
        "--jobs=2",
    )
    sets = ("-m", "experiments.collect", "embedded", "--tasks=hopper-m", "--num_steps=30_000")
    return [
        Subject("offline", lambda f: run(f, "offline", *small_run.flags(dataset)), small_run.assert_same_numbers),
        Subject(
            "overlapped",
            lambda f: run(f, "offline", *small_run.flags(dataset, "--config.evaluation.overlap=on")),
            small_run.assert_same_numbers,
        ),
        Subject(
            "online",
            lambda f: run(f, "online", *small_run.flags(dataset, *brief), f"--offline_run={parent}"),
            small_run.assert_same_numbers,
        ),
        Subject("sweep", lambda f: [*sweep, f"--runs={f}", *small_run.flags(dataset)[1:]], _compare_sweeps),
        Subject("generation", lambda f: [*sets], _compare_datasets),
    ]


def _compare_sweeps(expected: Path, found: Path) -> None:
    folders = sorted(path.parent.relative_to(expected) for path in expected.rglob("summary.json"))
    assert len(folders) == 2
    for folder in folders:
        small_run.assert_same_numbers(expected / folder, found / folder)


def _compare_datasets(expected: Path, found: Path) -> None:
    hashes = []
    for folder in (expected, found):
        program = (
            "from ssar_jax.data.sources.minari import read_minari;"
            "print(read_minari('ssar-embedded/hopper/medium-30000-v0').content_hash)"
        )
        environment = os.environ | {"MINARI_DATASETS_PATH": str(folder)}
        result = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
        hashes.append(result.stdout)
    assert hashes[0] == hashes[1]
    assert not list(found.rglob("*.tmp*")), "temporary files are left"


def _start(subject: Subject, folder: Path) -> "subprocess.Popen[bytes]":
    """Starts a process, whose output goes to `<folder>.txt`."""
    with Path(f"{folder}.txt").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, *subject.command(folder)],
            cwd=small_run.ROOT,
            env=os.environ | {"MINARI_DATASETS_PATH": str(folder)},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _finish(process: "subprocess.Popen[bytes]", folder: Path) -> None:
    process.wait(timeout=_LIMIT)
    assert process.returncode == 0, f"exit status {process.returncode}, see {folder}.txt and {folder}"


def _undisturbed(subject: Subject, folder: Path) -> float:
    """Runs a subject to its end and returns the time that it takes in s."""
    start = time.monotonic()
    _finish(_start(subject, folder), folder)
    return time.monotonic() - start


def _kill(process: "subprocess.Popen[bytes]", folder: Path, after: float, rng: random.Random) -> bool:
    """Kills a process with its children; returns False if it ended before."""
    begin, in_write = time.monotonic(), rng.random() < 0.5
    while process.poll() is None:
        late = time.monotonic() - begin >= after
        if late and (not in_write or _is_writing(folder)):
            time.sleep(rng.random() * 0.003)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return True
        time.sleep(0.001)
    return False


def _is_writing(folder: Path) -> bool:
    """Whether a temporary file or folder is there, which is renamed when it is complete.

    Those of Orbax have `tmp` in their names, ours begin with a dot, as the lock of a run folder does.
    """
    names = (name for _, folders, files in os.walk(folder) for name in (*folders, *files))
    return any("tmp" in name or (name.startswith(".") and name != ".lock") for name in names)


SUBJECTS = ("offline", "overlapped", "online", "sweep", "generation")


def campaign(
    kills: int, seed: int, names: Collection[str] = SUBJECTS, report: Callable[[str], None] = print
) -> dict[str, tuple[int, int]]:
    """Kills every subject in turn.

    Args:
        kills: number of kills of each subject.
        seed: seed of the moments.
        names: names of the subjects.
        report: called with a line per subject.

    Returns:
        Name of the subject -> kills and finished runs, each of which was compared.
    """
    rng, counts = random.Random(seed), {}
    root = Path(tempfile.mkdtemp(prefix="kill-campaign-"))  # left there if something fails
    dataset, parent = small_run.write_dataset(root / "data.npz"), root / "parent"
    everything = subjects(dataset, parent)
    _undisturbed(everything[0], parent)
    assert tuple(subject.name for subject in everything) == SUBJECTS
    for subject in everything:
        if subject.name not in names:
            continue
        expected = root / f"{subject.name}-undisturbed"
        duration = _undisturbed(subject, expected)
        killed = finished = 0
        while killed < kills or finished == 0:
            folder = root / f"{subject.name}-{finished}"
            while True:
                process = _start(subject, folder)
                if killed < kills and _kill(process, folder, rng.uniform(0.2, 1.1) * duration, rng):
                    killed += 1
                    continue
                _finish(process, folder)
                break
            subject.compare(expected, folder)
            finished += 1
            shutil.rmtree(folder)
        counts[subject.name] = killed, finished
        report(f"{subject.name}: {killed} kills, {finished} finished runs equal the undisturbed one bit for bit")
    shutil.rmtree(root)
    return counts


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="kills of each of the five subjects")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--subjects", nargs="+", choices=SUBJECTS, default=SUBJECTS)
    options = parser.parse_args()
    campaign(options.kills, options.seed, options.subjects)
