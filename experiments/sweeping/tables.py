"""The tables of a sweep: the plan before, and the outcomes after."""

import datetime
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments.sweeping.estimates import Estimate
from experiments.sweeping.jobs import Outcome
from experiments.sweeping.plan import PlannedRun


def plan_text(runs: Sequence[PlannedRun], estimates: Mapping[Path, Estimate | None], jobs: int, cores: int) -> str:
    """Formats a plan: a row for every run, how times are estimated, and the total time and memory.

    Args:
        runs: the plan.
        estimates: run folder -> estimate, for the runs that remain; None if a run cannot be estimated.
        jobs: number of runs at a time.
        cores: number of cores of each.
    """
    rows: list[tuple[str, ...]] = [("system", "task", "phase", "now", "steps left", "time", "memory", "folder")]
    for run in runs:
        left = f"{run.total_steps() - run.steps_done():,}"
        estimate = estimates.get(run.folder)
        time = "?" if estimate is None else f"{'≥ ' * estimate.rate.is_bound}{_roughly(estimate.seconds)}"
        memory = "?" if estimate is None else f"{estimate.num_bytes / 2**30:.1f} GiB"
        numbers = (left, time, memory) if run.folder in estimates else ("", "", "")
        rows.append((run.system, run.config.task, run.phase, run.state(), *numbers, str(run.folder)))
    known = [estimate for estimate in estimates.values() if estimate is not None]
    core = f"{cores} core{'s' * (cores > 1)}"
    each = f"{jobs} at a time with {core} each" if jobs > 1 else f"one at a time with {core}"
    lines = [f"{len(runs)} run{'s' * (len(runs) > 1)}, {each}", *_align(rows)]
    if any(not estimate.rate.is_bound for estimate in known):
        lines.append("time: from finished runs of the same system, scaled by the number of useful operations")
    bounds = [estimate.rate.value / 1e9 for estimate in known if estimate.rate.is_bound]
    if bounds:
        lines.append(
            f"≥: useful operations at the {min(bounds):.0f} GFLOP/s of matrix products on a device of this machine; "
            "runs reach 50 % to 90 % of it"
        )
    if known:
        least = "at least " if bounds or len(known) < len(estimates) else ""
        lines.append(
            f"total: {least}{_roughly(_total_seconds(runs, estimates, jobs))} of training, without evaluation, data "
            "generation and models trained first (density models, value functions for the selection); "
            f"{_total_bytes(known, jobs) / 2**30:.1f} of {_machine_bytes() / 2**30:.1f} GiB memory"
        )
    return "\n".join(lines)


def outcome_text(runs: Sequence[PlannedRun], outcomes: Mapping[Path, Outcome]) -> str:
    """Formats the outcomes: a row for every run, and the reasons of those that did not finish.

    Args:
        runs: the plan.
        outcomes: run folder -> outcome.
    """
    rows = [("system", "task", "phase", "status", "score", "time", "folder")]
    reasons = []
    for run in runs:
        outcome = outcomes[run.folder]
        time = duration(outcome.seconds) if outcome.seconds else ""
        row = run.system, run.config.task, run.phase, outcome.status, run.score(), time, str(run.folder)
        rows.append(row)
        if outcome.message:
            reasons.append(f"{run.name} {outcome.status}: {outcome.message}{_where(run, outcome)}")
    return "\n".join([*_align(rows), *reasons])


def _where(run: PlannedRun, outcome: Outcome) -> str:
    return f" (full output in {run.log})" if outcome.status == "failed" else ""


def duration(seconds: float) -> str:
    """Formats seconds as hours:minutes:seconds.

    Args:
        seconds: a duration in s.
    """
    return str(datetime.timedelta(seconds=round(seconds)))


def _roughly(seconds: float) -> str:
    """Formats an estimated time in its two largest units."""
    for unit, part, size, parts in (("d", "h", 86400, 24), ("h", "min", 3600, 60), ("min", "s", 60, 60)):
        if seconds >= size:
            whole, rest = divmod(round(seconds * parts / size), parts)
            return f"{whole} {unit} {rest} {part}"
    return f"{seconds:.0f} s"


def _total_seconds(runs: Sequence[PlannedRun], estimates: Mapping[Path, Estimate | None], jobs: int) -> float:
    """Returns the work divided by the number of jobs, but at least the longest chain of dependent runs."""
    chains: dict[tuple[str, str], float] = defaultdict(float)
    for run in runs:
        estimate = estimates.get(run.folder)
        chains[run.system, run.config.task] += 0.0 if estimate is None else estimate.seconds
    return max(sum(chains.values()) / jobs, *chains.values())


def _total_bytes(known: Sequence[Estimate], jobs: int) -> int:
    """Returns the bytes of the largest runs, as many as run at a time."""
    return sum(sorted((estimate.num_bytes for estimate in known), reverse=True)[:jobs])


def _machine_bytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _align(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
