"""Online runs: fine-tuning of an offline run, with evaluation, checkpoints and results in one folder."""

import logging
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ssar_jax.algorithms import registry
from ssar_jax.algorithms.base import Phase
from ssar_jax.coefficients.annealing import anneal
from ssar_jax.data.tasks import CUSTOM
from ssar_jax.envs.lockstep import LockstepEnvs
from ssar_jax.envs.make import make_env, time_limit
from ssar_jax.errors import UserError
from ssar_jax.logs.run_log import RunLog, require_dashboards
from ssar_jax.networks.backend import use_layout
from ssar_jax.runs.custom_data import custom_environment
from ssar_jax.runs.data import TaskData, load_data
from ssar_jax.runs.divergence import DivergenceGuard
from ssar_jax.runs.interruption import Interruption, watch_signals
from ssar_jax.runs.parent import ParentRun, with_fresh_optimizers
from ssar_jax.runs.progress import Progress, stops
from ssar_jax.runs.scores import Scorer, add_metrics, finish_or_save
from ssar_jax.runs.storage.checkpoints import Checkpoints
from ssar_jax.runs.storage.folder import RunFolder
from ssar_jax.runs.storage.lengthening import begin_lengthening, shorter_config
from ssar_jax.runs.storage.summary import announce, area_summary, describe_run, lacks_scores, score_summary
from ssar_jax.training import initial_buffer
from ssar_jax.training.device_memory import DeviceMemory
from ssar_jax.training.fine_tuner import FineTuner, Protocol
from ssar_jax.training.layout import choose_layout

_LOG = logging.getLogger(__name__)

_PARENT = "offline_run.json"

LOG_INTERVAL = 1_000
"""Number of environment steps per row of train.csv."""


def run(
    config: Any,
    path: Path,
    offline_path: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    dashboards: Sequence[str] = (),
) -> int:
    """Fine-tunes the seeds of a finished offline run and writes the run folder.

    Args:
        config: a checked config of `configs/`.
        path: the run folder.
        offline_path: the folder of the finished offline run.
        resume: whether to continue the run in the folder; on the same machine the results are bitwise the same. With
            a larger `online.num_steps` the run is lengthened.
        overwrite: whether to replace the run in the folder.
        dashboards: where to write metrics in addition to the folder's tables: `tensorboard`, `wandb`.

    Returns:
        Exit status: 0, 1 if every seed diverged or a final score is NaN, or 128 + the number of the signal that
        stopped the run.

    Raises:
        Interrupted: if a signal stopped the pretraining for a selection; its progress is saved.
        UserError: if config, data, offline run or folder do not allow the run; nothing has been overwritten then.
    """
    require_dashboards(dashboards)
    _require_environment(config)
    registry.require_online_phase(config)
    with ExitStack() as stack:
        stack.enter_context(jax.default_matmul_precision(config.precision))
        stack.enter_context(use_layout(config.layout))
        shorter = shorter_config(config, path, "online.num_steps") if resume else None
        known = shorter or config.to_dict()
        folder = stack.enter_context(closing(RunFolder(path, known, resume=resume, overwrite=overwrite)))
        if resume and shorter is None and folder.file("summary.json").exists():
            print(f"{path} is finished: nothing to resume")
            return 0
        parent = ParentRun(offline_path)
        if resume:
            parent.require_length(folder.file(_PARENT))
        parent.require_config(config.to_dict())
        data = load_data(config)
        parent.require_data(data)
        _require_trainable(data)
        buffer, memory = _make_buffer(config, data)
        kept = len(buffer.offline.rewards)
        print(f"replay buffers ({config.online.buffer}): {kept:,} offline transitions; {memory.describe()}")
        folder.require_data(data.describe())
        folder.start()
        if shorter is not None:
            begin_lengthening(folder, config.to_dict())
        folder.write_json("data.json", data.describe())
        folder.write_json(_PARENT, parent.describe())
        data.save_preparation(folder.file("preparation.npz"))
        interruption = stack.enter_context(watch_signals())
        online_run = _OnlineRun(config, data, buffer, parent, folder, dashboards)
        stack.callback(online_run.close)
        return online_run.train(interruption)


def require_startable(config: Any, path: Path, *, resume: bool, overwrite: bool) -> None:
    """Requires that an online phase can start, before its offline phase is trained.

    Args:
        config: a checked config of `configs/`.
        path: the run folder of the online phase.
        resume: whether to continue the run in the folder.
        overwrite: whether to replace the run in the folder.

    Raises:
        UserError: if the task has no environment, the algorithm has no online phase, or the folder does not allow the
            run.
    """
    _require_environment(config)
    registry.require_online_phase(config)
    shorter = shorter_config(config, path, "online.num_steps") if resume else None
    RunFolder(path, shorter or config.to_dict(), resume=resume, overwrite=overwrite).close()


def require_trainable(config: Any, data: TaskData) -> None:
    """Requires buffers that fit and an environment that can train online, before the offline phase is trained.

    Args:
        config: a checked config of `configs/`.
        data: the data of the run.

    Raises:
        UserError: if the capacity or the memory is too small, or the environment has no time limit or other
            observations than the data.
    """
    _require_trainable(data)
    _make_buffer(config, data)


