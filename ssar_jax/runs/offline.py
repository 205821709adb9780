"""Offline runs: training, evaluation, checkpoints and results of one config in one folder."""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from functools import partial
from math import lcm
from pathlib import Path
from typing import Any

import jax

from ssar_jax.algorithms import registry
from ssar_jax.algorithms.base import Algorithm
from ssar_jax.logs.run_log import RunLog, require_dashboards
from ssar_jax.networks.backend import use_layout
from ssar_jax.runs.data import TaskData, load_data
from ssar_jax.runs.divergence import DivergenceGuard
from ssar_jax.runs.interruption import Interruption, watch_signals
from ssar_jax.runs.overlap import Overlap
from ssar_jax.runs.pretraining.models import pretrain
from ssar_jax.runs.progress import Progress, stops
from ssar_jax.runs.scores import Scorer, add_metrics, finish_or_save
from ssar_jax.runs.storage.checkpoints import Checkpoints
from ssar_jax.runs.storage.diagnostics import Diagnostics
from ssar_jax.runs.storage.folder import RunFolder
from ssar_jax.runs.storage.lengthening import begin_lengthening, shorter_config
from ssar_jax.runs.storage.summary import announce, describe_run, lacks_scores, score_summary
from ssar_jax.training.device_memory import offline_memory
from ssar_jax.training.layout import choose_layout
from ssar_jax.training.trainer import OfflineTrainer
from ssar_jax.types import Params

_LOG = logging.getLogger(__name__)

LOG_INTERVAL = 1_000
"""Number of updates per row of train.csv, and maximum number per device call."""


def run(
    config: Any,
    path: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    dashboards: Sequence[str] = (),
    require: Callable[[TaskData], None] | None = None,
) -> int:
    """Trains the offline phase of a config and writes the run folder.

    Args:
        config: a checked config of `configs/`.
        path: the run folder.
        resume: whether to continue the run in the folder; on the same machine the results are bitwise the same. With
            a larger `num_updates` the run is lengthened, unless its algorithm depends on that number.
        overwrite: whether to replace the run in the folder.
        dashboards: where to write metrics in addition to the folder's tables: `tensorboard`, `wandb`.
        require: a further check of the data, such as that of a following online phase; raises `UserError`.

    Returns:
        Exit status: 0, 1 if every seed diverged or a final score is NaN, or 128 + the number of the signal that
        stopped the run.

    Raises:
        Interrupted: if a signal stopped the pretraining; its progress is saved.
        UserError: if config, data or folder do not allow the run; nothing has been overwritten then.
    """
    require_dashboards(dashboards)
    registry.get_entry(config.algorithm)
    shorter = shorter_config(config, path, "num_updates") if resume else None
    with ExitStack() as stack:
        stack.enter_context(jax.default_matmul_precision(config.precision))
        stack.enter_context(use_layout(config.layout))
        folder = stack.enter_context(
            closing(RunFolder(path, shorter or config.to_dict(), resume=resume, overwrite=overwrite))
        )
        if resume and shorter is None and folder.file("summary.json").exists():
            print(f"{path} is finished: nothing to resume")
            return 0
        data = load_data(config)  # after the check of the folder: generating data may take minutes
        if require is not None:
            require(data)
        folder.require_data(data.describe())
        print(data.dataset.card(), flush=True)
        algorithm = registry.build(config, data.dataset.action_size)
        _announce(config, data, algorithm)
        models = _pretrained(config, algorithm, data, folder, resume=resume)
        # Nothing has been overwritten up to here.
        interruption = stack.enter_context(watch_signals())
        folder.start()
        if shorter is not None:
            begin_lengthening(folder, config.to_dict())
        folder.write_json("data.json", data.describe())
        data.save_preparation(folder.file("preparation.npz"))
        offline_run = _OfflineRun(config, algorithm, data, folder, dashboards, models)
        stack.callback(offline_run.close)
        return offline_run.train(interruption)


def _pretrained(config: Any, algorithm: Algorithm, data: TaskData, folder: RunFolder, *, resume: bool) -> Params | None:
    """Returns the models that the algorithm needs first; None if it needs none or a checkpoint contains them."""
    if algorithm.pretraining is None:
        return None
    if resume:
        with closing(Checkpoints(folder.file("checkpoints"), config.checkpoint.keep)) as checkpoints:
            if checkpoints.latest_step is not None:
                return None
    seeds = range(config.seed, config.seed + config.num_seeds)
    return pretrain(algorithm, data.prepared, data.dataset.content_hash, seeds=seeds)


