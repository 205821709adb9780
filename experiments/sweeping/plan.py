"""The runs of a sweep: what each is, where it lies, how far it is, and the command that starts or continues it."""

import itertools
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from configs.checks import check_config
from configs.common import Config, did_you_mean
from experiments.cli.config_files import config_files, load_config
from experiments.cli.overrides import apply_overrides
from ssar_jax.errors import UserError
from ssar_jax.reporting.read.runs import diverged_by

State = Literal["new", "begun", "diverged", "finished"]


class Settings(NamedTuple):
    """What all runs of a sweep share.

    Attributes:
        preset: of their configs.
        phase: `offline`, or `online` for both phases one after the other.
        seed: the first seed.
        num_seeds: of every run.
        overrides: (field, text) pairs as `split_overrides` returns them.
        root: the folder of all runs.
        dashboards: where they report besides their folders' tables: `tensorboard`, `wandb`.
    """

    preset: str
    phase: str
    seed: int
    num_seeds: int
    overrides: Sequence[tuple[str, str | None]]
    root: Path
    dashboards: Sequence[str] = ()


@dataclass(frozen=True)
class PlannedRun:
    """One run.

    Attributes:
        system: `<algorithm>` or `<algorithm>:<variant>`.
        phase: `offline` or `online`.
        config: checked.
        folder: where it lies.
        flags: of `python -m experiments.<phase>`.
        offline: folder of the run that has to be finished before this one starts.
    """

    system: str
    phase: str
    config: Config
    folder: Path
    flags: tuple[str, ...]
    offline: Path | None = None

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return f"{self.system} {self.config.task} {self.phase}"

    @property
    def log(self) -> Path:
        """What it prints, beside its folder."""
        return self.folder.with_name(f"{self.folder.name}.log")

    def state(self) -> State:
        """How far it is, by its folder; one whose seeds have all diverged would do so again."""
        if (self.folder / "summary.json").exists():
            return "finished"
        if not (self.folder / "config.json").exists():
            return "new"
        return "begun" if diverged_by(self.folder, self.config) is None else "diverged"

    def score(self) -> str:
        """Mean and standard deviation of a finished run's last scores, or of its returns where there is no scale."""
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
        """Starts or continues it."""
        resume = ["--resume"] if self.state() == "begun" else []
        return [sys.executable, "-m", f"experiments.{self.phase}", *self.flags, *resume]

    def command_text(self) -> str:
        """The same for people."""
        return shlex.join(["python", *self.command()[1:]])

    def total_steps(self) -> int:
        """Updates of the offline phase, environment steps of the online phase."""
        return self.config.online.num_steps if self.phase == "online" else self.config.num_updates

    def steps_done(self) -> int:
        """How many of them the latest checkpoint holds."""
        names = [path.name for path in self.folder.glob("checkpoints/*")]
        return max((int(name) for name in names if name.isdecimal()), default=0)


def make_plan(systems: Sequence[str], tasks: Sequence[str], settings: Settings) -> list[PlannedRun]:
    """Plans a run for every system on every task, in that order; nothing is written.

    Raises:
        UserError: for the first system, task or setting that does not fit, and where a folder holds another run.
    """
    for flag, names, example in (("systems", systems, "td3_bc,td3_bc:base"), ("tasks", tasks, "hopper-m,antmaze-u")):
        if not names:
            raise UserError(f"no --{flag}: name them, such as --{flag}={example}")
    for name, text in settings.overrides:
        if name in ("seed", "num_seeds"):
            raise UserError(f"--config.{name}={text}: a sweep takes --{name}")
    # Every config is checked before JAX is imported, which takes seconds.
    configs = [(system, *_configure(system, task, settings)) for system, task in itertools.product(systems, tasks)]
    runs = [run for item in configs for run in _plan_runs(*item, settings)]
    planned: dict[Path, PlannedRun] = {}
    for run in runs:
        if run.folder in planned:
            raise UserError(
                f"{planned[run.folder].name} and {run.name} are the same run: name every system and task once"
            )
        planned[run.folder] = run
        _require_own_folder(run, settings.phase)
    return runs


def _configure(system: str, task: str, settings: Settings) -> tuple[Config, tuple[str, ...]]:
    """The checked config of a system on a task, and the flags that give it."""
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
    except UserError as error:
        raise UserError(f"{system} on {task}: {error}") from error
    fields = (f"--config.{name}" if text is None else f"--config.{name}={text}" for name, text in overrides)
    log = [f"--log={','.join(settings.dashboards)}"] if settings.dashboards else []
    return config, (f"--config={source}", *fields, *log)


def _plan_runs(system: str, config: Config, flags: tuple[str, ...], settings: Settings) -> Iterator[PlannedRun]:
    from ssar_jax.run_format import default_folder

    offline = default_folder(settings.root, config, "offline")
    yield PlannedRun(system, "offline", config, offline, (*flags, f"--workdir={offline}"))
    if settings.phase == "online":
        online = default_folder(settings.root, config, "online")
        yield PlannedRun(
            system, "online", config, online, (*flags, f"--workdir={online}", f"--offline_run={offline}"), offline
        )


def _require_own_folder(run: PlannedRun, phase: str) -> None:
    """Requires the run that lies in a folder to be the planned one, or an offline run that will do for it."""
    from ssar_jax.run_format import differences, read_json
    from ssar_jax.runs.parent import OfflineResult

    if run.state() == "new":
        return
    config = run.config.to_dict()
    if run.state() == "finished" and run.phase != phase:
        OfflineResult(run.folder).require_config(config)
        return
    changed = differences(read_json(run.folder / "config.json"), config)
    if changed:
        raise UserError(
            f"{run.folder} holds a run with another config: {'; '.join(changed)}; take its values, or another "
            "folder with --runs"
        )
