"""The runs of a sweep: their configs, folders and states, and the commands that start or continue them."""

import itertools
import shlex
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from configs.checks import check_config
from configs.common import Config, did_you_mean
from experiments.cli import children
from experiments.cli.config_files import config_files, load_config, resolve_dataset_path
from experiments.cli.overrides import apply_overrides
from ssar_jax.errors import UserError
from ssar_jax.reporting.read.folders import diverged_by

State = Literal["new", "begun", "diverged", "finished"]


class Settings(NamedTuple):
    """Settings shared by all runs of a sweep.

    Attributes:
        preset: preset of all configs.
        phase: `offline`, or `online` for both phases one after the other.
        seed: the first seed of every system on every task.
        num_seeds: number of seeds of every system on every task.
        overrides: (field, text) pairs as `split_overrides` returns them.
        root: folder of all run folders.
        dashboards: dashboards of all runs: `tensorboard`, `wandb` or both.
        seeds_per_run: largest number of seeds of a run; None for all seeds in one run.
    """

    preset: str
    phase: str
    seed: int
    num_seeds: int
    overrides: Sequence[tuple[str, str | None]]
    root: Path
    dashboards: Sequence[str] = ()
    seeds_per_run: int | None = None


@dataclass(frozen=True)
class PlannedRun:
    """A run of a sweep.

    Attributes:
        system: `<algorithm>` or `<algorithm>:<variant>`.
        phase: `offline` or `online`.
        config: the checked config.
        folder: the run folder.
        flags: flags of `ssar-jax <phase>`.
        offline: folder of the offline run that must be finished before this one starts; None for an offline run.
        seeds: the seeds in messages; empty if all seeds of the system and task are in this run.
    """

    system: str
    phase: str
    config: Config
    folder: Path
    flags: tuple[str, ...]
    offline: Path | None = None
    seeds: str = ""

    @property
    def name(self) -> str:
        """Name of the run in messages."""
        return " ".join(filter(None, (self.system, self.config.task, self.phase, self.seeds)))

    @property
    def log(self) -> Path:
        """File next to the run folder with everything that the run prints."""
        return self.folder.with_name(f"{self.folder.name}.log")

    def state(self) -> State:
        """Returns the state of the run, read from its folder.

        Raises:
            UserError: if a file of the folder is damaged.
        """
        if (self.folder / "summary.json").exists():
            return "finished"
        if not (self.folder / "config.json").exists():
            return "new"
        return "begun" if diverged_by(self.folder, self.config) is None else "diverged"

    def score(self) -> str:
        """Returns mean ± standard deviation of a finished run's last scores, or of its returns if it has no scores."""
        from ssar_jax.run_format import read_json

        if self.state() != "finished":
            return ""
        summary = read_json(self.folder / "summary.json")
        column = "score" if "final_score_mean" in summary else "return"
        mean, std = summary[f"final_{column}_mean"], summary[f"final_{column}_std"]
        if mean is None:
            return "-"
        return f"{mean:.1f}{'' if std is None else f' ± {std:.1f}'}{' (return)' * (column == 'return')}"

    def command(self) -> list[str]:
        """Returns the command that starts or continues the run."""
        resume = ["--resume"] if self.state() == "begun" else []
        return [*children.program(self.phase), *self.flags, *resume]

    def command_text(self) -> str:
        """Returns the command as text for a shell."""
        return shlex.join(["python", *self.command()[1:]])

    def total_steps(self) -> int:
        """Returns the number of updates of an offline run or environment steps of an online run."""
        return self.config.online.num_steps if self.phase == "online" else self.config.num_updates

    def steps_done(self) -> int:
        """Returns the step of the latest checkpoint."""
        names = [path.name for path in self.folder.glob("checkpoints/*")]
        return max((int(name) for name in names if name.isdecimal()), default=0)


