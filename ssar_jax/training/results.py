"""What a run reports: rows per step and seed, and the summary at the end."""

from typing import Any

import numpy as np

from ssar_jax.data.tasks import Task
from ssar_jax.reporting.writers import CsvTable
from ssar_jax.training.evaluation import EvaluationResult


def add_metrics(table: CsvTable, step: int, seeds: tuple[int, ...], metrics: dict[str, np.ndarray]) -> None:
    """Writes one row per seed with the means of the metrics since the row before."""
    for s, seed in enumerate(seeds):
        table.add({"step": step, "seed": seed} | {name: values[s] for name, values in metrics.items()})


def add_evaluation(
    table: CsvTable, phase: str, step: int, seeds: tuple[int, ...], task: Task, result: EvaluationResult
) -> np.ndarray:
    """Writes one row per seed and returns the mean scores [S] (raw returns where the task has no scale)."""
    scores = task.normalised_score(result.returns)
    for s, seed in enumerate(seeds):
        table.add(
            {
                "phase": phase,
                "step": step,
                "seed": seed,
                "return": result.returns[s].mean(),
                "return_std": result.returns[s].std(),
                "score": None if scores is None else scores[s].mean(),
                "length": result.lengths[s].mean(),
                "episodes": result.returns.shape[1],
                "environment_steps": 0,
            }
        )
    return (result.returns if scores is None else scores).mean(axis=1)


def score_summary(table: CsvTable, seeds: tuple[int, ...]) -> dict[str, Any]:
    """Final and best score of every seed, with mean and population standard deviation over seeds.

    The final score is that of the last evaluation; `best_score` looks at all of them and is no estimate of
    what a policy chosen without looking would score. A standard deviation of one seed is null.
    """
    column = "score" if any(row["score"] for row in table.rows) else "return"
    # An empty cell is NaN: the policy diverged.
    per_seed = [
        [float(row[column]) if row[column] else None for row in table.rows if row["seed"] == str(seed)]
        for seed in seeds
    ]
    final = [scores[-1] if scores else None for scores in per_seed]
    best = [max((score for score in scores if score is not None), default=None) for scores in per_seed]
    known = [score for score in final if score is not None]
    return {
        f"final_{column}": final,
        f"best_{column}": best,
        f"final_{column}_mean": float(np.mean(known)) if known else None,
        f"final_{column}_std": float(np.std(known)) if len(known) > 1 else None,
    }
