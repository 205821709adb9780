"""The tables of a sweep: the plan before, and the outcomes after."""

import datetime
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments.sweeping.engines.base import Engine
from experiments.sweeping.estimates import Estimate
from experiments.sweeping.outcomes import Outcome
from experiments.sweeping.plan import PlannedRun


def plan_text(runs: Sequence[PlannedRun], estimates: Mapping[Path, Estimate | None], engine: Engine) -> str:
    """Formats a plan: a row for every run, how times are estimated, and the total time and memory.

    Args:
        runs: the plan.
        estimates: run folder -> estimate, for the runs that remain; None if a run cannot be estimated.
        engine: executes the runs.
    """
    jobs, cores = engine.jobs, engine.cores
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
    place = "" if engine.place == "this machine" else f" on {engine.place}"
    lines = [f"{len(runs)} run{'s' * (len(runs) > 1)}, {each}{place}", *_align(rows)]
    if any(not estimate.rate.is_bound for estimate in known):
        lines.append("time: from finished runs of the same system, scaled by the number of useful operations")
    bounds = [estimate.rate.value / 1e9 for estimate in known if estimate.rate.is_bound]
    if bounds:
        lines.append(
            f"≥: useful operations at the {min(bounds):.0f} GFLOP/s of matrix products on a device of "
            f"{_where_measured(engine)}; runs reach 50 % to 90 % of it"
        )
    if known:
        least = "at least " if bounds or len(known) < len(estimates) else ""
        hours = sum(estimate.seconds for estimate in known) / 3600
        amount, unit = (engine.gpus, "GPU") if engine.gpus else (cores, "core")
        seconds = _roughly(_total_seconds(runs, estimates, jobs))
        lines.append(
            f"total: {least}{seconds} of training ({hours * amount:,.1f} {unit} hours), without evaluation, data "
            "generation and models trained first (density models, value functions for the selection); "
            f"{_memory(_total_bytes(known, jobs), engine.memory_bytes)} memory"
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
    chains: dict[Path, float] = defaultdict(float)  # offline run -> seconds of it and of the online run behind it
    for run in runs:
        estimate = estimates.get(run.folder)
        chains[run.offline or run.folder] += 0.0 if estimate is None else estimate.seconds
    return max(sum(chains.values()) / jobs, *chains.values())


def _total_bytes(known: Sequence[Estimate], jobs: int) -> int:
    """Returns the bytes of the largest runs, as many as run at a time."""
    return sum(sorted((estimate.num_bytes for estimate in known), reverse=True)[:jobs])


def _memory(needed: int, available: int | None) -> str:
    of = "" if available is None else f" of {available / 2**30:.1f}"
    return f"{needed / 2**30:.1f}{of} GiB"


def _where_measured(engine: Engine) -> str:
    if engine.place == "this machine":
        return engine.place
    return "a worker" if engine.measures else "this machine, which is not where the runs are executed"


def _align(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
