"""Trains the behaviour policies of the embedded suite and generates its datasets.

    python -m experiments.collect train hopper medium --seed=0

writes `hopper-medium.npz`, the snapshots `hopper-replay.npz` and the learning curve `hopper-medium.csv` into
--directory; --directory=ssar_jax/behaviour replaces the policies that ship, and the embedded datasets are then made
again. It takes one core; set XLA_FLAGS=--xla_cpu_multi_thread_eigen=false to train several at once.

    python -m experiments.collect embedded --tasks=all

generates the datasets that are missing, each on all cores, and prints what they are like; broken off, it goes on with
the next missing one. A task also generates its own on first use.

    python -m experiments.collect show antmaze-mp

draws a dataset into --pictures.
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
from ssar_jax.data.files import require_writable, write_atomically
from ssar_jax.errors import UserError

_LOG = logging.getLogger(__name__)

_SEED = define_integer("seed", 0, "Seed of the training run.")
_MAX_STEPS = define_integer("max_steps", 1_000_000, "Environment steps of training at most.")
_WIDTH = define_integer("width", 128, "Width of the two hidden layers.")
_BATCH_SIZE = define_integer("batch_size", 128, "Minibatch size.")
_LEARNING_RATE = flags.DEFINE_float("learning_rate", 3e-4, "Adam's rate.")
_DIRECTORY = flags.DEFINE_string("directory", "behaviour", "Where the policies are written.")
_TASKS = flags.DEFINE_list("tasks", [], "Tasks whose datasets to generate; all is every one.")
_TABLE = flags.DEFINE_string("table", None, "Markdown file for the table of the datasets' statistics.")
_PICTURES = flags.DEFINE_string("pictures", "pictures", "Folder of the pictures.")
_NUM_STEPS = define_integer("num_steps", None, "Transitions of a dataset; by default D4RL's size.", lower_bound=1)

_TRAJECTORIES = 60
"""Trajectories in a picture of a maze."""


def train(agent: str, tier: str) -> None:
    """Trains one policy until an examination gives it a mark of its tier."""
    from ssar_jax.algorithms import sac
    from ssar_jax.behaviour import policies, tiers
    from ssar_jax.envs.make import make
    from ssar_jax.training import train_behaviour

    wanted = tiers.TIERS.get((agent, tier))
    if wanted is None:
        known = ", ".join(" ".join(key) for key in tiers.TIERS)
        raise UserError(f"there is no recipe to train {agent!r} {tier!r}: choose one of {known}")
    directory = Path(_DIRECTORY.value)
    require_writable(directory, "choose another --directory")
    directory.mkdir(parents=True, exist_ok=True)
    passed: list[tiers.Mark] = []

    def is_good(progress: train_behaviour.Progress) -> bool:
        if progress.mean_return < wanted.least_return:
            return False
        mark = tiers.examine(agent, progress.policy, np.random.default_rng((_SEED.value, progress.steps)))
        _LOG.info("examination: %.1f, return %.1f ± %.1f", mark.mark, mark.return_mean, mark.return_std)
        if wanted.low <= mark.mark <= wanted.high:
            passed.append(mark)
        return bool(passed)

    def report(progress: train_behaviour.Progress) -> None:
        _LOG.info("%s %s: %d steps, return %.1f", agent, tier, progress.steps, progress.mean_return)

    make_env = partial(make, wanted.environment)
    env = make_env()
    action_size = env.action_space.shape[0]  # pyright: ignore[reportOptionalSubscript]
    env.close()
    widths = (_WIDTH.value, _WIDTH.value)
    history = train_behaviour.train(
        sac.make(action_size, hidden_sizes=widths, learning_rate=_LEARNING_RATE.value),
        make_env,
        seed=_SEED.value,
        max_steps=_MAX_STEPS.value,
        batch_size=_BATCH_SIZE.value,
        until=is_good,
        report=report,
    )
    if not passed:
        raise UserError(
            f"--max_steps={_MAX_STEPS.value} did not reach a mark in [{wanted.low}, {wanted.high}]: "
            "give more, or another seed"
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
    print(f"wrote {directory / f'{agent}-{tier}.npz'}: {passed[0].mark:.1f}")


def _write_curve(path: Path, history: list[Any]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["steps", "return"])
        writer.writerows((progress.steps, f"{progress.mean_return:.1f}") for progress in history)


def generate() -> None:
    """Generates the datasets of --tasks that are not there yet, prints their cards, and at last their table."""
    from ssar_jax.behaviour import statistics, suite
    from ssar_jax.behaviour.generate import load_or_generate

    sizes = _sizes()
    table = None if _TABLE.value is None else Path(_TABLE.value)
    if table is not None:
        require_writable(table.parent, "choose another --table")
    work = suite.missing_work(sizes, os.cpu_count() or 1)
    print(f"{len(sizes) - len(work.tasks)} of {len(sizes)} datasets are there", flush=True)
    if work.tasks:
        print(
            f"missing: {', '.join(task.name for task in work.tasks)}; {work.num_steps:,} transitions, about "
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
    """Draws a task's embedded dataset: returns, actions, and for AntMaze trajectories over the maze."""
    from ssar_jax.behaviour.generate import load_or_generate
    from ssar_jax.data.tasks import get_task
    from ssar_jax.reporting.figures.datasets import draw_dataset

    task = get_task(name)
    require_writable(Path(_PICTURES.value), "choose another --pictures")
    dataset = load_or_generate(task, _num_steps(task))
    maze = _maze_view(task, dataset) if task.agent == "antmaze" else None
    stem = Path(_PICTURES.value) / task.name
    files = draw_dataset(
        stem, f"{task.name}, embedded, {len(dataset):,} transitions", dataset.episode_returns(), dataset.actions, maze
    )
    print(f"wrote {', '.join(map(str, files))}")


def _maze_view(task: Any, dataset: Any) -> Any:
    """Trajectories at even distances in the dataset, in their maze."""
    from experiments.cli.maze_views import maze_view

    bounds = list(zip(dataset.episodes.starts, dataset.episodes.stops, strict=True))
    chosen = np.linspace(0, len(bounds) - 1, min(_TRAJECTORIES, len(bounds))).round().astype(int)
    return maze_view(task, [dataset.observations[slice(*bounds[i]), :2] for i in chosen])


def _sizes() -> list[tuple[Any, int]]:
    """The tasks that --tasks names, each with its number of transitions."""
    from ssar_jax.data.tasks import TASKS, get_task

    if not _TASKS.value:
        raise UserError("no --tasks: name those to generate, such as --tasks=hopper-m,halfcheetah-m, or all")
    if "all" in _TASKS.value and len(_TASKS.value) > 1:
        raise UserError("--tasks: all stands alone, for it is every task")
    tasks = TASKS if _TASKS.value == ["all"] else [get_task(name) for name in _TASKS.value]
    return [(task, _num_steps(task)) for task in tasks]


def _num_steps(task: Any) -> int:
    from ssar_jax.data.sources.embedded import default_num_steps

    return default_num_steps(task) if _NUM_STEPS.value is None else _NUM_STEPS.value


def main(arguments: list[str]) -> None:
    """Dispatches to the subcommand."""
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
