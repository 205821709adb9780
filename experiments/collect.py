"""Trains the behaviour policies of the embedded suite and generates its datasets.

    python -m experiments.collect train hopper medium --seed=0

writes `ssar_jax/behaviour/hopper-medium.npz`, the snapshots `hopper-replay.npz` and the learning curve
`hopper-medium.csv` into --directory.
"""

import csv
import logging
from functools import partial
from pathlib import Path

import numpy as np
from absl import flags

from experiments import command
from ssar_jax.errors import UserError

_LOG = logging.getLogger(__name__)

_SEED = flags.DEFINE_integer("seed", 0, "Seed of the training run.")
_MAX_STEPS = flags.DEFINE_integer("max_steps", 1_000_000, "Environment steps at most.")
_WIDTH = flags.DEFINE_integer("width", 128, "Width of the two hidden layers.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 128, "Minibatch size.")
_LEARNING_RATE = flags.DEFINE_float("learning_rate", 3e-4, "Adam's rate.")
_DIRECTORY = flags.DEFINE_string("directory", "ssar_jax/behaviour", "Where the policies are written.")

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
    check, confirmed = FirstEpisodes(make_env, _CHECK_EPISODES), []

    def score(returns: float) -> float:
        return float(task.normalised_score(returns))

    def in_band(progress: behaviour.Progress) -> bool:
        if not band.low <= score(progress.mean_return) <= band.high:
            return False
        rng = np.random.default_rng((_SEED.value, progress.steps))
        returns, _ = check.play(
            partial(progress.policy.sample, rng=rng), rng.integers(2**31, size=_CHECK_EPISODES).tolist()
        )
        confirmed[:] = [float(returns.mean()), float(returns.std())]
        _LOG.info("check over %d episodes: return %.0f +- %.0f", _CHECK_EPISODES, *confirmed)
        return band.low <= score(confirmed[0]) <= band.high

    def report(progress: behaviour.Progress) -> None:
        _LOG.info(
            "%s %s: %d steps, return %.0f, score %.1f, %.0f s",
            agent, tier, progress.steps, progress.mean_return, score(progress.mean_return), progress.seconds,
        )  # fmt: skip

    algorithm = sac.make(
        task.action_size, hidden_sizes=(_WIDTH.value, _WIDTH.value), learning_rate=_LEARNING_RATE.value
    )
    history = behaviour.train(
        algorithm, make_env, seed=_SEED.value, max_steps=_MAX_STEPS.value, batch_size=_BATCH_SIZE.value,
        until=in_band, report=report,
    )  # fmt: skip
    directory = Path(_DIRECTORY.value)
    _write_curve(directory / f"{agent}-{tier}.csv", history)
    if not confirmed or not band.low <= score(confirmed[0]) <= band.high:
        raise UserError(f"{_MAX_STEPS.value} steps did not reach a score in {band}: give more steps or another seed")
    description = {
        "agent": agent, "tier": tier, "physics": "d4rl-v2", "algorithm": "sac", "seed": _SEED.value,
        "steps": history[-1].steps, "return_mean": confirmed[0], "return_std": confirmed[1],
        "episodes": _CHECK_EPISODES, "score": score(confirmed[0]),
    }  # fmt: skip
    policies.save(directory / f"{agent}-{tier}.npz", [history[-1].policy], description)
    if tier == "medium":
        chosen = np.linspace(0, len(history) - 1, NUM_SNAPSHOTS).round().astype(int)
        description = description | {"tier": "replay", "steps": [history[i].steps for i in chosen]}
        policies.save(directory / f"{agent}-replay.npz", [history[i].policy for i in chosen], description)
    _LOG.info("wrote %s: score %.1f", directory / f"{agent}-{tier}.npz", score(confirmed[0]))


def _write_curve(path: Path, history: list) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["steps", "return"])
        writer.writerows((progress.steps, f"{progress.mean_return:.1f}") for progress in history)


def main(argv: list[str]) -> None:
    """Dispatches to the subcommand."""
    match argv[1:]:
        case ["train", agent, tier]:
            train(agent, tier)
        case _:
            raise UserError("usage: python -m experiments.collect train <agent> <tier>")


if __name__ == "__main__":
    command.run(main)
