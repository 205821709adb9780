"""Evaluation of a checkpoint, if desired with other episodes or physics than the run, and films of an episode."""

from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, cast

import gymnasium

from ssar_jax.envs.filming import Filmed, Floor
from ssar_jax.envs.make import AGENTS, environment_name, make_env, time_limit
from ssar_jax.envs.physics import Physics
from ssar_jax.errors import UserError
from ssar_jax.files import open_npz
from ssar_jax.logs.tables import json_values
from ssar_jax.run_format import read_json
from ssar_jax.runs.load import StoredPolicies, load_policies
from ssar_jax.runs.scores import episode_means
from ssar_jax.runs.storage.versions import versions
from ssar_jax.training.evaluation import EvaluationResult, Evaluator


class CheckpointScores(NamedTuple):
    """The scores of a checkpoint.

    Attributes:
        content: algorithm, task, step, data, physics and versions by name, and under `seeds` a row per seed like
            those of `eval.csv`, with return and length of every episode; for JSON.
        film: the filmed episode of the first seed, if one was filmed.
        floor: what colors the floor of the film: the mean of beta(s) over the dataset's states at each place of a maze;
            None for other environments, algorithms without beta, and steps without diagnostics.
    """

    content: dict[str, Any]
    film: Filmed | None
    floor: Floor | None


def evaluate_checkpoint(
    run: Path,
    *,
    step: int | None = None,
    seed: int | None = None,
    physics: Physics | None = None,
    episodes: int | None = None,
    film: int | None = None,
) -> CheckpointScores:
    """Evaluates the policies of a run's checkpoint.

    Episode i of seed s has the same start as in every evaluation of the run.

    Args:
        run: the run folder.
        step: step of the checkpoint; None takes the latest.
        seed: the seed to evaluate; None evaluates all seeds of the run.
        physics: physics of the environment; None takes that of the run.
        episodes: number of episodes per seed; None takes that of the run.
        film: number of the episode of the first seed to film, from 0; None films none.

    Returns:
        The scores of every seed, and the film.

    Raises:
        UserError: if there is no such run, checkpoint, seed, episode, environment or physics, or filming is not
            possible.
    """
    stored = load_policies(run, step=step, seed=seed)
    data = read_json(run / "data.json")
    data["physics"] = physics = _choose_physics(stored, physics, data["physics"])
    if stored.task.environment is None:
        raise UserError(f"{run} has no environment: it was trained without --config.environment.id")
    episodes = episodes or cast(int, stored.config.evaluation.episodes)
    build_env = partial(make_env, stored.task.environment, physics)
    if film is not None and film >= episodes:
        raise UserError(f"there is no episode {film} to film: the evaluation has episodes 0 to {episodes - 1}")
    floor = None if film is None else _beta_floor(run, stored)
    filmed = None if film is None else Filmed(build_env(), floor)
    numbers = count()

    def build_next() -> gymnasium.Env:
        """Environments are built in the order of the episodes, those of the first seed first."""
        if filmed is None:
            return build_env()
        # With a wrapper they are stepped one by one, as the filmed one must be, not by the simulator.
        return filmed if next(numbers) == film else gymnasium.Wrapper(build_env())

    evaluator = Evaluator(
        stored.algorithm,
        build_next,
        stored.seeds,
        episodes,
        stored.observation_scaling,
        stored.action_scaling,
        _episode_limit(stored, physics),
    )
    result = evaluator(stored.params)
    evaluator.close()
    content = {name: getattr(stored.config, name) for name in ("algorithm", "task", "variant", "preset")}
    content |= {"step": stored.step, "episodes": episodes, **data, "versions": versions()}
    return CheckpointScores(content=content | {"seeds": _rows(stored, result)}, film=filmed, floor=floor)


def _beta_floor(run: Path, stored: StoredPolicies) -> Floor | None:
    """Returns the mean of beta(s) of the first evaluated seed at each place of a maze, if the run has stored it."""
    path = run / "diagnostics" / f"{stored.step}.npz"
    if stored.task.agent != "antmaze" or not path.exists():
        return None
    arrays = open_npz(path)
    if "beta" not in arrays:
        return None
    return Floor.from_points(arrays["plane"], arrays["beta"][stored.seeds[0] - stored.config.seed])


def _episode_limit(stored: StoredPolicies, physics: Physics) -> int:
    """Returns the largest number of steps of an episode, as in the evaluations of the run."""
    environment = cast(str, stored.task.environment)
    env = make_env(environment, physics)
    limit = time_limit(environment, env) or stored.task.horizon
    env.close()
    # Runs of older versions lack the field.
    return getattr(stored.config.evaluation, "max_episode_steps", None) or limit


def _choose_physics(stored: StoredPolicies, wanted: Physics | None, trained: Physics) -> Physics:
    if wanted in (None, trained):
        return trained
    if stored.task.environment is not None and stored.task.environment not in AGENTS:
        name = environment_name(stored.task.environment)
        raise UserError(f"environment {name} has only one physics: leave --physics={wanted} out")
    return wanted


def _rows(stored: StoredPolicies, result: EvaluationResult) -> list[dict[str, Any]]:
    rows = []
    for s, seed in enumerate(stored.seeds):
        row = {"seed": seed, **episode_means(stored.task, result, s)}
        played = zip(result.returns[s], result.lengths[s], strict=True)
        each = [json_values({"return": total, "length": length}) for total, length in played]
        rows.append(json_values(row) | {"episodes": each})
    return rows
