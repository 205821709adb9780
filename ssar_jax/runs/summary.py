"""What a run reports: rows per step and seed, and the summary at the end."""

from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ssar_jax.algorithms.base import Phase
from ssar_jax.data.tasks import Task
from ssar_jax.logs.run_log import RunLog
from ssar_jax.runs.data import TaskData, value_updates
from ssar_jax.runs.folder import RunFolder
from ssar_jax.training.evaluation import EvaluationResult


def add_metrics(
    log: RunLog, step: int, seeds: tuple[int, ...], metrics: dict[str, np.ndarray], stopped: Container[int] = ()
) -> None:
    """Writes one row per seed, but those that were stopped, with the means [S] of the metrics since the row before."""
    for s, seed in enumerate(seeds):
        if seed not in stopped:
            log.add("train", {"step": step, "seed": seed} | {name: values[s] for name, values in metrics.items()})


def episode_means(task: Task, result: EvaluationResult, s: int) -> dict[str, float | None]:
    """What the episodes of one seed came to: means, and the population standard deviation of the returns."""
    scores = task.normalised_score(result.returns[s])
    return {
        "return": result.returns[s].mean(),
        "return_std": result.returns[s].std(),
        "score": None if scores is None else scores.mean(),
        "length": result.lengths[s].mean(),
    }


def add_evaluation(
    log: RunLog,
    phase: str,
    step: int,
    seeds: tuple[int, ...],
    task: Task,
    result: EvaluationResult,
    stopped: Container[int] = (),
) -> np.ndarray:
    """Writes one row per seed, but those that were stopped, and returns the mean scores of these seeds.

    Raw returns where the task has no scale.

    `step` counts updates offline and environment steps online.
    """
    scores = task.normalised_score(result.returns)
    rows = [s for s, seed in enumerate(seeds) if seed not in stopped]
    for s in rows:
        log.add(
            "eval",
            {
                "phase": phase,
                "step": step,
                "seed": seeds[s],
                **episode_means(task, result, s),
                "episodes": result.returns.shape[1],
                "environment_steps": step if phase == "online" else 0,
            },
        )
    return (result.returns if scores is None else scores)[rows].mean(axis=1)


def score_summary(
    rows: Sequence[dict[str, str]], seeds: tuple[int, ...], stopped: Container[int] = ()
) -> dict[str, Any]:
    """Final and best score of every seed, with mean and population standard deviation over seeds.

    The final score is that of the last evaluation, and null for a seed that was stopped; `best_score` looks at all of
    them and is no estimate of what a policy chosen without looking would score. A standard deviation of one seed is
    null.
    """
    column = "score" if any(row["score"] for row in rows) else "return"
    # An empty cell is NaN: the policy diverged.
    per_seed = [
        [float(row[column]) if row[column] else None for row in rows if row["seed"] == str(seed)] for seed in seeds
    ]
    final = [
        scores[-1] if scores and seed not in stopped else None for scores, seed in zip(per_seed, seeds, strict=True)
    ]
    best = [max((score for score in scores if score is not None), default=None) for scores in per_seed]
    known = [score for score in final if score is not None]
    return {
        f"final_{column}": final,
        f"best_{column}": best,
        f"final_{column}_mean": float(np.mean(known)) if known else None,
        f"final_{column}_std": float(np.std(known)) if len(known) > 1 else None,
    }


def area_summary(
    rows: Sequence[dict[str, str]], seeds: tuple[int, ...], stopped: Container[int] = ()
) -> dict[str, Any]:
    """Area under every seed's curve over its steps, by trapezoids and divided by their range: a mean score.

    Null for a seed that was stopped.
    """
    column = "score" if any(row["score"] for row in rows) else "return"
    areas = []
    for seed in seeds:
        mine = [row for row in rows if row["seed"] == str(seed)]
        steps = np.array([float(row["step"]) for row in mine])
        values = np.array([float(row[column] or "nan") for row in mine])
        area = np.trapezoid(values, steps) / (steps[-1] - steps[0]) if len(mine) > 1 else np.nan
        areas.append(float(area) if np.isfinite(area) and seed not in stopped else None)
    known = [area for area in areas if area is not None]
    return {f"area_{column}": areas, f"area_{column}_mean": float(np.mean(known)) if known else None}


def describe_run(
    config: Any, data: TaskData, folder: RunFolder, phase: Phase, seeds: tuple[int, ...]
) -> dict[str, Any]:
    """What every summary states about its run, its data and its packages."""
    return {
        "task": config.task,
        "algorithm": config.algorithm,
        "variant": config.variant,
        "preset": config.preset,
        "phase": phase,
        "seeds": list(seeds),
        "versions": folder.read_json("versions.json"),
        **data.describe(),
        "selection_updates": value_updates(config, data.dataset) if config.selection.rule == "advantage" else None,
    }


def announce(path: Path, config: Any, summary: dict[str, Any]) -> None:
    """Prints where the results lie and the final score."""
    score = summary.get("final_score_mean", summary.get("final_return_mean"))
    spread = summary.get("final_score_std", summary.get("final_return_std"))
    print(f"results: {path}")
    if score is not None:
        kind = "normalised score" if "final_score_mean" in summary else "return"
        print(
            f"final {kind} {score:.1f}{f' ± {spread:.1f}' if spread is not None else ''} "
            f"({config.algorithm} {config.variant}, preset {config.preset}, {summary['data_source']} data, "
            f"{summary['physics']} physics, {config.num_seeds} seed{'s' * (config.num_seeds > 1)})"
        )
