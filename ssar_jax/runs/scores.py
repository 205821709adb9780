"""Evaluations of a run: plays the episodes, prints the scores and writes the rows of the tables."""

import logging
from collections.abc import Callable, Container, Sequence
from functools import partial
from typing import Any

import numpy as np

from ssar_jax.algorithms.base import Algorithm, Phase
from ssar_jax.data.tasks import Task
from ssar_jax.envs.make import make_env
from ssar_jax.envs.rollout import StoppedError
from ssar_jax.logs.run_log import RunLog
from ssar_jax.runs.data import TaskData
from ssar_jax.runs.interruption import Interruption
from ssar_jax.runs.progress import Progress
from ssar_jax.training.evaluation import EvaluationResult, Evaluator

_LOG = logging.getLogger(__name__)


class Scorer:
    """Evaluates the policies of a run; does nothing for a task without an environment.

    Args:
        config: the run's config.
        data: the run's data.
        algorithm: the algorithm whose policies are evaluated.
        seeds: S seeds.
        log: the log that gets the rows.
    """

    def __init__(self, config: Any, data: TaskData, algorithm: Algorithm, seeds: Sequence[int], log: RunLog) -> None:
        self._task, self._seeds, self._log = data.task, tuple(seeds), log
        self._evaluator = None
        self._max_episode_steps = config.evaluation.get("max_episode_steps") or data.task.horizon
        self._has_warned = False
        if data.task.environment is not None:
            self._evaluator = Evaluator(
                algorithm,
                partial(make_env, data.task.environment, data.physics),
                seeds,
                config.evaluation.episodes,
                data.prepared.observation_scaling,
                data.action_scaling,
                self._max_episode_steps,
            )

    @property
    def is_active(self) -> bool:
        """Whether the task has an environment, so that there are scores."""
        return self._evaluator is not None

    def __call__(
        self,
        phase: Phase,
        step: int,
        policies: Any,
        progress: Progress,
        *,
        place: str,
        stopped: Container[int] = (),
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Evaluates the policies, writes one row per seed and prints the scores.

        Args:
            phase: the phase that the policies belong to.
            step: number of updates offline, of environment steps online.
            policies: the policy parameters of all seeds, leaves [S, ...].
            progress: the progress line that shows the score.
            place: the step in words, such as `update 1,000`.
            stopped: seeds that diverged; they are left out.
            stop: called before every step of the episodes; whether to stop there.

        Raises:
            StoppedError: if `stop` returned true; no row is written then.
            UserError: if the environment returned a number that is not finite.
        """
        if self._evaluator is not None:
            self.record(phase, step, self.play(policies, stop), progress, place=place, stopped=stopped)

    def play(self, policies: Any, stop: Callable[[], bool] = lambda: False) -> EvaluationResult:
        """Plays the episodes and writes nothing, in any thread; needs an environment.

        Args:
            policies: the policy parameters of all seeds, leaves [S, ...].
            stop: called before every step of the episodes; whether to stop there.

        Returns:
            Returns, lengths and successes of all episodes.

        Raises:
            StoppedError: if `stop` returned true.
            UserError: if the environment returned a number that is not finite.
        """
        assert self._evaluator is not None
        return self._evaluator(policies, stop)

    def record(
        self,
        phase: Phase,
        step: int,
        result: EvaluationResult,
        progress: Progress,
        *,
        place: str,
        stopped: Container[int] = (),
    ) -> None:
        """Writes one row per seed and prints the scores.

        Args:
            phase: the phase that the policies belong to.
            step: number of updates offline, of environment steps online.
            result: the episodes of all seeds.
            progress: the progress line that shows the score.
            place: the step in words, such as `update 1,000`.
            stopped: seeds that diverged; they are left out.
        """
        if result.num_cut and not self._has_warned:
            self._has_warned = True
            _LOG.warning(
                "%d of %d episodes were cut after %s steps, because the environment did not end them: set "
                "--config.evaluation.max_episode_steps if that is too early",
                result.num_cut, result.returns.size, f"{self._max_episode_steps:,}",
            )  # fmt: skip
        scores = add_evaluation(self._log, phase, step, self._seeds, self._task, result, stopped)
        returns = result.returns[[seed not in stopped for seed in self._seeds]]
        text = f"return {_text(scores)}"
        if self._task.reference_min is not None:
            text = f"score {_text(scores)}, return {returns.mean():.1f}"
        if result.successes is not None:
            successes = result.successes[[seed not in stopped for seed in self._seeds]]
            text += f", success {100.0 * successes.mean():.0f} %"
        progress.score = f", {text}"
        progress.line(f"{place}: {text}")

    def close(self) -> None:
        """Closes the environments."""
        if self._evaluator is not None:
            self._evaluator.close()


def add_metrics(
    log: RunLog, step: int, seeds: tuple[int, ...], metrics: dict[str, np.ndarray], stopped: Container[int] = ()
) -> None:
    """Writes one row of training metrics per seed.

    Args:
        log: the log that gets the rows.
        step: number of updates offline, of environment steps online.
        seeds: S seeds.
        metrics: means since the previous row by name, each [S].
        stopped: seeds that diverged; they are left out.
    """
    for s, seed in enumerate(seeds):
        if seed not in stopped:
            log.add("train", {"step": step, "seed": seed} | {name: values[s] for name, values in metrics.items()})


def add_evaluation(
    log: RunLog,
    phase: str,
    step: int,
    seeds: tuple[int, ...],
    task: Task,
    result: EvaluationResult,
    stopped: Container[int] = (),
) -> np.ndarray:
    """Writes one row of an evaluation per seed.

    Args:
        log: the log that gets the rows.
        phase: `offline` or `online`.
        step: number of updates offline, of environment steps online.
        seeds: S seeds.
        task: the task, whose reference returns give the scores.
        result: the episodes of all seeds.
        stopped: seeds that diverged; they are left out.

    Returns:
        The mean scores of the seeds that were not left out; mean returns for a task without reference returns.
    """
    scores = task.normalized_score(result.returns)
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


def episode_means(task: Task, result: EvaluationResult, s: int) -> dict[str, float | None]:
    """Averages the episodes of one seed.

    Args:
        task: the task, whose reference returns give the score.
        result: the episodes of all seeds.
        s: index of the seed.

    Returns:
        Means of `return`, `score` (None for a task without reference returns) and `length`, the population standard
        deviation `return_std`, and `success_rate` if the environment reports successes.
    """
    scores = task.normalized_score(result.returns[s])
    success = {} if result.successes is None else {"success_rate": result.successes[s].mean()}
    return {
        "return": result.returns[s].mean(),
        "return_std": result.returns[s].std(),
        "score": None if scores is None else scores.mean(),
        "length": result.lengths[s].mean(),
        **success,
    }


def finish_or_save(
    evaluate: Callable[[], None], save: Callable[[], None], interruption: Interruption, place: str
) -> bool:
    """Evaluates; if that is stopped by a signal or fails, saves the run there first.

    The resumed run then begins with this evaluation, so its tables are those of a run that was not disturbed.

    Args:
        evaluate: evaluates the current policies.
        save: saves a checkpoint of the current step.
        interruption: the signal that was received, if any.
        place: the step in words, such as `update 1,000`.

    Returns:
        Whether the evaluation was finished.
    """
    interruption.activity = f"stopping the evaluation at {place}, which --resume repeats"
    try:
        evaluate()
    except StoppedError:
        save()
        return False
    except Exception:
        save()
        _LOG.error("the evaluation at %s failed; the run is saved there, and --resume repeats the evaluation", place)
        raise
    return True


def _text(scores: np.ndarray) -> str:
    if len(scores) == 1:
        return f"{scores[0]:.1f}"
    return f"{scores.mean():.1f} ({', '.join(f'{score:.1f}' for score in scores)})"
