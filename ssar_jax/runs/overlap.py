"""Evaluations that are played in a thread while training goes on, with the tables of a run that evaluates in turn."""

from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, NamedTuple

import jax

from ssar_jax.envs.rollout import StoppedError
from ssar_jax.runs.interruption import Interruption
from ssar_jax.runs.progress import Progress
from ssar_jax.runs.scores import Scorer, finish_or_save
from ssar_jax.training.evaluation import EvaluationResult


class _InFlight(NamedTuple):
    """The evaluation in progress."""

    update: int
    states: Any  # of all seeds at this update, leaves [S, ...] on the host
    stopped: Collection[int]  # seeds that had diverged by then
    result: Future[EvaluationResult]


class Overlap:
    """At most one evaluation that is played while training goes on.

    Its rows are written by `finish`, which a run calls at fixed updates, so that the tables depend neither on the speed
    of the environment nor on interruptions. Until then the states of the evaluated update are kept: if the evaluation
    is stopped or fails, the run is saved there, and a resumed run repeats the evaluation.

    Args:
        scorer: plays and records the evaluations.
        precision: JAX's precision of matrix products, which every thread has for itself.
    """

    def __init__(self, scorer: Scorer, precision: str) -> None:
        self._scorer, self._precision = scorer, precision
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="evaluation")
        self._in_flight: _InFlight | None = None
        self._is_closing = False

    @property
    def update(self) -> int | None:
        """The update whose evaluation is in progress; None if there is none."""
        return None if self._in_flight is None else self._in_flight.update

    def begin(
        self, update: int, policies: Any, states: Any, stopped: Collection[int], interruption: Interruption
    ) -> None:
        """Begins an evaluation; an earlier one must have been finished.

        Args:
            update: the current update.
            policies: the policy parameters of all seeds, leaves [S, ...]; they are copied, because training goes on in
                their memory.
            states: the states of all seeds, leaves [S, ...] on the host.
            stopped: seeds that diverged; they are left out.
            interruption: the signal that was received, if any; it stops the evaluation.
        """
        assert self._in_flight is None
        stop = partial(self._is_stopped, interruption)
        result = self._thread.submit(copy_context().run, self._play, jax.device_get(policies), stop)
        self._in_flight = _InFlight(update, states, tuple(stopped), result)

    def _is_stopped(self, interruption: Interruption) -> bool:
        return self._is_closing or interruption.requested()

    def _play(self, policies: Any, stop: Callable[[], bool]) -> EvaluationResult:
        with jax.default_matmul_precision(self._precision):
            return self._scorer.play(policies, stop)

    def finish(self, save: Callable[[int, Any], None], progress: Progress, interruption: Interruption) -> bool:
        """Waits for the evaluation in progress, if there is one, and writes its rows.

        Args:
            save: saves a checkpoint of an update with its states, leaves [S, ...] on the host.
            progress: the progress line that shows the score.
            interruption: the signal that was received, if any.

        Returns:
            False if a signal was received: the run is saved at the evaluated update then.
        """
        if self._in_flight is None:
            return True
        flight, self._in_flight = self._in_flight, None
        place = f"update {flight.update:,}"

        def record() -> None:
            result = flight.result.result()
            if interruption.requested():  # rows that are written early would stand in another order
                raise StoppedError
            self._scorer.record("offline", flight.update, result, progress, place=place, stopped=flight.stopped)

        return finish_or_save(record, partial(save, flight.update, flight.states), interruption, place)

    def close(self) -> None:
        """Stops the evaluation in progress; none of its rows are written."""
        self._is_closing = True
        self._thread.shutdown()
