"""How a planned run ended."""

import signal
from typing import Literal, NamedTuple

from experiments.cli import children
from experiments.sweeping.plan import PlannedRun
from ssar_jax.run_format import IN_USE

Status = Literal["finished", "finished before", "stopped", "diverged", "failed", "in use elsewhere", "not started"]
"""How a run ended; `in use elsewhere` if another process writes to its folder."""


class Outcome(NamedTuple):
    """The outcome of a run.

    Attributes:
        status: how it ended.
        seconds: wall time of its process in s.
        message: the reason, if it did not finish.
    """

    status: Status
    seconds: float = 0.0
    message: str = ""


OVER: dict[str, Outcome] = {"finished": Outcome("finished before"), "diverged": Outcome("diverged")}
"""State of a run that is not repeated -> its outcome."""


def read_outcome(run: PlannedRun, status: int, seconds: float, line: str) -> Outcome:
    """Returns the outcome of a run whose process has ended.

    Args:
        run: the run.
        status: exit status of the process, or the negative number of the signal that killed it.
        seconds: wall time of the process in s.
        line: the last line that it printed.
    """
    if status == 0:
        return Outcome(status="finished", seconds=seconds)
    line = line.removeprefix("error: ")
    if line.startswith(f"{IN_USE} {run.folder}:"):
        return Outcome(status="in use elsewhere", seconds=seconds)
    ending = 128 - status if status < 0 else status  # as a shell reports a signal
    if ending in (128 + signal.SIGINT, 128 + signal.SIGTERM):
        return Outcome(status="stopped", seconds=seconds)
    failed = "diverged" if run.state() == "diverged" else "failed"
    return Outcome(status=failed, seconds=seconds, message=children.reason(status, line))