def _require_trainable(data: TaskData) -> None:
    """Requires an environment that ends its episodes and has the observations of the data."""
    environment = data.task.environment
    assert environment is not None
    env = make_env(environment, data.physics)
    limit = time_limit(environment, env)
    env.close()
    if limit is None:
        raise UserError(
            f"environment {environment} has no time limit, so a training episode may never end: register it with "
            "max_episode_steps=<number>"
        )
    envs = LockstepEnvs(partial(make_env, environment, data.physics), [0])
    observations = envs.reset()
    if observations.shape[1] != data.dataset.observation_size:
        raise UserError(
            f"environment {environment} has observations of size {observations.shape[1]}, the dataset of "
            f"{data.dataset.observation_size}: choose the environment that the data are from"
        )
    envs.close()


def _require_environment(config: Any) -> None:
    if config.task == CUSTOM and custom_environment(config) is None:
        raise UserError("task custom has no environment to fine-tune in: set --config.environment.id")


class _OnlineRun:
    """A run from its latest checkpoint to its summary."""

    def __init__(
        self,
        config: Any,
        data: TaskData,
        buffer: initial_buffer.InitialBuffer,
        parent: ParentRun,
        folder: RunFolder,
        dashboards: Sequence[str],
    ) -> None:
        self._config, self._data, self._parent, self._folder = config, data, parent, folder
        assert data.task.environment is not None
        algorithm = registry.build(parent.as_trained(config), data.dataset.action_size)
        seeds = range(config.seed, config.seed + config.num_seeds)
        states = parent.states(algorithm, data, config.num_seeds)
        if config.online.reset_optimizer:
            states = with_fresh_optimizers(states)
        self._tuner = FineTuner(
            algorithm, states, data.prepared, buffer,
            partial(make_env, data.task.environment, data.physics),
            seeds=seeds, num_steps=config.online.num_steps, protocol=protocol_from_config(config),
            first_update=parent.num_updates, action_scaling=data.action_scaling,
        )  # fmt: skip
        self._checkpoints = Checkpoints(folder.file("checkpoints"), config.checkpoint.keep)
        restored = self._restore()
        self._guard = DivergenceGuard(
            folder, seeds, self._tuner.states(), None if restored < 0 else restored, unit="environment step"
        )
        self._guard.inherit(parent.stopped)
        self._log = RunLog(folder.path, seeds, keep=restored, evaluated=self._guard.active_seeds, dashboards=dashboards)
        self._scorer = Scorer(config, data, algorithm, seeds, self._log)

    def _restore(self) -> int:
        """Loads the latest checkpoint and returns its environment step, or -1 if there is none."""
        step = self._checkpoints.latest_step
        if step is None:
            return -1
        states = self._checkpoints.restore(step, self._tuner.states())
        memory = self._checkpoints.restore_memory(step, self._tuner.like_memory(step))
        self._tuner.load(states, memory, self._checkpoints.restore_host(step), step)
        _LOG.info("resuming at environment step %d", step)
        return step

    def train(self, interruption: Interruption) -> int:
        """Fine-tunes until the last environment step or an interruption.

        Args:
            interruption: whether to stop, checked between chunks.

        Returns:
            The exit status.
        """
        config, tuner, guard = self._config, self._tuner, self._guard
        total, first = config.online.num_steps, tuner.steps
        progress = Progress(total, config.num_seeds, unit="steps")
        if (first == 0 or self._is_pending(first)) and not self._evaluate(progress, interruption):
            return self._stop(progress, interruption)
        if interruption.requested() and first < total:  # the signal came before the first step
            return self._stop(progress, interruption)
        seconds_in_steps, wall_start = 0.0, time.monotonic()
        for stop in stops(first, total, LOG_INTERVAL, config.evaluation.interval, config.checkpoint.every):
            interruption.activity = f"finishing the environment steps up to {stop:,}, which are then saved"
            start, steps = time.monotonic(), stop - tuner.steps
            metrics = tuner.advance(steps)
            seconds = time.monotonic() - start
            seconds_in_steps += seconds
            add_metrics(self._log, stop, tuner.seeds, metrics | self._episodes(), stopped=guard.stopped)
            if guard.check(stop, metrics, tuner.states_on_devices()):
                tuner.replace_states(guard.reset_stopped(tuner.states()))
            if not guard.active_seeds:
                progress.close()
                return 1
            if stop % config.checkpoint.every == 0 or stop == total:
                self._save()
            # After the checkpoint, because an environment may fail or never end.
            if self._is_evaluated(stop) and not interruption.requested() and not self._evaluate(progress, interruption):
                return self._stop(progress, interruption)
            progress.show(stop, seconds, steps)
            if interruption.requested() and (self._is_pending(stop) or stop < total):
                self._save()
                return self._stop(progress, interruption)
        progress.close()
        return self._summarize((total - first) / seconds_in_steps if first < total else None, wall_start)

    def _is_evaluated(self, step: int) -> bool:
        return step % self._config.evaluation.interval == 0 or step == self._config.online.num_steps

    def _is_pending(self, step: int) -> bool:
        """Whether a step is evaluated and its evaluation has not been written."""
        has_rows = self._log.has_evaluation("online", step)
        return self._is_evaluated(step) and bool(self._guard.active_seeds) and not has_rows

    def _save(self) -> None:
        """Saves a checkpoint of the current step, unless there is one or nothing has been done."""
        step = self._tuner.steps
        if step == 0:
            return
        states, memory, envs = self._tuner.save()
        states = self._guard.reset_stopped(states)
        self._checkpoints.save(step, states, memory=memory, host=envs)
        self._guard.record_checkpoint(step, states)

    def _stop(self, progress: Progress, interruption: Interruption) -> int:
        progress.close()
        return interruption.announce(f"environment step {self._tuner.steps:,}")

    def _evaluate(self, progress: Progress, interruption: Interruption) -> bool:
        """Evaluates and returns True, or saves the run and returns False if a signal stops the evaluation."""
        step = self._tuner.steps
        places: dict[Phase, str] = {"online": f"environment step {step:,}"}
        if step == 0:
            # Both rows are of the final offline policy: the last of the one phase and the first of the other.
            places = {"offline": "end of the offline phase", **places}
        for phase, place in places.items():
            evaluate = partial(
                self._scorer, phase, step, self._tuner.policies(), progress,
                place=place, stopped=self._guard.stopped, stop=interruption.requested,
            )  # fmt: skip
            if not finish_or_save(evaluate, self._save, interruption, place):
                return False
        return True

    def _episodes(self) -> dict[str, np.ndarray]:
        """Returns mean return and number of the training episodes that ended in this interval, each [S]."""
        returns = self._tuner.finished_returns
        means = [float(np.mean(ended)) if ended else float("nan") for ended in returns]
        return {
            "online/episode_return": np.array(means),
            "online/episodes": np.array([float(len(ended)) for ended in returns]),
        }

    def _summarize(self, steps_per_second: float | None, wall_start: float) -> int:
        """Writes the summary and returns the exit status; without a summary 1, if a final score is NaN."""
        seeds, stopped = self._tuner.seeds, self._guard.stopped
        rows = [row for row in self._log.rows("eval") if row["phase"] == "online"]
        scores = score_summary(rows, seeds, stopped=stopped)
        if lacks_scores(scores, self._guard.active_seeds, seeds):
            return 1
        summary = describe_run(self._config, self._data, self._folder, "online", seeds) | {
            "num_updates": self._parent.num_updates + self._tuner.updates,
            "online_updates": self._tuner.updates,
            "environment_steps": self._tuner.steps,
            "steps_per_second": steps_per_second,  # per seed, without evaluation
            "stopped_seeds": stopped,
            "wall_seconds": time.monotonic() - wall_start,  # since the run was started or last resumed
            **scores,
            **area_summary(rows, seeds, stopped=stopped),
            "offline_run": str(self._parent.path),
            "offline_score": self._parent.scores,
        }
        self._folder.write_json("summary.json", summary)
        announce(self._folder.path, self._config, summary)
        return 0

    def close(self) -> None:
        """Closes the log, environments and checkpoints."""
        self._log.close()
        self._scorer.close()
        self._tuner.close()
        self._checkpoints.close()