class _OfflineRun:
    """A run from its latest checkpoint to its summary."""

    def __init__(
        self,
        config: Any,
        algorithm: Algorithm,
        data: TaskData,
        folder: RunFolder,
        dashboards: Sequence[str],
        models: Params | None,
    ) -> None:
        self._config, self._data, self._folder = config, data, folder
        seeds = range(config.seed, config.seed + config.num_seeds)
        trusted = data.selection.trusted
        self._trainer = OfflineTrainer(
            algorithm, data.prepared, seeds=seeds, trusted=trusted, batch_size=config.batch_size
        )
        self._diagnostics = Diagnostics(
            folder.file("diagnostics"), data.prepared, trusted, maze=data.task.agent == "antmaze"
        )
        self._checkpoints = Checkpoints(folder.file("checkpoints"), config.checkpoint.keep)
        restored = self._restore(models)
        self._guard = DivergenceGuard(
            folder, seeds, self._trainer.states(), None if restored < 0 else restored, unit="update"
        )
        self._log = RunLog(
            folder.path,
            seeds,
            keep=restored,
            evaluated=self._guard.active_seeds,
            repeat_evaluation=self._is_overlapped(restored),
            dashboards=dashboards,
        )
        self._scorer = Scorer(config, data, algorithm, seeds, self._log)
        self._overlap = Overlap(self._scorer, config.precision)

    def _restore(self, models: Params | None) -> int:
        """Loads the latest checkpoint and returns its update, or -1 if there is none.

        A run that was interrupted before its first checkpoint starts again, including its evaluation at update 0.
        """
        step = self._checkpoints.latest_step
        if step is None:
            if models is not None:
                self._trainer.install_pretrained(models)
            return -1
        self._trainer.load(self._checkpoints.restore(step, self._trainer.states()), step)
        _LOG.info("resuming at update %d", step)
        return step

    def train(self, interruption: Interruption) -> int:
        """Trains until the last update or an interruption.

        Args:
            interruption: whether to stop, checked between chunks.

        Returns:
            The exit status.
        """
        config, trainer, guard = self._config, self._trainer, self._guard
        total, first = config.num_updates, trainer.step
        progress = Progress(total, config.num_seeds)
        if (first == 0 or self._is_pending(first)) and not self._evaluate(progress, interruption):
            return self._stop(progress, interruption)
        if first == 0:
            self._diagnostics.write(trainer)
        if interruption.requested() and first < total:  # the signal came before the first update
            return self._stop(progress, interruption)
        training_seconds, wall_start = 0.0, time.monotonic()
        for stop in stops(first, total, LOG_INTERVAL, config.evaluation.interval, config.checkpoint.every):
            interruption.activity = self._activity(stop)
            start, updates = time.monotonic(), stop - trainer.step
            metrics = trainer.advance(updates)
            seconds = time.monotonic() - start
            training_seconds += seconds
            add_metrics(self._log, stop, trainer.seeds, metrics, stopped=guard.stopped)
            if guard.check(stop, metrics, [trainer.states_on_devices()]):
                trainer.load(guard.reset_stopped(trainer.states()), stop)
            is_saved = stop % config.checkpoint.every == 0 or stop == total
            # At these updates alone, so that a run in the folder is the same whenever it was interrupted.
            is_joined = is_saved or self._is_evaluated(stop) or not guard.active_seeds
            if is_joined and not self._overlap.finish(self._checkpoints.save, progress, interruption):
                return self._stop(progress, interruption)
            if not guard.active_seeds:
                progress.close()
                return 1
            if is_saved:
                self._diagnostics.write(trainer)  # before the checkpoint: a run resumed from it does not write these
                self._save()
            # After the checkpoint, because an environment may fail or never end.
            if self._is_evaluated(stop) and not interruption.requested() and not self._evaluate(progress, interruption):
                return self._stop(progress, interruption)
            progress.show(stop, seconds, updates)
            if interruption.requested() and (self._is_pending(stop) or stop < total):
                if self._overlap.finish(self._checkpoints.save, progress, interruption):
                    self._save()
                return self._stop(progress, interruption)
        progress.close()
        return self._summarize((total - first) / training_seconds if training_seconds else None, wall_start)

    def _is_evaluated(self, step: int) -> bool:
        return self._scorer.is_active and (
            step % self._config.evaluation.interval == 0 or step == self._config.num_updates
        )

    def _is_pending(self, step: int) -> bool:
        """Whether a step is evaluated and its evaluation has not been written."""
        has_rows = self._log.has_evaluation("offline", step)
        return self._is_evaluated(step) and bool(self._guard.active_seeds) and not has_rows

    def _save(self) -> None:
        """Saves a checkpoint of the current update, unless there is one or nothing has been trained."""
        if self._trainer.step == 0:
            return
        states = self._guard.reset_stopped(self._trainer.states())
        self._checkpoints.save(self._trainer.step, states)
        self._guard.record_checkpoint(self._trainer.step, states)

    def _activity(self, stop: int) -> str:
        """Says what is still done after a signal during the updates up to `stop`."""
        if self._overlap.update is None:
            return f"finishing the updates up to {stop:,}, which are then saved"
        return (
            f"finishing the updates up to {stop:,}; --resume continues at update {self._overlap.update:,}, whose "
            "evaluation is stopped"
        )

    def _stop(self, progress: Progress, interruption: Interruption) -> int:
        progress.close()
        return interruption.announce(f"update {self._checkpoints.latest_step or 0:,}")

    def _is_overlapped(self, step: int) -> bool:
        """Whether the evaluation of a step is played while training goes on; the first and the last one never are.

        At update 0 an environment that fails should stop the run before it has cost time.
        """
        wanted = self._config.evaluation.overlap
        is_on = jax.default_backend() != "cpu" if wanted == "auto" else wanted == "on"
        return is_on and 0 < step < self._config.num_updates

    def _evaluate(self, progress: Progress, interruption: Interruption) -> bool:
        """Evaluates or begins to, and returns True; if a signal stops it, saves the run and returns False."""
        step, place = self._trainer.step, f"update {self._trainer.step:,}"
        if self._is_overlapped(step):
            states = self._guard.reset_stopped(self._trainer.states())
            self._overlap.begin(step, self._trainer.policies(), states, self._guard.stopped, interruption)
            return True
        evaluate = partial(
            self._scorer, "offline", step, self._trainer.policies(), progress,
            place=place, stopped=self._guard.stopped, stop=interruption.requested,
        )  # fmt: skip
        return finish_or_save(evaluate, self._save, interruption, place)

    def _summarize(self, updates_per_second: float | None, wall_start: float) -> int:
        """Writes the summary and returns the exit status; without a summary 1, if a final score is NaN."""
        seeds, stopped = self._trainer.seeds, self._guard.stopped
        scores = score_summary(self._log.rows("eval"), seeds, stopped=stopped)
        if self._scorer.is_active and lacks_scores(scores, self._guard.active_seeds, seeds):
            return 1
        summary = describe_run(self._config, self._data, self._folder, "offline", seeds) | {
            "num_updates": self._config.num_updates,
            "updates_per_second": updates_per_second,  # per seed, without evaluation
            "stopped_seeds": stopped,
            "wall_seconds": time.monotonic() - wall_start,  # since the run was started or last resumed
            **scores,
        }
        self._folder.write_json("summary.json", summary)
        announce(self._folder.path, self._config, summary)
        return 0

    def close(self) -> None:
        """Closes the log, environments and checkpoints."""
        self._overlap.close()
        self._log.close()
        self._scorer.close()
        self._checkpoints.close()


