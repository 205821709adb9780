"""A whole offline run: data, training, evaluation, checkpoints and results in one folder."""

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial
from math import lcm
from pathlib import Path
from typing import Any

import numpy as np

from ssar_jax.algorithms import registry
from ssar_jax.envs.make import make
from ssar_jax.reporting.writers import CsvTable
from ssar_jax.training import results, task_data
from ssar_jax.training.checkpoint import Checkpoints
from ssar_jax.training.diagnostics import Diagnostics
from ssar_jax.training.evaluation import Evaluator
from ssar_jax.training.interruption import Interruption, watch_signals
from ssar_jax.training.progress import Progress
from ssar_jax.training.run_folder import RunFolder
from ssar_jax.training.trainer import OfflineTrainer

_LOG = logging.getLogger(__name__)

LOG_INTERVAL = 1_000
"""Updates per row of train.csv, and at most per device call."""


def run(config: Any, path: Path, *, resume: bool = False, overwrite: bool = False) -> int:
    """Trains the offline phase of a config and writes the run folder.

    Args:
        config: a checked config of `configs/`.
        path: the run folder.
        resume: whether to continue the run that lies there, bit for bit on the same machine.
        overwrite: whether to replace it.

    Returns:
        Exit status: 0, or 128 + the signal that ended the run early.

    Raises:
        UserError: for everything that the user can mend, before anything is compiled or overwritten.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(closing(RunFolder(path, config.to_dict(), resume=resume, overwrite=overwrite)))
        if resume and folder.file("summary.json").exists():
            print(f"{path} is finished: nothing to resume")
            return 0
        data = task_data.load(config)  # minutes, where data are generated: after the folder has agreed
        if folder.file("data.json").exists():
            folder.require_same("data.json", data.describe(), "the dataset")
        folder.start()
        print(data.dataset.card(), flush=True)
        _announce(config, data)
        folder.write_json("data.json", data.describe())
        data.save_preparation(folder.file("preparation.npz"))
        interruption = stack.enter_context(watch_signals())
        offline_run = _OfflineRun(config, data, folder)
        stack.callback(offline_run.close)
        return offline_run.train(interruption)


class _OfflineRun:
    """One run from its latest checkpoint to its summary."""

    def __init__(self, config: Any, data: task_data.TaskData, folder: RunFolder) -> None:
        self._config, self._data, self._folder = config, data, folder
        algorithm = registry.build(config, data.dataset.action_size)
        seeds = range(config.seed, config.seed + config.num_seeds)
        trusted = data.selection.trusted
        self._trainer = OfflineTrainer(
            algorithm, data.prepared, seeds=seeds, trusted=trusted, batch_size=config.batch_size
        )
        self._evaluator = None
        if data.task.environment is not None:
            make_env = partial(make, data.task.environment, data.physics)
            self._evaluator = Evaluator(
                algorithm,
                make_env,
                seeds,
                config.evaluation.episodes,
                data.prepared.observation_scaling,
                data.action_scaling,
            )
        self._diagnostics = Diagnostics(
            folder.file("diagnostics"), data.prepared, trusted, maze=data.task.agent == "antmaze"
        )
        self._checkpoints = Checkpoints(folder.file("checkpoints"), config.checkpoint.keep)
        self._metrics, self._evaluations = (
            CsvTable(folder.file("train.csv")),
            CsvTable(folder.file("eval.csv")),
        )
        self._restore()

    def _restore(self) -> None:
        """Goes back to the latest checkpoint, if there is one."""
        step = self._checkpoints.latest_step
        if step is not None:
            self._trainer.load(self._checkpoints.restore(step, self._trainer.states()), step)
            _LOG.info("resuming at update %d", step)
        for table in (self._metrics, self._evaluations):
            # A run that broke off before its first checkpoint starts anew, its evaluation at step 0 included.
            table.drop_after(-1 if step is None else step)

    def train(self, interruption: Interruption) -> int:
        """Trains to the end or to an interruption; returns the exit status."""
        config, trainer = self._config, self._trainer
        total, first = config.num_updates, trainer.step
        progress = Progress(first, total, config.num_seeds)
        if first == 0:
            self._evaluate(progress)
            self._diagnostics.write(trainer)
        training_seconds, wall_start = 0.0, time.monotonic()
        for stop in _stops(first, total, LOG_INTERVAL, config.evaluation.interval, config.checkpoint.every):
            start, updates = time.monotonic(), stop - trainer.step
            metrics = trainer.advance(updates)
            seconds = time.monotonic() - start
            training_seconds += seconds
            results.add_metrics(self._metrics, stop, trainer.seeds, metrics)
            _warn_of_divergence(metrics, trainer)
            if stop % config.evaluation.interval == 0 or stop == total:
                self._evaluate(progress)
            progress.show(stop, seconds, updates)
            stopped = interruption.signal_number is not None and stop < total
            if stop % config.checkpoint.every == 0 or stop == total or stopped:
                self._diagnostics.write(trainer)  # first: a resumed run does not come back to this update
                self._checkpoints.save(stop, trainer.states())
            if stopped:
                progress.close()
                print(f"stopped at update {stop:,}; to go on, repeat the command with --resume")
                return interruption.exit_status
        progress.close()
        self._summarise((total - first) / training_seconds if training_seconds else None, time.monotonic() - wall_start)
        return 0

    def _evaluate(self, progress: Progress) -> None:
        if self._evaluator is None:
            return
        trainer = self._trainer
        result = self._evaluator(trainer.policies())
        scores = results.add_evaluation(
            self._evaluations, "offline", trainer.step, trainer.seeds, self._data.task, result
        )
        progress.score = f", score {_score(scores)}"
        progress.line(f"update {trainer.step:,}: score {_score(scores)}, return {result.returns.mean():.1f}")

    def _summarise(self, updates_per_second: float | None, wall_seconds: float) -> None:
        config = self._config
        summary = {
            "task": config.task,
            "algorithm": config.algorithm,
            "variant": config.variant,
            "preset": config.preset,
            "phase": "offline",
            "num_updates": config.num_updates,
            "seeds": list(self._trainer.seeds),
            "updates_per_second": updates_per_second,  # of each seed, without evaluation
            "wall_seconds": wall_seconds,  # since the start or the latest resumption
            "versions": self._folder.read_json("versions.json"),
            **self._data.describe(),
            **results.score_summary(self._evaluations, self._trainer.seeds),
        }
        self._folder.write_json("summary.json", summary)
        score = summary.get("final_score_mean", summary.get("final_return_mean"))
        spread = summary.get("final_score_std")
        print(f"results: {self._folder.path}")
        if score is not None:
            kind = "normalised score" if "final_score_mean" in summary else "return"
            print(
                f"final {kind} {score:.1f}{f' ± {spread:.1f}' if spread is not None else ''} "
                f"({config.algorithm} {config.variant}, preset {config.preset}, {summary['data_source']} data, "
                f"{summary['physics']} physics, {config.num_seeds} seed{'s' * (config.num_seeds > 1)})"
            )

    def close(self) -> None:
        """Closes environments and checkpoints."""
        if self._evaluator is not None:
            self._evaluator.close()
        self._checkpoints.close()


def _stops(first: int, total: int, *intervals: int) -> Iterator[int]:
    """The updates after which the loop returns to the host: every multiple of an interval, and the end."""
    step = first
    while step < total:
        step = min([total, *((step // interval + 1) * interval for interval in intervals)])
        yield step


def _announce(config: Any, data: task_data.TaskData) -> None:
    print(data.dataset.describe_line())
    if config.selection.rule != "none":
        threshold = data.selection.threshold
        limit = "" if threshold is None else f" (return above {threshold:.1f})"
        print(f"selected {100 * data.selection.fraction:.1f} % of the transitions by {config.selection.rule}{limit}")
    coefficient = config.get("coefficient")
    if coefficient is not None and coefficient.kind == "state_adaptive" and coefficient.n_end > coefficient.n_start:
        # TD3+BC looks at the schedule in its delayed steps alone.
        period = lcm(coefficient.n_period, config.actor.get("policy_freq", 1))
        if config.num_updates < period:
            _LOG.warning(
                "the threshold schedule never fires: its period is %d updates, the run has %d; set "
                "--config.coefficient.n_period", period, config.num_updates,
            )  # fmt: skip


def _warn_of_divergence(metrics: dict[str, np.ndarray], trainer: OfflineTrainer) -> None:
    for name in ("critic/loss", "actor/loss"):
        for seed, value in zip(trainer.seeds, metrics.get(name, ()), strict=False):
            if not np.isfinite(value):
                _LOG.error("seed %d: %s is %s at update %d", seed, name, value, trainer.step)


def _score(scores: np.ndarray) -> str:
    if len(scores) == 1:
        return f"{scores[0]:.1f}"
    return f"{scores.mean():.1f} ({', '.join(f'{score:.1f}' for score in scores)})"
