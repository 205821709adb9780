"""Divides the seeds of one command among processes, such as the tasks of `srun` or the hosts of a TPU pod.

The seeds of a run do not depend on each other, so the processes need no communication: each trains consecutive seeds of
its own in a run folder of its own, and `experiments.report` pools the folders. A process that dies ends no other one.
"""

import os
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from experiments.cli.integers import define_integer, parse_integer
from ssar_jax.errors import UserError
from ssar_jax.run_format import seeds_name

_NUM_PROCESSES = flags.DEFINE_string(
    "num_processes",
    None,
    "Number of processes that divide the seeds, each started with its --process_id; auto: as srun or a TPU pod says.",
)
_PROCESS_ID = define_integer("process_id", None, "Number of this process, from 0 to --num_processes - 1.")

_ENVIRONMENTS = (
    ("SLURM_PROCID", lambda: _from_environment("SLURM_STEP_NUM_TASKS")),
    ("TPU_WORKER_ID", lambda: os.environ.get("TPU_WORKER_HOSTNAMES", "").count(",") + 1),
)
"""Variable with the number of this process, and how many there are. `srun` sets the first, a TPU pod the second."""


class Process(NamedTuple):
    """The place of this process among those of the command.

    Attributes:
        number: its number, from 0.
        total: number of processes.
    """

    number: int
    total: int


def this_process() -> Process | None:
    """Returns the place of this process; None without --num_processes.

    Raises:
        UserError: if a flag is missing or has an impossible value, or nothing in the environment says the place.
    """
    text, number = _NUM_PROCESSES.value, _PROCESS_ID.value
    if text is None:
        if number is not None:
            raise UserError(f"--process_id={number} needs --num_processes")
        return None
    if text == "auto":
        if number is not None:
            raise UserError(f"--process_id={number} contradicts --num_processes=auto: leave one of them out")
        return _place_in_environment()
    try:
        count = parse_integer(text)
    except ValueError as error:
        raise UserError(f"--num_processes={text} is neither a number nor auto") from error
    if number is None:
        raise UserError(f"--num_processes={count} needs --process_id, the number of this process from 0 on")
    return _checked(Process(number, count))


def _place_in_environment() -> Process:
    for name, count in _ENVIRONMENTS:
        if name in os.environ:
            return _checked(Process(_from_environment(name), count()))
    names = " nor ".join(name for name, _ in _ENVIRONMENTS)
    raise UserError(f"--num_processes=auto: neither {names} is set; use srun, or give --num_processes and --process_id")


def _from_environment(name: str) -> int:
    text = os.environ.get(name, "")
    if not text.isdecimal():
        raise UserError(f"--num_processes=auto: {name}={text!r} is not a number: use srun")
    return int(text)


def _checked(process: Process) -> Process:
    if not 0 <= process.number < process.total:
        raise UserError(
            f"--process_id={process.number} must be at least 0 and below the number of processes, {process.total}"
        )
    return process


def take_share(config: Any, process: Process) -> None:
    """Sets the seeds of a config to those of a process; the first processes have one more if they do not divide evenly.

    Args:
        config: the checked config of all seeds; it is changed.
        process: the place of the process.

    Raises:
        UserError: if there are more processes than seeds.
    """
    if process.total > config.num_seeds:
        raise UserError(f"{process.total} processes are more than num_seeds={config.num_seeds}: start fewer")
    each, rest = divmod(config.num_seeds, process.total)
    config.seed += process.number * each + min(process.number, rest)
    config.num_seeds = each + (process.number < rest)


def own_folder(path: Path, config: Any) -> Path:
    """Returns the folder of a process in a folder of all processes, such as `run/s2-3`.

    Args:
        path: the folder of all processes.
        config: the config with the seeds of the process.
    """
    return path / seeds_name(config)
