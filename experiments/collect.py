"""Trains the behavior policies of the embedded suite and generates its datasets.

    python -m experiments.collect train hopper --seed=1

trains one policy and writes its snapshots and learning curve to `<directory>/hopper-s1/`. Training uses one core; set
XLA_FLAGS=--xla_cpu_multi_thread_eigen=false to train several policies at once.

    python -m experiments.collect choose medium behaviour/hopper-s1

examines the snapshots until one belongs to the tier, and writes `hopper-medium.npz`, the snapshots until the training
left the tier as `hopper-replay.npz`, and the learning curve `hopper-medium.csv` to --directory. With
--directory=ssar_jax/behaviour/trained they replace the policies that ship, and the embedded datasets are generated
again on their next use.

    python -m experiments.collect embedded --tasks=all

generates the missing datasets, each on all cores, and prints their statistics. If it is interrupted, run it again to
continue with the next missing one. A run on a task also generates the task's dataset if it is missing.

    python -m experiments.collect examine --tasks=all --updates=200_000 --table=docs/embedded_suite.md

trains plain baselines on the datasets and compares their scores with the published ones on D4RL's files of the same
name. If it is interrupted, run it again to continue.

    python -m experiments.collect show antmaze-mp

draws the statistics of a dataset to --pictures.
"""

import csv
import json
import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from experiments.cli import command
from experiments.cli.integers import define_integer
from ssar_jax.errors import UserError
from ssar_jax.files import require_writable, require_writable_file, resolve_path, write_atomically

_LOG = logging.getLogger(__name__)

_SEED = define_integer("seed", 0, "Seed of the training run.")
_MAX_STEPS = define_integer("max_steps", 1_000_000, "Environment steps of a training.", lower_bound=100)
_WIDTH = define_integer("width", 128, "Width of the two hidden layers.")
_BATCH_SIZE = define_integer("batch_size", 128, "Minibatch size.")
_LEARNING_RATE = flags.DEFINE_float("learning_rate", 3e-4, "Adam's learning rate.")
_DECAY_STEPS = define_integer(
    "decay_steps",
    300_000,
    "Last environment steps, over which the learning rate falls linearly to a tenth.",
    lower_bound=0,
)
_DIRECTORY = flags.DEFINE_string("directory", "behaviour", "Folder for the trained policies.")
_TASKS = flags.DEFINE_list("tasks", [], "Tasks whose datasets to generate, or all.")
_TABLE = flags.DEFINE_string("table", None, "Markdown file for the table of the datasets' statistics.")
_PICTURES = flags.DEFINE_string("pictures", "pictures", "Folder for the pictures.")
_UPDATES = define_integer("updates", 200_000, "Updates of every baseline in an examination.", lower_bound=20)
_SYSTEMS = flags.DEFINE_list("systems", [], "Baselines of an examination, such as bc,iql; by default all four.")
_JOBS = define_integer("jobs", 1, "Baselines that are trained at a time.")
_RUNS = flags.DEFINE_string("runs", "runs/examination", "Folder for the runs of the baselines.")
_NUM_STEPS = define_integer("num_steps", None, "Transitions per dataset; by default as in D4RL.", lower_bound=1)

_TRAJECTORIES = 60
"""Trajectories in a picture of a maze."""