def _announce(config: Any, data: TaskData, algorithm: Algorithm) -> None:
    print(data.dataset.describe_line())
    memory = offline_memory(algorithm, data.prepared.transitions, config.num_seeds, choose_layout(config.num_seeds))
    print(f"training: {memory.describe()}")
    memory.require_free("the dataset and the states", "set fewer num_seeds, or a smaller dataset.keep_fraction")
    if config.selection.rule != "none":
        limit = _limit(config.selection, data.selection.threshold)
        print(f"selected {100 * data.selection.fraction:.1f} % of the transitions by {config.selection.rule}{limit}")
    coefficient = config.get("coefficient")
    if coefficient is not None and config.selection.rule != "none" and not _reads_selection(coefficient):
        _LOG.warning(
            "the selection has no effect: set --config.selection.rule=none, or --config.coefficient.mask_regularizer "
            "or, with a state-adaptive coefficient, --config.coefficient.mask_coefficient"
        )
    if coefficient is not None and coefficient.kind == "state_adaptive" and coefficient.n_end > coefficient.n_start:
        # The schedule advances only at updates of the coefficient.
        period = lcm(coefficient.n_period, algorithm.coefficient_period)
        if config.num_updates < period:
            _LOG.warning(
                "the threshold schedule never fires: its period is %d updates, the run has %d; set "
                "--config.coefficient.n_period", period, config.num_updates,
            )  # fmt: skip


def _reads_selection(coefficient: Any) -> bool:
    learns = coefficient.kind == "state_adaptive" and coefficient.mask_coefficient
    return coefficient.mask_regularizer or learns


def _limit(rule: Any, threshold: float | None) -> str:
    """Describes the return threshold of a selection, and why it differs from that of the config."""
    if threshold is None:
        return ""
    limit = f"return above {threshold:.1f}"
    if rule.rule == "return" and threshold != rule.threshold:
        limit += f"; selection.threshold={rule.threshold:g} is for D4RL's file, selection.fraction for other data"
    return f" ({limit})"
