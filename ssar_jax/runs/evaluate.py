"""Scores the policies of a checkpoint again, with other episodes or other physics, and films one of them."""

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

from ssar_jax.envs.filming import Filmed
from ssar_jax.envs.make import AGENTS, make
from ssar_jax.envs.physics import Physics
from ssar_jax.errors import UserError
from ssar_jax.logs.tables import json_values
from ssar_jax.run_format import read_json
from ssar_jax.runs.folder import versions
from ssar_jax.runs.load import StoredPolicies, load_policies
from ssar_jax.runs.summary import episode_means
from ssar_jax.training.evaluation import EvaluationResult, Evaluator


class Rescored(NamedTuple):
    """What a checkpoint scored.

    Attributes:
        content: what was scored, on which data, in which physics, and under `seeds` the rows of `eval.csv` with the
            return and length of every episode; for JSON.
        film: the first episode of the first seed, if it was filmed.
    """

    content: dict[str, Any]
    film: Filmed | None


def rescore(
    run: Path,
    *,
    step: int | None = None,
    seed: int | None = None,
    physics: Physics | None = None,
    episodes: int | None = None,
    film: bool = False,
) -> Rescored:
    """Evaluates the policies of a run's checkpoint.

    Episode i of seed s starts as in every evaluation of the run.

    Args:
        run: the run folder.
        step: which checkpoint; None takes the latest.
        seed: the seed wanted; None takes all of the run.
        physics: None takes the run's.
        episodes: per seed; None takes the run's number.
        film: whether to film an episode.

    Raises:
        UserError: where there is no such run, checkpoint, seed, environment or physics, or it cannot be filmed.
    """
    stored = load_policies(run, step=step, seed=seed)
    data = read_json(run / "data.json")
    data["physics"] = physics = _choose_physics(stored, physics, data["physics"])
    if stored.task.environment is None:
        raise UserError(f"{run} has no environment: it was trained without --config.environment.id")
    episodes = episodes or cast(int, stored.config.evaluation.episodes)
    make_env = partial(make, stored.task.environment, physics)
    filmed = Filmed(make_env()) if film else None
    first = [] if filmed is None else [filmed]
    evaluator = Evaluator(
        stored.algorithm,
        lambda: first.pop() if first else make_env(),
        stored.seeds,
        episodes,
        stored.observation_scaling,
        stored.action_scaling,
    )
    result = evaluator(stored.params)
    evaluator.close()
    content = {name: getattr(stored.config, name) for name in ("algorithm", "task", "variant", "preset")}
    content |= {"step": stored.step, "episodes": episodes, **data, "versions": versions()}
    return Rescored(content | {"seeds": _rows(stored, result)}, filmed)


def _choose_physics(stored: StoredPolicies, wanted: Physics | None, trained: Physics) -> Physics:
    if wanted in (None, trained):
        return trained
    if stored.task.environment not in AGENTS:
        raise UserError(f"environment {stored.task.environment} has one physics: leave --physics={wanted} out")
    return wanted


def _rows(stored: StoredPolicies, result: EvaluationResult) -> list[dict[str, Any]]:
    rows = []
    for s, seed in enumerate(stored.seeds):
        row = {"seed": seed, **episode_means(stored.task, result, s)}
        played = zip(result.returns[s], result.lengths[s], strict=True)
        each = [json_values({"return": total, "length": length}) for total, length in played]
        rows.append(json_values(row) | {"episodes": each})
    return rows