def train(agent: str) -> None:
    """Train one policy with snapshots, and write them to a folder in --directory.

    Args:
        agent: Agent of a tier, such as `hopper`.

    Raises:
        UserError: There is no such agent, the folder cannot be written to or holds a training already.
    """
    from ssar_jax.behaviour import tiers

    environments = {name: tier.environment for (name, _), tier in tiers.TIERS.items()}
    if agent not in environments:
        raise UserError(f"there is no agent {agent!r} to train: choose one of {', '.join(environments)}")
    if _DECAY_STEPS.value > _MAX_STEPS.value:
        raise UserError(f"--decay_steps={_DECAY_STEPS.value} must not exceed --max_steps={_MAX_STEPS.value}")
    folder = resolve_path(_DIRECTORY.value) / f"{agent}-s{_SEED.value}"
    require_writable(folder, "choose another --directory")
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} holds a training already: delete it, or choose another --seed or --directory")

    import optax

    from ssar_jax.algorithms import sac
    from ssar_jax.behaviour import policies
    from ssar_jax.behaviour.training_runs import CURVE, snapshot_path
    from ssar_jax.data.tasks import get_task
    from ssar_jax.envs.make import make_env
    from ssar_jax.training import train_behaviour

    build_env = partial(make_env, environments[agent])
    env = build_env()
    action_size = env.action_space.shape[0]  # pyright: ignore[reportOptionalSubscript]
    env.close()
    rate = _LEARNING_RATE.value
    description = {
        "agent": agent,
        "physics": "d4rl-v2",
        "algorithm": "sac",
        "seed": _SEED.value,
        "max_steps": _MAX_STEPS.value,
        "decay_steps": _DECAY_STEPS.value,
        "width": _WIDTH.value,
        "batch_size": _BATCH_SIZE.value,
        "learning_rate": rate,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(description, indent=2) + "\n")
    started = max(_MAX_STEPS.value - _DECAY_STEPS.value - train_behaviour.WARMUP_STEPS, 0)
    snapshots = train_behaviour.train(
        sac.sac(
            action_size,
            sac.SACConfig(
                hidden_sizes=(_WIDTH.value, _WIDTH.value),
                learning_rate=optax.linear_schedule(rate, 0.1 * rate, _DECAY_STEPS.value, started),
            ),
        ),
        build_env,
        seed=_SEED.value,
        num_steps=_MAX_STEPS.value,
        batch_size=_BATCH_SIZE.value,
    )
    score = None if agent == "ant" else get_task(f"{agent}-m").require_score
    with (folder / "curve.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(CURVE)
        for progress in snapshots:
            policies.save(
                snapshot_path(folder, progress.steps), [progress.policy], description | {"steps": progress.steps}
            )
            if progress.evaluation is None:
                continue
            marks = [value if score is None else score(value) for value in progress.evaluation]
            writer.writerow([progress.steps, *(f"{mark:.1f}" for mark in marks), f"{progress.seconds:.0f}"])
            file.flush()
            _LOG.info("%s: %d steps, sampled %.1f, deterministic %.1f", agent, progress.steps, *marks)
    print(f"wrote {folder}")


def choose(tier: str, run: Path) -> None:
    """Write the policy of a tier that a training run contains; for `medium` also the snapshots that make a replay.

    Args:
        tier: `medium`, `expert`, or `direction` for the ant.
        run: Folder of a training.

    Raises:
        UserError: The folder is not a training, no snapshot belongs to the tier, or --directory cannot be written to.
    """
    from ssar_jax.behaviour import policies
    from ssar_jax.behaviour.training_runs import TrainingRun

    directory = resolve_path(_DIRECTORY.value)
    require_writable(directory, "choose another --directory")
    training = TrainingRun(run)
    choice = training.choose(tier)
    agent = training.description["agent"]
    description = training.description | {"tier": tier, "steps": choice.steps, **choice.mark._asdict()}
    directory.mkdir(parents=True, exist_ok=True)
    policies.save(directory / f"{agent}-{tier}.npz", [choice.policy], description)
    if tier == "medium":
        steps, snapshots = training.replay(tier)
        policies.save(directory / f"{agent}-replay.npz", snapshots, description | {"tier": "replay", "steps": steps})
    curve = (run / "curve.csv").read_text()
    (directory / f"{agent}-{tier}.csv").write_text(curve)
    print(f"wrote {directory / f'{agent}-{tier}.npz'}: {choice.steps:,} steps, {choice.mark}")


def generate() -> None:
    """Generate the missing datasets of --tasks; print the card of every dataset and a table of their statistics."""
    from ssar_jax.behaviour import statistics

    table = _table()
    rows = _generated()
    print(statistics.markdown_table(rows), end="")
    if table is not None:
        _write_page(table, rows, "embedded", "")


def examine() -> None:
    """Train plain baselines on the datasets of --tasks, and compare their scores with the published ones on D4RL.

    Raises:
        UserError: A task has no published scores, a file cannot be written, or a run did not finish.
    """
    from experiments.sweeping.examination import Examination
    from ssar_jax.behaviour import ranking

    table = _table()
    tasks = [task.name for task, _ in _sizes()]
    if _TASKS.value == ["all"]:
        tasks = list(ranking.PUBLISHED)
    unknown = [name for name in tasks if name not in ranking.PUBLISHED]
    if unknown:
        raise UserError(f"--tasks: no published scores for {unknown[0]}: choose among {', '.join(ranking.PUBLISHED)}")
    systems = _SYSTEMS.value or list(ranking.SYSTEMS)
    others = [system for system in systems if system not in ranking.SYSTEMS]
    if others:
        raise UserError(f"--systems: no published scores for {others[0]}: choose among {', '.join(ranking.SYSTEMS)}")
    examination = Examination(systems, tasks, _UPDATES.value, _JOBS.value, resolve_path(_RUNS.value), _NUM_STEPS.value)
    rows = _generated(examination.require_data)
    scores = examination.train()
    section = ranking.markdown(ranking.compare(scores), _UPDATES.value)
    print(section, end="")
    if table is not None:
        chosen = f" --systems={','.join(systems)}" if _SYSTEMS.value else ""
        _write_page(table, rows, f"examine{chosen} --updates={_UPDATES.value}", section)


def _table() -> Path | None:
    """Return the file of --table, which can be written."""
    if _TABLE.value is None:
        return None
    table = resolve_path(_TABLE.value)
    require_writable_file(table, "choose another --table")
    return table


def _generated(check: Callable[[str, Any], None] = lambda task, dataset: None) -> list[Any]:
    """Generate the missing datasets of --tasks and return the statistics of all; each is checked."""
    from ssar_jax.behaviour import statistics, suite
    from ssar_jax.behaviour.generate import load_or_generate

    sizes = _sizes()
    work = suite.missing_work(sizes, os.cpu_count() or 1)
    print(f"{len(sizes) - len(work.tasks)} of {len(sizes)} datasets exist", flush=True)
    if work.tasks:
        print(
            f"to generate: {', '.join(task.name for task in work.tasks)}; {work.num_steps:,} transitions, about "
            f"{work.gigabytes:.1f} GB and {work.seconds / 60:.0f} min",
            flush=True,
        )
    rows = []
    for task, num_steps in sizes:
        dataset = load_or_generate(task, num_steps)
        print(dataset.card(), flush=True)
        rows.append(statistics.describe(task, dataset))
        check(task.name, dataset)
    return rows


def _write_page(path: Path, rows: list[Any], subcommand: str, section: str) -> None:
    from ssar_jax.behaviour import statistics

    size = "" if _NUM_STEPS.value is None else f" --num_steps={_NUM_STEPS.value}"
    command = f"{subcommand} --tasks={','.join(_TASKS.value)}{size} --table={path}"
    page = statistics.page(rows, tasks=_TASKS.value, num_steps=_NUM_STEPS.value, command=command, examination=section)
    write_atomically(path, lambda file: file.write(page.encode()))


def show(name: str) -> None:
    """Draw a task's embedded dataset: returns, actions, and for AntMaze trajectories in the maze.

    Args:
        name: A task.

    Raises:
        UserError: The task is unknown, or the pictures cannot be written.
    """
    from ssar_jax.behaviour.generate import load_or_generate
    from ssar_jax.data.tasks import get_task
    from ssar_jax.reporting.figures.datasets import draw_dataset

    task = get_task(name)
    folder = resolve_path(_PICTURES.value)
    require_writable(folder, "choose another --pictures")
    dataset = load_or_generate(task, _num_steps(task))
    maze = _maze_view(task, dataset) if task.agent == "antmaze" else None
    stem = folder / task.name
    files = draw_dataset(
        stem, f"{task.name}, embedded, {len(dataset):,} transitions", dataset.episode_returns(), dataset.actions, maze
    )
    print(f"wrote {', '.join(map(str, files))}")


def _maze_view(task: Any, dataset: Any) -> Any:
    """Return the maze with trajectories at even intervals of the dataset."""
    from experiments.cli.maze_views import maze_view

    bounds = list(zip(dataset.episodes.starts, dataset.episodes.stops, strict=True))
    chosen = np.linspace(0, len(bounds) - 1, min(_TRAJECTORIES, len(bounds))).round().astype(int)
    return maze_view(task, [dataset.observations[slice(*bounds[i]), :2] for i in chosen])


def _sizes() -> list[tuple[Any, int]]:
    """Return the tasks of --tasks, each with its number of transitions."""
    from ssar_jax.data.tasks import TASKS, get_task

    if not _TASKS.value:
        raise UserError("no --tasks: name the tasks to generate, such as --tasks=hopper-m,halfcheetah-m, or all")
    if "all" in _TASKS.value and len(_TASKS.value) > 1:
        raise UserError("--tasks: all already includes every task; name it alone")
    tasks = TASKS if _TASKS.value == ["all"] else [get_task(name) for name in _TASKS.value]
    return [(task, _num_steps(task)) for task in tasks]


def _num_steps(task: Any) -> int:
    from ssar_jax.data.sources.embedded import default_num_steps

    return default_num_steps(task) if _NUM_STEPS.value is None else _NUM_STEPS.value


def main(arguments: list[str]) -> None:
    """Run the subcommand.

    Args:
        arguments: Positional arguments of the command line.

    Raises:
        UserError: There is no such subcommand.
    """
    match arguments:
        case ["train", agent]:
            train(agent)
        case ["choose", tier, run]:
            choose(tier, resolve_path(run))
        case ["embedded"]:
            generate()
        case ["examine"]:
            examine()
        case ["show", task]:
            show(task)
        case _:
            raise UserError(
                "usage: ssar-jax collect train <agent>, or choose <tier> <training run>, "
                "or embedded --tasks=<task>,..., or examine --tasks=<task>,..., or show <task>"
            )


if __name__ == "__main__":
    command.run(main)