def make_plan(
    systems: Sequence[str], tasks: Sequence[str], settings: Settings, without: Collection[tuple[str, str]] = ()
) -> list[PlannedRun]:
    """Plans the runs of every system on every task, in that order, without writing anything.

    Args:
        systems: systems, as `<algorithm>` or `<algorithm>:<variant>`.
        tasks: short names of tasks.
        settings: settings of all runs.
        without: (system, task) pairs that are not run.

    Returns:
        The runs; an online run comes right after its offline run.

    Raises:
        UserError: if a system, task or setting is invalid, a run is planned twice, or a folder contains another run.
    """
    for flag, names, example in (("systems", systems, "td3_bc,td3_bc:base"), ("tasks", tasks, "hopper-m,antmaze-u")):
        if not names:
            raise UserError(f"no --{flag}: name them, such as --{flag}={example}")
    for name, text in settings.overrides:
        if name in ("seed", "num_seeds"):
            raise UserError(f"--config.{name}={text}: a sweep takes --{name}")
    # Every config is checked before JAX is imported, which takes seconds.
    configs = [
        (system, *_configure(system, task, part), part)
        for system, task in itertools.product(systems, tasks)
        if (system, task) not in without
        for part in _split(settings)
    ]
    runs = [run for item in configs for run in _plan_runs(*item)]
    planned: dict[Path, PlannedRun] = {}
    for run in runs:
        if run.folder in planned:
            raise UserError(
                f"{planned[run.folder].name} and {run.name} are the same run: name every system and task once"
            )
        planned[run.folder] = run
        _require_own_folder(run, settings.phase)
    return runs


def _split(settings: Settings) -> Iterator[Settings]:
    """Divides the seeds into consecutive parts of `seeds_per_run`, the last one with the rest."""
    step = settings.seeds_per_run or max(settings.num_seeds, 1)
    for start in range(0, max(settings.num_seeds, 1), step):
        count = min(step, settings.num_seeds - start)
        yield settings._replace(seed=settings.seed + start, num_seeds=count)


def _configure(system: str, task: str, settings: Settings) -> tuple[Config, tuple[str, ...]]:
    """Returns the checked config of a system on a task, and the flags that produce it."""
    algorithm, _, variant = system.partition(":")
    if algorithm not in config_files():
        hint = did_you_mean(algorithm, config_files()) or f"; known are {', '.join(config_files())}"
        raise UserError(f"unknown system {system!r}{hint}")
    source = f"configs/{algorithm}.py:{task}{f',variant={variant}' if variant else ''},preset={settings.preset}"
    config = load_config(source)
    overrides = [("seed", str(settings.seed)), ("num_seeds", str(settings.num_seeds)), *settings.overrides]
    try:
        apply_overrides(config, overrides)
        check_config(config)
        resolve_dataset_path(config)
    except UserError as error:
        raise UserError(f"{system} on {task}: {error}") from error
    fields = (f"--config.{name}" if text is None else f"--config.{name}={text}" for name, text in overrides)
    log = [f"--log={','.join(settings.dashboards)}"] if settings.dashboards else []
    return config, (f"--config={source}", *fields, *log)


def _plan_runs(system: str, config: Config, flags: tuple[str, ...], settings: Settings) -> Iterator[PlannedRun]:
    from ssar_jax.run_format import default_folder

    first, last = config.seed, config.seed + config.num_seeds - 1
    seeds = "" if settings.seeds_per_run is None else f"seed {first}" if first == last else f"seeds {first}-{last}"
    offline = default_folder(settings.root, config, "offline")
    yield PlannedRun(
        system=system,
        phase="offline",
        config=config,
        folder=offline,
        flags=(*flags, f"--workdir={offline}"),
        seeds=seeds,
    )
    if settings.phase == "online":
        from ssar_jax.algorithms.registry import require_online_phase

        require_online_phase(config)
        online = default_folder(settings.root, config, "online")
        yield PlannedRun(
            system=system,
            phase="online",
            config=config,
            folder=online,
            flags=(*flags, f"--workdir={online}", f"--offline_run={offline}"),
            offline=offline,
            seeds=seeds,
        )


def _require_own_folder(run: PlannedRun, phase: str) -> None:
    """Requires that a folder contains the planned run, or an offline run with everything that an online one needs."""
    from ssar_jax.run_format import config_differences, read_json
    from ssar_jax.runs.parent import ParentRun

    if run.state() == "new":
        return
    config = run.config.to_dict()
    if run.state() == "finished" and run.phase != phase:
        ParentRun(run.folder).require_config(config)
        return
    # A run that is continued compares the content of data that have moved.
    may_move = run.state() == "begun" and (run.folder / "data.json").exists()
    changed = config_differences(read_json(run.folder / "config.json"), config, may_move=may_move)
    if changed:
        raise UserError(
            f"{run.folder} holds a run with another config: {'; '.join(changed)}; use its values, or another "
            "folder with --runs"
        )