def protocol_from_config(config: Any) -> Protocol:
    """Reads from a config how acting and learning alternate.

    Args:
        config: a checked config of `configs/`.

    Returns:
        The protocol of the online phase.
    """
    online, coefficient = config.online, config.get("coefficient")
    annealing = None
    if coefficient is not None:
        annealing = partial(
            anneal, coefficient.anneal, decay_steps=coefficient.decay_steps, floor=coefficient.anneal_floor
        )
    return Protocol(
        warmup_steps=online.warmup_steps,
        updates_per_step=online.updates_per_step,
        steps_between_updates=online.steps_between_updates,
        batch_size=config.batch_size,
        noise=online.noise,
        annealing=annealing,
    )


def _make_buffer(config: Any, data: TaskData) -> tuple[initial_buffer.InitialBuffer, DeviceMemory]:
    """Returns the initial buffers and their memory; raises `UserError` if that is more than is free."""
    online = config.online
    rows = initial_buffer.kept_rows(online.buffer, data.dataset, online.part_k)
    limits = {"capacity": online.buffer_capacity, "num_steps": online.num_steps}
    buffer = initial_buffer.make_buffer(
        online.buffer, rows, data.prepared, data.selection.trusted, **limits, trust=online.trust
    )
    layout = choose_layout(config.num_seeds)
    memory = initial_buffer.buffer_memory(buffer, **limits, num_seeds=config.num_seeds, layout=layout)
    smaller = "online.buffer=part, " if online.buffer in ("all", "half") else ""
    memory.require_free(
        f"the replay buffers of {config.num_seeds} seeds with online.buffer={online.buffer!r}",
        f"set {smaller}a smaller online.buffer_capacity or fewer num_seeds",
    )
    return buffer, memory
