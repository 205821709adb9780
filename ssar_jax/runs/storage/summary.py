"""The summary of a finished run, and its announcement on the terminal."""

import logging
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ssar_jax.algorithms import registry
from ssar_jax.algorithms.base import Phase
from ssar_jax.runs.data import TaskData, value_updates
from ssar_jax.runs.storage.folder import RunFolder

_LOG = logging.getLogger(__name__)


def score_summary(
    rows: Sequence[dict[str, str]], seeds: tuple[int, ...], stopped: Container[int] = ()
) -> dict[str, Any]:
    """Computes the final and best score of every seed, with mean and population standard deviation over seeds.

    The final score is that of the last evaluation. The best score is a maximum over all evaluations and therefore an
    optimistic estimate.

    Args:
        rows: the rows of `eval.csv`; an empty cell is NaN.
        seeds: S seeds.
        stopped: seeds that diverged; their final score is None.

    Returns:
        `final_score`, `best_score` (one per seed), `final_score_mean` and `final_score_std`, for JSON; with `return`
        instead of `score` for a task without reference returns. If the environment reports successes, also
        `final_success_rate` (one per seed) and `final_success_rate_mean`. Unknown values are None, as is the standard
        deviation of one seed.
    """
    column = "score" if any(row["score"] for row in rows) else "return"
    per_seed = [[_number(row[column]) for row in rows if row["seed"] == str(seed)] for seed in seeds]
    final = _last(per_seed, seeds, stopped)
    best = [max((score for score in scores if score is not None), default=None) for scores in per_seed]
    known = [score for score in final if score is not None]
    return {
        f"final_{column}": final,
        f"best_{column}": best,
        f"final_{column}_mean": float(np.mean(known)) if known else None,
        f"final_{column}_std": float(np.std(known)) if len(known) > 1 else None,
        **_success_summary(rows, seeds, stopped),
    }


def _success_summary(rows: Sequence[dict[str, str]], seeds: tuple[int, ...], stopped: Container[int]) -> dict[str, Any]:
    """Returns the final success rates; nothing if the environment never reported any."""
    if not any(row.get("success_rate") for row in rows):
        return {}
    rates = [[_number(row.get("success_rate")) for row in rows if row["seed"] == str(seed)] for seed in seeds]
    final = _last(rates, seeds, stopped)
    known = [rate for rate in final if rate is not None]
    return {"final_success_rate": final, "final_success_rate_mean": float(np.mean(known)) if known else None}


def _number(cell: str | None) -> float | None:
    """Reads a cell; None if it is empty or not finite."""
    value = float(cell or "nan")
    return value if np.isfinite(value) else None


def _last(per_seed: list[list[float | None]], seeds: tuple[int, ...], stopped: Container[int]) -> list[float | None]:
    """Returns the last value of every seed that did not diverge."""
    return [
        values[-1] if values and seed not in stopped else None for values, seed in zip(per_seed, seeds, strict=True)
    ]


def lacks_scores(scores: Mapping[str, Any], active: Sequence[int], seeds: tuple[int, ...]) -> bool:
    """Whether the final score of a seed that did not diverge is not a finite number; logs an error if so.

    Args:
        scores: the result of `score_summary`.
        active: the seeds that did not diverge.
        seeds: S seeds.
    """
    final = scores.get("final_score", scores.get("final_return"))
    assert final is not None
    missing = [seed for seed, score in zip(seeds, final, strict=True) if seed in active and score is None]
    if missing:
        _LOG.error(
            "the final score of seed %s is not a finite number: the policy returns NaN in the last row of eval.csv; "
            "train again with other hyperparameters", ", ".join(map(str, missing)),
        )  # fmt: skip
    return bool(missing)


def area_summary(
    rows: Sequence[dict[str, str]], seeds: tuple[int, ...], stopped: Container[int] = ()
) -> dict[str, Any]:
    """Computes the area under every seed's score curve by trapezoids, divided by the range of its steps.

    Args:
        rows: the rows of `eval.csv` of one phase; an empty cell is NaN.
        seeds: S seeds.
        stopped: seeds that diverged; their area is None.

    Returns:
        `area_score` (one per seed, a mean score) and `area_score_mean`, for JSON; with `return` instead of `score` for
        a task without reference returns.
    """
    column = "score" if any(row["score"] for row in rows) else "return"
    areas = []
    for seed in seeds:
        of_seed = [row for row in rows if row["seed"] == str(seed)]
        steps = np.array([float(row["step"]) for row in of_seed])
        values = np.array([float(row[column] or "nan") for row in of_seed])
        area = np.trapezoid(values, steps) / (steps[-1] - steps[0]) if len(of_seed) > 1 else np.nan
        areas.append(float(area) if np.isfinite(area) and seed not in stopped else None)
    known = [area for area in areas if area is not None]
    return {f"area_{column}": areas, f"area_{column}_mean": float(np.mean(known)) if known else None}


def describe_run(
    config: Any, data: TaskData, folder: RunFolder, phase: Phase, seeds: tuple[int, ...]
) -> dict[str, Any]:
    """Describes a run, its data and its packages, for every summary.

    Args:
        config: the run's config.
        data: the run's data.
        folder: the run's folder.
        phase: `offline` or `online`.
        seeds: S seeds.

    Returns:
        The entries by name, for JSON.
    """
    return {
        "task": config.task,
        "algorithm": config.algorithm,
        "variant": config.variant,
        "preset": config.preset,
        "system": registry.display_name(config),
        "phase": phase,
        "seeds": list(seeds),
        "versions": folder.read_json("versions.json"),
        **data.describe(),
        "selection_updates": value_updates(config, data.dataset) if config.selection.rule == "advantage" else None,
    }


def announce(path: Path, config: Any, summary: dict[str, Any]) -> None:
    """Prints the run folder and the final score.

    Args:
        path: the run folder.
        config: the run's config.
        summary: the content of `summary.json`.
    """
    score = summary.get("final_score_mean", summary.get("final_return_mean"))
    spread = summary.get("final_score_std", summary.get("final_return_std"))
    print(f"results: {path}")
    if score is not None:
        kind = "normalized score" if "final_score_mean" in summary else "return"
        print(
            f"final {kind} {score:.1f}{f' ± {spread:.1f}' if spread is not None else ''} "
            f"({config.algorithm} {config.variant}, preset {config.preset}, {summary['data_source']} data, "
            f"{summary['physics']} physics, {config.num_seeds} seed{'s' * (config.num_seeds > 1)})"
        )
