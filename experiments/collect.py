"""Trains the behavior policies of the embedded suite and generates its datasets.

    python -m experiments.collect train hopper medium --seed=0

writes `hopper-medium.npz`, the snapshots `hopper-replay.npz` and the learning curve `hopper-medium.csv` to --directory.
With --directory=ssar_jax/behaviour/trained they replace the policies that ship, and the embedded datasets are generated
again on their next use. Training uses one core; set XLA_FLAGS=--xla_cpu_multi_thread_eigen=false to train several
policies at once.

    python -m experiments.collect embedded --tasks=all

generates the missing datasets, each on all cores, and prints their statistics. If it is interrupted, run it again to
continue with the next missing one. A run on a task also generates the task's dataset if it is missing.

    python -m experiments.collect show antmaze-mp

draws the statistics of a dataset to --pictures.
"""

import csv
import logging
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from experiments.cli import command
from experiments.cli.integers import define_integer
from ssar_jax.data.files import require_writable, require_writable_file, resolve_path, write_atomically
from ssar_jax.errors import UserError

_LOG = logging.getLogger(__name__)

_SEED = define_integer("seed", 0, "Seed of the training run.")
_MAX_STEPS = define_integer("max_steps", 1_000_000, "Largest number of environment steps in training.")
_WIDTH = define_integer("width", 128, "Width of the two hidden layers.")
_BATCH_SIZE = define_integer("batch_size", 128, "Minibatch size.")
_LEARNING_RATE = flags.DEFINE_float("learning_rate", 3e-4, "Adam's learning rate.")
_DIRECTORY = flags.DEFINE_string("directory", "behaviour", "Folder for the trained policies.")
_TASKS = flags.DEFINE_list("tasks", [], "Tasks whose datasets to generate, or all.")
_TABLE = flags.DEFINE_string("table", None, "Markdown file for the table of the datasets' statistics.")
_PICTURES = flags.DEFINE_string("pictures", "pictures", "Folder for the pictures.")
_NUM_STEPS = define_integer("num_steps", None, "Transitions per dataset; by default as in D4RL.", lower_bound=1)

_TRAJECTORIES = 60
"""Trajectories in a picture of a maze."""


def train(agent: str, tier: str) -> None:
    """Train one policy until a test finds it in its tier, and write it to --directory.

    Args:
        agent: Agent of a tier, such as `hopper`.
        tier: `medium`, `expert`, or `direction` for the ant.

    Raises:
        UserError: There is no such tier, the folder cannot be written to, or --max_steps did not suffice.
    """
    from ssar_jax.algorithms import sac
    from ssar_jax.behaviour import policies, tiers
    from ssar_jax.envs.make import make_env
    from ssar_jax.training import train_behaviour

    wanted = tiers.TIERS.get((agent, tier))
    if wanted is None:
        known = ", ".join(" ".join(key) for key in tiers.TIERS)
        raise UserError(f"there is no tier {agent!r} {tier!r} to train: choose one of {known}")
    directory = resolve_path(_DIRECTORY.value)
    require_writable(directory, "choose another --directory")
    directory.mkdir(parents=True, exist_ok=True)
    passed: list[tiers.Mark] = []

    def is_good(progress: train_behaviour.Progress) -> bool:
        if progress.mean_return < wanted.least_return:
            return False
        mark = tiers.examine(agent, progress.policy, np.random.default_rng((_SEED.value, progress.steps)))
        _LOG.info("test: score %.1f, return %.1f ± %.1f", mark.mark, mark.return_mean, mark.return_std)
        if wanted.low <= mark.mark <= wanted.high:
            passed.append(mark)
        return bool(passed)

    def report(progress: train_behaviour.Progress) -> None:
        _LOG.info("%s %s: %d steps, return %.1f", agent, tier, progress.steps, progress.mean_return)

    build_env = partial(make_env, wanted.environment)
    env = build_env()
    action_size = env.action_space.shape[0]  # pyright: ignore[reportOptionalSubscript]
    env.close()
    widths = (_WIDTH.value, _WIDTH.value)
    history = train_behaviour.train(
        sac.sac(action_size, sac.SACConfig(hidden_sizes=widths, learning_rate=_LEARNING_RATE.value)),
        build_env,
        seed=_SEED.value,
        max_steps=_MAX_STEPS.value,
        batch_size=_BATCH_SIZE.value,
        until=is_good,
        report=report,
    )
    if not passed:
        raise UserError(
            f"no policy scored in [{wanted.low}, {wanted.high}] within --max_steps={_MAX_STEPS.value}: "
            "choose more steps or another --seed"
        )
    description = {
        "agent": agent,
        "tier": tier,
        "physics": "d4rl-v2",
        "algorithm": "sac",
        "seed": _SEED.value,
        "steps": history[-1].steps,
        **passed[0]._asdict(),
    }
    policies.save(directory / f"{agent}-{tier}.npz", [history[-1].policy], description)
    if tier == "medium":
        chosen = np.linspace(0, len(history) - 1, tiers.NUM_SNAPSHOTS).round().astype(int)
        description |= {"tier": "replay", "steps": [history[i].steps for i in chosen]}
        policies.save(directory / f"{agent}-replay.npz", [history[i].policy for i in chosen], description)
    _write_curve(directory / f"{agent}-{tier}.csv", history)
    print(f"wrote {directory / f'{agent}-{tier}.npz'}: score {passed[0].mark:.1f}")


def _write_curve(path: Path, history: list[Any]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["steps", "return"])
        writer.writerows((progress.steps, f"{progress.mean_return:.1f}") for progress in history)


def generate() -> None:
    """Generate the missing datasets of --tasks; print the card of every dataset and a table of their statistics."""
    from ssar_jax.behaviour import statistics, suite
    from ssar_jax.behaviour.generate import load_or_generate

    sizes = _sizes()
    table = None if _TABLE.value is None else resolve_path(_TABLE.value)
    if table is not None:
        require_writable_file(table, "choose another --table")
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
    print(statistics.markdown_table(rows), end="")
    if table is not None:
        page = statistics.page(rows, tasks=_TASKS.value, num_steps=_NUM_STEPS.value)
        write_atomically(table, lambda file: file.write(page.encode()))


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
        case ["train", agent, tier]:
            train(agent, tier)
        case ["embedded"]:
            generate()
        case ["show", task]:
            show(task)
        case _:
            raise UserError(
                "usage: python -m experiments.collect train <agent> <tier>, or embedded --tasks=<task>,..., "
                "or show <task>"
            )


if __name__ == "__main__":
    command.run(main)
