"""Trains the behaviour policies of the embedded suite and generates its datasets.

    python -m experiments.collect train hopper medium --seed=0

writes `hopper-medium.npz`, the snapshots `hopper-replay.npz` and the learning curve `hopper-medium.csv` into
--directory. It takes one core; set XLA_FLAGS=--xla_cpu_multi_thread_eigen=false to train several at once.

    python -m experiments.collect embedded --tasks=hopper-m,halfcheetah-m

generates datasets; a task also generates its own on first use.
"""

import csv
import logging
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from experiments import command
from ssar_jax.errors import UserError

_LOG = logging.getLogger(__name__)

_SEED = flags.DEFINE_integer("seed", 0, "Seed of the training run.")
_MAX_STEPS = flags.DEFINE_integer("max_steps", 1_000_000, "Environment steps of training at most.")
_WIDTH = flags.DEFINE_integer("width", 128, "Width of the two hidden layers.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 128, "Minibatch size.")
_LEARNING_RATE = flags.DEFINE_float("learning_rate", 3e-4, "Adam's rate.")
_DIRECTORY = flags.DEFINE_string("directory", "ssar_jax/behaviour", "Where the policies are written.")
_TASKS = flags.DEFINE_list("tasks", [], "Tasks whose datasets to generate.")
_NUM_STEPS = flags.DEFINE_integer("num_steps", None, "Transitions of each dataset; by default D4RL's size.")

_CHECK_EPISODES = 50
"""Episodes that confirm a policy whose evaluation fell into its band."""


def train(agent: str, tier: str) -> None:
    """Trains one policy until 50 episodes confirm that its score lies in the tier's band."""
    from ssar_jax.algorithms import sac
    from ssar_jax.behaviour import policies
    from ssar_jax.behaviour.tiers import BANDS, NUM_SNAPSHOTS
    from ssar_jax.data.tasks import get_task
    from ssar_jax.envs.make import make
    from ssar_jax.envs.rollout import FirstEpisodes
    from ssar_jax.training import behaviour

    if (agent, tier) not in BANDS:
        known = ", ".join(" ".join(key) for key in BANDS)
        raise UserError(f"there is no recipe to train {agent!r} {tier!r}: choose one of {known}")
    band, task = BANDS[agent, tier], get_task(f"{agent}-m")
    make_env = partial(make, agent)
    check = FirstEpisodes(make_env, _CHECK_EPISODES)
    confirmed: dict[str, Any] = {}

    def in_band(progress: behaviour.Progress) -> bool:
        if not band.low <= task.require_score(progress.mean_return) <= band.high:
            return False
        rng = np.random.default_rng((_SEED.value, progress.steps))
        seeds = rng.integers(2**31, size=_CHECK_EPISODES).tolist()
        returns, _ = check.play(partial(progress.policy.sample, rng=rng), seeds)
        score = task.require_score(float(returns.mean()))
        _LOG.info("check over %d episodes: return %.0f ± %.0f", _CHECK_EPISODES, returns.mean(), returns.std())
        if not band.low <= score <= band.high:
            return False
        confirmed.update(return_mean=float(returns.mean()), return_std=float(returns.std()), score=score)
        return True

    def report(progress: behaviour.Progress) -> None:
        score = task.require_score(progress.mean_return)
        _LOG.info("%s %s: %d steps, return %.0f, score %.1f", agent, tier, progress.steps, progress.mean_return, score)

    widths = (_WIDTH.value, _WIDTH.value)
    history = behaviour.train(
        sac.make(task.action_size, hidden_sizes=widths, learning_rate=_LEARNING_RATE.value),
        make_env,
        seed=_SEED.value,
        max_steps=_MAX_STEPS.value,
        batch_size=_BATCH_SIZE.value,
        until=in_band,
        report=report,
    )
    directory = Path(_DIRECTORY.value)
    _write_curve(directory / f"{agent}-{tier}.csv", history)
    if not confirmed:
        raise UserError(
            f"--max_steps={_MAX_STEPS.value} did not reach a score in [{band.low}, {band.high}]: "
            "give more, or another seed"
        )
    description = {
        "agent": agent,
        "tier": tier,
        "physics": "d4rl-v2",
        "algorithm": "sac",
        "seed": _SEED.value,
        "steps": history[-1].steps,
        "episodes": _CHECK_EPISODES,
        **confirmed,
    }
    policies.save(directory / f"{agent}-{tier}.npz", [history[-1].policy], description)
    if tier == "medium":
        chosen = np.linspace(0, len(history) - 1, NUM_SNAPSHOTS).round().astype(int)
        description |= {"tier": "replay", "steps": [history[i].steps for i in chosen]}
        policies.save(directory / f"{agent}-replay.npz", [history[i].policy for i in chosen], description)
    print(f"wrote {directory / f'{agent}-{tier}.npz'}: score {confirmed['score']:.1f}")


def _write_curve(path: Path, history: list[Any]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["steps", "return"])
        writer.writerows((progress.steps, f"{progress.mean_return:.1f}") for progress in history)


def generate() -> None:
    """Generates the datasets of --tasks that are not there yet and prints their cards."""
    from ssar_jax.behaviour.generate import load_or_generate
    from ssar_jax.data.embedded import default_num_steps
    from ssar_jax.data.tasks import get_task

    tasks = [get_task(name) for name in _TASKS.value]
    if not tasks:
        raise UserError("no --tasks: name those to generate, such as --tasks=hopper-m,halfcheetah-m")
    for task in tasks:
        num_steps = default_num_steps(task) if _NUM_STEPS.value is None else _NUM_STEPS.value
        print(load_or_generate(task, num_steps).card())


def main(arguments: list[str]) -> None:
    """Dispatches to the subcommand."""
    match arguments:
        case ["train", agent, tier]:
            train(agent, tier)
        case ["embedded"]:
            generate()
        case _:
            raise UserError("usage: python -m experiments.collect train <agent> <tier>, or embedded --tasks=<task>,...")


if __name__ == "__main__":
    command.run(main)
