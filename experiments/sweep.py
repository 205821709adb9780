"""Runs several systems on several tasks, each run in a separate process.

    python -m experiments.sweep --systems=td3_bc,td3_bc:base,cql --tasks=hopper-m,antmaze-u --num_seeds=5 --jobs=2

A system is `<algorithm>` or `<algorithm>:<variant>`. The sweep first shows its plan with estimates of time and memory;
--dry_run stops there. The run folders are the state of a sweep: repeating the command skips runs that are finished or
whose seeds have all diverged, resumes interrupted ones and starts the others. The output of a run is in a `.log` file
next to its folder. A run that fails does not stop the others; Ctrl-C saves and stops all of them.
--config.<field>=<value> sets a field of all configs.

--engine=ray executes the runs on a Ray cluster and --engine=slurm in the queue of SLURM, on a file system that all
machines share. --table=offline or --table=online plans all systems and tasks of the paper's table.
"""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from absl import flags

from configs.common import PRESETS
from experiments.cli import command
from experiments.cli.integers import define_integer
from experiments.cli.overrides import split_overrides
from experiments.sweeping import paper
from experiments.sweeping.plan import PlannedRun, Settings, make_plan
from ssar_jax.errors import UserError
from ssar_jax.files import require_writable, resolve_path
from ssar_jax.logs.run_log import require_dashboards

_SYSTEMS = flags.DEFINE_list("systems", [], "Systems, such as td3_bc,td3_bc:base,cql.")
_TASKS = flags.DEFINE_list("tasks", [], "Tasks, such as hopper-m,antmaze-u.")
_PRESET = flags.DEFINE_enum("preset", PRESETS[0], PRESETS, "Preset of all configs.")
_PHASE = flags.DEFINE_enum("phase", "offline", ["offline", "online"], "online: both phases, one after the other.")
_SEED = define_integer("seed", 0, "The first seed.")
_NUM_SEEDS = define_integer("num_seeds", None, "Seeds of every system on every task; 1, with --table 5.")
_SEEDS_PER_RUN = define_integer("seeds_per_run", None, "Seeds of every run; without it, all.", lower_bound=1)
_TABLE = flags.DEFINE_enum(
    "table", None, ["offline", "online"], "Everything in this table of the paper; --systems or --tasks restrict it."
)
_ENGINE = flags.DEFINE_enum("engine", "local", ["local", "ray", "slurm"], "Where the runs are executed.")
_JOBS = define_integer(
    "jobs", None, "Runs at a time. local: 1; the cores are divided among them. ray: what the cluster has room for."
)
_CORES = define_integer("cores", None, "Cores of every run with ray or slurm; 1.")
_GPUS = flags.DEFINE_float("gpus", None, "GPUs of every run with ray or slurm; 0. A fraction shares a GPU, with ray.")
_ADDRESS = flags.DEFINE_string(
    "address", None, "Ray cluster, such as 10.0.0.1:6379. auto: that of this machine. local: a new one here."
)
_SLURM = flags.DEFINE_list("slurm", [], "Parameters of submitit, such as slurm_partition=gpu,timeout_min=2880.")
_RUNS = flags.DEFINE_string("runs", "runs", "Folder of all run folders.")
_LOG = flags.DEFINE_list("log", [], "Dashboards of all runs: tensorboard, wandb or both.")
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Show the plan and stop.")


def main(overrides: Sequence[tuple[str, str | None]], arguments: list[str]) -> int:
    """Makes a plan, shows it, runs it and shows the outcomes.

    Args:
        overrides: (field, text) pairs as `split_overrides` returns them.
        arguments: other arguments of the command, which are errors.

    Returns:
        The exit status.

    Raises:
        UserError: if the plan is invalid, or a folder cannot be written.
    """
    if arguments:
        raise UserError(f"unexpected argument {arguments[0]!r}; flags begin with --, lists have no spaces")
    root = resolve_path(_RUNS.value)
    if _ENGINE.value != "local":
        root = root.absolute()  # a worker of a cluster has another current folder
    require_writable(root, "choose another --runs")
    require_dashboards(_LOG.value)
    systems, tasks, settings = _wanted(overrides, root)
    without = () if _TABLE.value is None else paper.empty_cells(settings.phase)
    runs = make_plan(systems, tasks, settings, without)
    from experiments.sweeping.engines.choose import Resources, make_engine
    from experiments.sweeping.estimates import Estimator
    from experiments.sweeping.pool import Pool
    from experiments.sweeping.tables import outcome_text, plan_text
    from ssar_jax.runs.interruption import watch_signals

    _use_cpu()
    resources = Resources(_JOBS.value, _CORES.value, _GPUS.value, _ADDRESS.value, _SLURM.value)
    engine = make_engine(_ENGINE.value, root, resources)
    estimator = Estimator(root, engine)
    estimates = {run.folder: estimator(run) for run in runs if run.state() in ("new", "begun")}
    print(plan_text(runs, estimates, engine), flush=True)
    if _DRY_RUN.value:
        return 0
    with watch_signals() as interruption:
        engine.check(root)
        outcomes = Pool(runs, engine, partial(_report, runs)).run(interruption)
    print(outcome_text(runs, outcomes))
    if all(outcome.status.startswith("finished") for outcome in outcomes.values()):
        return 0
    print("to continue, repeat the command: finished and diverged runs are skipped, interrupted ones are resumed")
    return interruption.exit_status or 1


def _use_cpu() -> None:
    """Keeps this process, which only computes shapes of states, from allocating memory of an accelerator."""
    import jax

    jax.config.update("jax_platforms", "cpu")


def _wanted(overrides: Sequence[tuple[str, str | None]], root: Path) -> tuple[Sequence[str], Sequence[str], Settings]:
    """Returns the systems, the tasks and the settings that the flags ask for."""
    systems, tasks, phase, num_seeds = _SYSTEMS.value, _TASKS.value, _PHASE.value, 1
    if _TABLE.value is not None:
        if flags.FLAGS["phase"].present and phase != _TABLE.value:
            raise UserError(f"--table={_TABLE.value} contradicts --phase={phase}: leave one of them out")
        phase, num_seeds = _TABLE.value, paper.NUM_SEEDS
        systems, tasks = systems or paper.systems(phase), tasks or paper.tasks(phase)
    settings = Settings(
        preset=_PRESET.value,
        phase=phase,
        seed=_SEED.value,
        num_seeds=num_seeds if _NUM_SEEDS.value is None else _NUM_SEEDS.value,
        overrides=overrides,
        root=root,
        dashboards=_LOG.value,
        seeds_per_run=_SEEDS_PER_RUN.value,
    )
    return systems, tasks, settings


def _report(runs: Sequence[PlannedRun], run: PlannedRun, text: str) -> None:
    print(f"[{runs.index(run) + 1}/{len(runs)}] {run.name}: {text}", flush=True)


if __name__ == "__main__":
    fields, sys.argv[1:] = split_overrides(sys.argv[1:])
    command.run(partial(main, fields))
