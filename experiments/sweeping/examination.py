"""Trains plain baselines on the embedded suite, to compare their scores with the published ones on D4RL."""

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.sweeping.engines.local import LocalEngine
from experiments.sweeping.plan import PlannedRun, Settings, make_plan
from experiments.sweeping.pool import Pool
from ssar_jax.data.dataset import OfflineDataset
from ssar_jax.data.selection import keep_top_fraction
from ssar_jax.errors import UserError
from ssar_jax.files import require_writable
from ssar_jax.run_format import read_json
from ssar_jax.runs.interruption import watch_signals

_LAST = 3
"""Evaluations at the end whose mean is the score."""


class Examination:
    """The runs of an examination, planned and checked before anything is generated or trained.

    Args:
        systems: systems, as `<algorithm>` or `<algorithm>:<variant>`.
        tasks: short names of tasks.
        updates: number of updates of a run.
        jobs: runs at a time.
        root: folder of all run folders.
        num_steps: transitions per dataset; None for the default sizes.

    Raises:
        UserError: if the plan is invalid, or the folder cannot be written.
    """

    def __init__(
        self, systems: Sequence[str], tasks: Sequence[str], updates: int, jobs: int, root: Path, num_steps: int | None
    ) -> None:
        require_writable(root, "choose another --runs")
        self._engine = LocalEngine(jobs)
        fields = [
            *(("dataset.source", "embedded"), ("num_updates", str(updates)), ("checkpoint.every", str(updates))),
            *(("evaluation.interval", str(max(updates // 20, 1))), ("evaluation.episodes", "10")),
        ]
        if num_steps is not None:
            fields.append(("dataset.embedded.num_steps", str(num_steps)))
        self._runs = make_plan(systems, tasks, Settings("paper", "offline", 0, 1, fields, root))

    def require_data(self, task: str, dataset: OfflineDataset) -> None:
        """Requires that runs of an earlier call were trained on the present dataset.

        Args:
            task: a task.
            dataset: its dataset.

        Raises:
            UserError: if a run was trained on other data.
        """
        for run in self._runs:
            path = run.folder / "data.json"
            if run.config.task != task or not path.exists():
                continue
            kept = keep_top_fraction(dataset, run.config.dataset.keep_fraction)
            if read_json(path)["dataset_hash"] != kept.content_hash:
                raise UserError(
                    f"{run.folder} was trained on an older dataset of {task}: delete it, or choose another --runs"
                )

    def train(self) -> dict[tuple[str, str], float]:
        """Trains what is not finished, and continues what an earlier call began.

        Returns:
            (task, system) -> mean score of the last three evaluations.

        Raises:
            UserError: if a run did not finish.
        """
        with watch_signals() as interruption:
            outcomes = Pool(self._runs, self._engine, self._report).run(interruption)
        if interruption.signal_number is not None:
            print("to continue, repeat the command")
            sys.exit(interruption.exit_status)
        for run in self._runs:
            status = outcomes[run.folder].status
            if not status.startswith("finished"):
                remedy = (
                    f"delete {run.folder}, or choose another --runs" if status == "diverged" else "repeat the command"
                )
                raise UserError(f"{run.name} {status}, see {run.log}: {remedy}")
        return {(run.config.task, run.system): _last_score(run.folder) for run in self._runs}

    def _report(self, run: PlannedRun, text: str) -> None:
        print(f"[{self._runs.index(run) + 1}/{len(self._runs)}] {run.name}: {text}", flush=True)


def _last_score(folder: Path) -> float:
    with (folder / "eval.csv").open(newline="") as file:
        scores = [float(row["score"]) for row in csv.DictReader(file)]
    return float(np.mean(scores[-_LAST:]))
