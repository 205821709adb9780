"""What a sweep shows: its plan before, and what came out after."""

import datetime
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments.sweeping.estimates import Estimate
from experiments.sweeping.jobs import Outcome
from experiments.sweeping.plan import PlannedRun


def plan_text(runs: Sequence[PlannedRun], estimates: Mapping[Path, Estimate | None], jobs: int, cores: int) -> str:
    """A row for every run, how its time was estimated, and what all take.

    Args:
        runs: the plan.
        estimates: of the runs that are still to be run, by their folder; None where nothing is known.
        jobs: runs at a time.
        cores: that each of them has.
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
        lines.append("time: as finished runs of the same system took, counted in useful operations")
    bounds = [estimate.rate.value / 1e9 for estimate in known if estimate.rate.is_bound]
    if bounds:
        lines.append(
            f"≥: useful operations at the {min(bounds):.0f} GFLOP/s that matrix products reach here on a device; "
            "runs reach half to nine tenths of it"
        )
    if known:
        least = "at least " if bounds or len(known) < len(estimates) else ""
        lines.append(
            f"in all {least}{_roughly(_seconds_in_all(runs, estimates, jobs))} of training, without evaluation, the "
            "making of data and what is trained first (density models, value functions that select); "
            f"{_bytes_in_all(known, jobs) / 2**30:.1f} of {_machine_bytes() / 2**30:.1f} GiB memory"
        )
    return "\n".join(lines)


def outcome_text(runs: Sequence[PlannedRun], outcomes: Mapping[Path, Outcome]) -> str:
    """A row for every run, and why those that failed did."""
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
    return f" (all of it in {run.log})" if outcome.status == "failed" else ""


def duration(seconds: float) -> str:
    """Hours, minutes and seconds."""
    return str(datetime.timedelta(seconds=round(seconds)))


def _roughly(seconds: float) -> str:
    """An estimated time in its two largest units."""
    for unit, part, size, parts in (("d", "h", 86400, 24), ("h", "min", 3600, 60), ("min", "s", 60, 60)):
        if seconds >= size:
            whole, rest = divmod(round(seconds * parts / size), parts)
            return f"{whole} {unit} {rest} {part}"
    return f"{seconds:.0f} s"


def _seconds_in_all(runs: Sequence[PlannedRun], estimates: Mapping[Path, Estimate | None], jobs: int) -> float:
    """No less than the work divided among the jobs, and no less than the longest of what must follow each other."""
    chains: dict[tuple[str, str], float] = defaultdict(float)
    for run in runs:
        estimate = estimates.get(run.folder)
        chains[run.system, run.config.task] += 0.0 if estimate is None else estimate.seconds
    return max(sum(chains.values()) / jobs, *chains.values())


def _bytes_in_all(known: Sequence[Estimate], jobs: int) -> int:
    """Of the runs that take most, as many as there are at a time."""
    return sum(sorted((estimate.num_bytes for estimate in known), reverse=True)[:jobs])


def _machine_bytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _align(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
