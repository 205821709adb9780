"""Trains plain baselines on the embedded suite, to compare their scores with the published ones on D4RL."""

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.sweeping import cores
from experiments.sweeping.plan import PlannedRun, Settings, make_plan
from experiments.sweeping.pool import Pool
from ssar_jax.errors import UserError
from ssar_jax.runs.interruption import watch_signals

_LAST = 3
"""Evaluations at the end whose mean is the score."""


def train_baselines(
    systems: Sequence[str], tasks: Sequence[str], updates: int, jobs: int, root: Path, num_steps: int | None
) -> dict[tuple[str, str], float]:
    """Trains every system on every task, and continues what an earlier call began.

    Args:
        systems: systems, as `<algorithm>` or `<algorithm>:<variant>`.
        tasks: short names of tasks.
        updates: number of updates of a run.
        jobs: runs at a time.
        root: folder of all run folders.
        num_steps: transitions per dataset; None for the default sizes.

    Returns:
        (task, system) -> mean score of the last three evaluations.

    Raises:
        UserError: if the plan is invalid or a run did not finish.
    """
    fields = [
        *(("dataset.source", "embedded"), ("num_updates", str(updates)), ("checkpoint.every", str(updates))),
        *(("evaluation.interval", str(max(updates // 20, 1))), ("evaluation.episodes", "10")),
    ]
    if num_steps is not None:
        fields.append(("dataset.embedded.num_steps", str(num_steps)))
    runs = make_plan(systems, tasks, Settings("paper", "offline", 0, 1, fields, root))

    def report(run: PlannedRun, text: str) -> None:
        print(f"[{runs.index(run) + 1}/{len(runs)}] {run.name}: {text}", flush=True)

    with watch_signals() as interruption:
        outcomes = Pool(runs, cores.divide(jobs), {}, report).run(interruption)
    if interruption.exit_status is not None:
        print("to continue, repeat the command")
        sys.exit(interruption.exit_status)
    for run in runs:
        if not outcomes[run.folder].status.startswith("finished"):
            raise UserError(f"{run.name} {outcomes[run.folder].status}: see {run.log}; then repeat the command")
    return {(run.config.task, run.system): _last_score(run.folder) for run in runs}


def _last_score(folder: Path) -> float:
    with (folder / "eval.csv").open(newline="") as file:
        scores = [float(row["score"]) for row in csv.DictReader(file)]
    return float(np.mean(scores[-_LAST:]))
