"""A run of `experiments.offline` that takes seconds: random data of the hopper's shape and tiny networks."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.cli.config_files import load_config
from experiments.cli.overrides import apply_overrides, split_overrides
from ssar_jax.algorithms import registry
from ssar_jax.runs.storage.checkpoints import Checkpoints
from ssar_jax.training.loop import abstract_states

ROOT = Path(__file__).parents[2]
CONFIG = "configs/td3_bc.py:hopper-m,preset=short"
NUM_UPDATES, CHECKPOINTS, EVALUATIONS = 2000, 250, 500
SMALL = (
    f"--config.num_updates={NUM_UPDATES}",
    f"--config.checkpoint.every={CHECKPOINTS}",
    f"--config.evaluation.interval={EVALUATIONS}",
    "--config.evaluation.episodes=2",
    "--config.batch_size=16",
    "--config.critic.hidden_sizes=(8,)",
    "--config.actor.hidden_sizes=(8,)",
    "--config.coefficient.hidden_sizes=(8,)",
    "--config.coefficient.n_period=500",
)


def write_dataset(path: Path, observation_size: int = 11, action_size: int = 3, seed: int = 0) -> Path:
    """Writes 400 random transitions in eight episodes of 50, to a `.npz` file."""
    rng = np.random.default_rng(seed)
    observations = rng.normal(size=(401, observation_size)).astype(np.float32)
    np.savez(
        path,
        observations=observations[:-1],
        actions=rng.uniform(-1.0, 1.0, (400, action_size)).astype(np.float32),
        rewards=rng.normal(size=400).astype(np.float32),
        masks=(np.arange(400) % 50 < 49).astype(np.float32),
        next_observations=observations[1:],
    )
    return path


def flags(dataset: Path, *others: str, config: str = CONFIG) -> list[str]:
    """The flags of the small run; later ones have precedence."""
    return [f"--config={config}", f"--config.dataset.path={dataset}", *SMALL, *others]


def make_config(dataset: Path, *others: str, config: str = CONFIG) -> Any:
    """The config of these flags, for a run within this process."""
    overrides, _ = split_overrides(flags(dataset, *others, config=config))
    made = load_config(config)
    apply_overrides(made, overrides)
    return made


def start(
    *arguments: str, program: str = "offline", folder: Path = ROOT, **environment: str
) -> "subprocess.Popen[str]":
    """Starts `python -m experiments.<program>`, by default from the repository root."""
    return subprocess.Popen(
        [sys.executable, "-m", f"experiments.{program}", *arguments],
        cwd=folder,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Waits for a started process; returns its exit status, stdout and stderr."""
    with process:
        try:
            out, err = process.communicate(timeout=240)
        finally:
            process.kill()
    return process.returncode, out, err


def states(run: Path) -> Any:
    """The states of a run's latest checkpoint, all seeds."""
    config = load_config(str(run / "config.json"))
    with np.load(run / "preparation.npz") as arrays:
        observation_size, action_size = len(arrays["mean"]), int(arrays["action_size"])
    algorithm = registry.build(config, action_size)
    checkpoints = Checkpoints(run / "checkpoints", keep=None)
    like = abstract_states(algorithm, config.num_seeds, observation_size, action_size)
    restored = checkpoints.restore(checkpoints.latest_step, like)
    checkpoints.close()
    return restored


def summary(run: Path) -> dict[str, Any]:
    """The summary of a run without entries that differ between repetitions, such as times and versions."""
    content = json.loads((run / "summary.json").read_text())
    volatile = ("updates_per_second", "steps_per_second", "wall_seconds", "versions")
    return {name: value for name, value in content.items() if name not in volatile}


def assert_same_numbers(run: Path, other: Path) -> None:
    """Tables, summary, diagnostics and final states are equal bit for bit."""
    for name in ("train.csv", "eval.csv", "metrics.jsonl"):
        assert (run / name).read_bytes() == (other / name).read_bytes(), name
    assert summary(run) == summary(other)
    files = {file.name for file in (run / "diagnostics").glob("*")}
    assert files == {file.name for file in (other / "diagnostics").glob("*")}
    for file in files:
        with np.load(run / "diagnostics" / file) as arrays, np.load(other / "diagnostics" / file) as others:
            assert arrays.keys() == others.keys()
            for name in arrays:
                np.testing.assert_array_equal(arrays[name], others[name])
    jax.tree.map(np.testing.assert_array_equal, states(run), states(other))
