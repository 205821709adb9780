"""The seeds of one command, divided among processes."""

from pathlib import Path

import pytest
from absl import flags
from absl.testing import flagsaver
from ml_collections import ConfigDict

from experiments.cli import processes
from experiments.cli.processes import Process
from tests.data.helpers import user_error


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
    for name in ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "TPU_WORKER_ID", "TPU_WORKER_HOSTNAMES"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("total", "shares"),
    [(1, [(10, 5)]), (2, [(10, 3), (13, 2)]), (3, [(10, 2), (12, 2), (14, 1)]), (5, [(10 + i, 1) for i in range(5)])],
)
def test_every_seed_belongs_to_one_process(total, shares):
    """Five seeds from 10 on: first seed and number of seeds of every process."""
    for number, share in enumerate(shares):
        config = ConfigDict({"seed": 10, "num_seeds": 5})
        processes.take_share(config, Process(number, total))
        assert (config.seed, config.num_seeds) == share
    first, count = shares[-1]
    assert processes.own_folder(Path("run"), config) == Path(f"run/s{first}-{first + count - 1}")


def test_more_processes_than_seeds_are_refused():
    with user_error("3 processes are more than num_seeds=2: start fewer"):
        processes.take_share(ConfigDict({"seed": 0, "num_seeds": 2}), Process(0, 3))


def test_without_flags_there_is_one_process(monkeypatch):
    """Whatever the environment says: a batch script of SLURM has variables of several tasks too."""
    monkeypatch.setenv("SLURM_PROCID", "0")
    assert processes.this_process() is None


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Process(1, 4)),
        ({"SLURM_PROCID": "2", "SLURM_STEP_NUM_TASKS": "3"}, Process(2, 3)),
        ({"TPU_WORKER_ID": "1", "TPU_WORKER_HOSTNAMES": "10.0.0.1,10.0.0.2"}, Process(1, 2)),
    ],
)
def test_the_place_comes_from_flags_or_the_environment(monkeypatch, environment, expected):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    given = {"num_processes": "auto", "process_id": None} if environment else {"num_processes": "4", "process_id": 1}
    with flagsaver.flagsaver(**given):
        assert processes.this_process() == expected


@pytest.mark.parametrize(
    ("num_processes", "process_id", "message"),
    [
        (None, 0, "--process_id=0 needs --num_processes"),
        ("2", None, "--num_processes=2 needs --process_id"),
        ("2", 2, "--process_id=2 must be at least 0 and below the number of processes, 2"),
        ("two", 0, "--num_processes=two is neither a number nor auto"),
        ("auto", None, "--num_processes=auto: neither SLURM_PROCID nor TPU_WORKER_ID is set; use srun"),
        ("auto", 0, "--process_id=0 contradicts --num_processes=auto"),
    ],
)
def test_an_impossible_place_is_one_line(num_processes, process_id, message):
    with flagsaver.flagsaver(num_processes=num_processes, process_id=process_id), user_error(message):
        processes.this_process()


def test_a_batch_script_without_srun_is_named(monkeypatch):
    monkeypatch.setenv("SLURM_PROCID", "0")
    with flagsaver.flagsaver(num_processes="auto"), user_error("SLURM_STEP_NUM_TASKS='' is not a number: use srun"):
        processes.this_process()
