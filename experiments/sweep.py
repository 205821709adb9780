"""Runs several systems on several tasks, each run in a separate process.

    python -m experiments.sweep --systems=td3_bc,td3_bc:base,cql --tasks=hopper-m,antmaze-u --num_seeds=5 --jobs=2

A system is `<algorithm>` or `<algorithm>:<variant>`. The sweep first shows its plan with estimates of time and memory;
--dry_run stops there. The run folders are the state of a sweep: repeating the command skips runs that are finished or
whose seeds have all diverged, resumes interrupted ones and starts the others. The output of a run is in a `.log` file
next to its folder. A run that fails does not stop the others; Ctrl-C saves and stops all of them.
--config.<field>=<value> sets a field of all configs.
"""

import os
import sys
from collections.abc import Sequence
from functools import partial

from absl import flags

from configs.common import PRESETS
from experiments.cli import command
from experiments.cli.integers import define_integer
from experiments.cli.overrides import split_overrides
from experiments.sweeping import cores
from experiments.sweeping.plan import PlannedRun, Settings, make_plan
from ssar_jax.errors import UserError
from ssar_jax.files import require_writable, resolve_path

_SYSTEMS = flags.DEFINE_list("systems", [], "Systems, such as td3_bc,td3_bc:base,cql.")
_TASKS = flags.DEFINE_list("tasks", [], "Tasks, such as hopper-m,antmaze-u.")
_PRESET = flags.DEFINE_enum("preset", PRESETS[0], PRESETS, "Preset of all configs.")
_PHASE = flags.DEFINE_enum("phase", "offline", ["offline", "online"], "online: both phases, one after the other.")
_SEED = define_integer("seed", 0, "The first seed.")
_NUM_SEEDS = define_integer("num_seeds", 1, "Seeds of every run.")
_JOBS = define_integer("jobs", 1, "Runs at a time; the cores are divided among them.")
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
    shares = cores.divide(_JOBS.value)
    root = resolve_path(_RUNS.value)
    require_writable(root, "choose another --runs")
    settings = Settings(
        preset=_PRESET.value,
        phase=_PHASE.value,
        seed=_SEED.value,
        num_seeds=_NUM_SEEDS.value,
        overrides=overrides,
        root=root,
        dashboards=_LOG.value,
    )
    runs = make_plan(_SYSTEMS.value, _TASKS.value, settings)
    from experiments.sweeping.estimates import Estimator
    from experiments.sweeping.pool import Pool
    from experiments.sweeping.tables import outcome_text, plan_text
    from ssar_jax.logs.run_log import require_dashboards
    from ssar_jax.runs.interruption import watch_signals

    require_dashboards(_LOG.value)
    _use_cpu()
    estimator = Estimator(root, shares[0])
    estimates = {run.folder: estimator(run) for run in runs if run.state() in ("new", "begun")}
    print(plan_text(runs, estimates, len(shares), len(shares[0])), flush=True)
    if _DRY_RUN.value:
        return 0
    with watch_signals() as interruption:
        outcomes = Pool(runs, shares, _environment(len(shares)), partial(_report, runs)).run(interruption)
    print(outcome_text(runs, outcomes))
    if all(outcome.status.startswith("finished") for outcome in outcomes.values()):
        return 0
    print("to continue, repeat the command: finished and diverged runs are skipped, interrupted ones are resumed")
    return interruption.exit_status or 1


def _use_cpu() -> None:
    """Keeps this process, which only computes shapes of states, from allocating memory of an accelerator."""
    import jax

    jax.config.update("jax_platforms", "cpu")


def _environment(jobs: int) -> dict[str, str]:
    """Returns environment variables of the runs: with several jobs, the first must not allocate a whole accelerator."""
    name = "XLA_PYTHON_CLIENT_PREALLOCATE"
    return {name: os.environ.get(name, "false")} if jobs > 1 else {}


def _report(runs: Sequence[PlannedRun], run: PlannedRun, text: str) -> None:
    print(f"[{runs.index(run) + 1}/{len(runs)}] {run.name}: {text}", flush=True)


if __name__ == "__main__":
    fields, sys.argv[1:] = split_overrides(sys.argv[1:])
    command.run(partial(main, fields))
