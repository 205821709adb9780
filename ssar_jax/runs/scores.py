"""Evaluates the policies of a run, writes their rows and prints their scores."""

from collections.abc import Container, Sequence
from functools import partial
from typing import Any

import numpy as np

from ssar_jax.algorithms.base import Algorithm, Phase
from ssar_jax.envs.make import make
from ssar_jax.logs.run_log import RunLog
from ssar_jax.runs import summary
from ssar_jax.runs.data import TaskData
from ssar_jax.runs.progress import Progress
from ssar_jax.training.evaluation import Evaluator


class Scorer:
    """The evaluations of a run; nothing happens for a task without an environment.

    Args:
        config: of the run.
        data: of the run.
        algorithm: whose policies are evaluated.
        seeds: S seeds.
        log: where the rows go.
    """

    def __init__(self, config: Any, data: TaskData, algorithm: Algorithm, seeds: Sequence[int], log: RunLog) -> None:
        self._task, self._seeds, self._log = data.task, tuple(seeds), log
        self._evaluator = None
        if data.task.environment is not None:
            self._evaluator = Evaluator(
                algorithm,
                partial(make, data.task.environment, data.physics),
                seeds,
                config.evaluation.episodes,
                data.prepared.observation_scaling,
                data.action_scaling,
            )

    def __call__(
        self, phase: Phase, step: int, policies: Any, progress: Progress, *, place: str, stopped: Container[int] = ()
    ) -> None:
        """Evaluates.

        Args:
            phase: which phase the policies stand in.
            step: updates so far offline, environment steps so far online.
            policies: leaves [S, ...].
            progress: where the score is shown.
            place: what it is the score of, in words.
            stopped: seeds that are left out.
        """
        if self._evaluator is None:
            return
        result = self._evaluator(policies)
        scores = summary.add_evaluation(self._log, phase, step, self._seeds, self._task, result, stopped)
        returns = result.returns[[seed not in stopped for seed in self._seeds]]
        text = f"return {_text(scores)}"
        if self._task.reference_min is not None:
            text = f"score {_text(scores)}, return {returns.mean():.1f}"
        progress.score = f", {text}"
        progress.line(f"{place}: {text}")

    def close(self) -> None:
        """Closes the environments."""
        if self._evaluator is not None:
            self._evaluator.close()


def _text(scores: np.ndarray) -> str:
    if len(scores) == 1:
        return f"{scores[0]:.1f}"
    return f"{scores.mean():.1f} ({', '.join(f'{score:.1f}' for score in scores)})"
