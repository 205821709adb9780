"""Run folders as runs leave them: finished ones, both phases, two kinds of data, unfinished and foreign folders."""

import json

import numpy as np

from ssar_jax.logs.tables import CsvTable
from ssar_jax.reporting.read.folders import read_runs
from ssar_jax.reporting.read.groups import group_runs
from ssar_jax.reporting.read.runs import Key

CONFIG = {
    **{"algorithm": "td3_bc", "variant": "sa", "preset": "short", "task": "hopper-m", "num_updates": 20_000},
    **{"seed": 0, "num_seeds": 2, "critic": {"tau": 0.005}, "checkpoint": {"keep": 2}, "online": {"part_k": 50}},
}
SUMMARY = {
    **{name: CONFIG[name] for name in ("algorithm", "variant", "preset", "task", "num_updates")},
    **{"phase": "offline", "data_source": "embedded", "physics": "d4rl-v2", "dataset_hash": "abc", "seeds": [0, 1]},
    **{"updates_per_second": 66.5, "wall_seconds": 312.0, "versions": {"commit": "9fc5-dirty", "device": "1 x cpu"}},
}
KEY = Key("offline", "td3_bc", "sa", "short", "hopper-m", "embedded", "d4rl-v2")
SCORES = {0: (1.0, 2.0), 10_000: (90.0, 10.0), 20_000: (20.0, 30.0)}  # update -> score of each seed

SEEDS = [0, 1]
ADAPTIVE = {"coefficient": {"kind": "state_adaptive"}}
D4RL = {"data_source": "d4rl"}


def write_run(path, scores=SCORES, *, config=(), summary=(), phase="offline"):
    """Writes a folder as experiments.offline does, with a score per step and seed."""
    path.mkdir(parents=True)
    summary = SUMMARY | dict(summary)
    (path / "config.json").write_text(json.dumps(CONFIG | dict(config)))
    (path / "summary.json").write_text(json.dumps(summary))
    add_evaluations(path, phase, scores, summary["seeds"])
    train = CsvTable(path / "train.csv")
    for step in (10_000, 20_000):
        for seed in summary["seeds"]:
            train.add({"step": step, "seed": seed, "critic/loss": 0.5, "coefficient/n": 1.0 + step / 10_000 + seed})
    return path


def add_evaluations(path, phase, scores, seeds):
    table = CsvTable(path / "eval.csv")
    for step, row in scores.items():
        for seed, score in zip(seeds, row, strict=True):
            position = {"step": 20_000 + step, "environment_steps": step} if phase == "online" else {"step": step}
            table.add({"phase": phase, "environment_steps": 0, **position, "seed": seed, "return": 7.0, "score": score})


def groups_of(path):
    """The groups of the runs below a folder, and the runs left out while grouping."""
    return group_runs(read_runs(path)[0])


def write_runs(folder):
    """TD3+BC and SSAR on two tasks of D4RL, SSAR fine-tuned on one and alone in an embedded maze."""
    for task, lead in (("hopper-m", 20.0), ("walker2d-m", -5.0)):
        adaptive = {0: (1.0, 2.0), 20_000: (20.0 + lead, 30.0 + lead)}
        config, summary = {"task": task}, {"task": task, **D4RL}
        write_run(folder / f"{task}-base", config=config, summary=summary | {"variant": "base"})
        add_adaptation(write_run(folder / f"{task}-sa", adaptive, config=config | ADAPTIVE, summary=summary))
    phase = {"phase": "online", "num_updates": 25_000, "online_updates": 5_000, "area_score": [4.0, 6.0], **D4RL}
    phase |= {"updates_per_second": None, "steps_per_second": 54.0}
    online = write_run(folder / "online", config={"task": "hopper-m", **ADAPTIVE}, summary=phase)
    add_evaluations(online, "online", {0: (40.0, 50.0), 5_000: (60.0, 70.0)}, SEEDS)
    maze = write_run(folder / "maze", config={"task": "antmaze-u", **ADAPTIVE}, summary={"task": "antmaze-u"})
    add_adaptation(maze)
    (write_run(folder / "killed <b>") / "summary.json").unlink()
    (folder / "foreign").mkdir()
    (folder / "foreign" / "notes & more.txt").write_text("mine")
    return folder


def add_adaptation(path, *, diagnostics=True):
    """Adds the files of a state-adaptive coefficient; n stops growing after 10,000 updates in seed 0 alone."""
    (path / "train.csv").unlink()
    train = CsvTable(path / "train.csv")
    for row, step in enumerate((10_000, 20_000)):
        for seed in SEEDS:
            beta = {
                f"coefficient/beta_{name}": value + row for name, value in (("min", 0.1), ("mean", 0.2), ("max", 0.3))
            }
            others = {"n": 1.0 + row, "active": float(row == 0 or seed == 1), "negative_share": 0.9 - 0.5 * row}
            others |= {"selected_fraction": 0.25}
            train.add(
                {"step": step, "seed": seed} | beta | {f"coefficient/{name}": each for name, each in others.items()}
            )
    if diagnostics:
        rng = np.random.default_rng(0)
        (path / "diagnostics").mkdir()
        plane = rng.uniform(0.0, 8.0, (500, 2))
        for step in (0, 20_000):
            beta = 0.3 + 0.1 * (step > 0) * plane[:, 0] / 8 + 0.01 * rng.normal(size=(len(SEEDS), 500))
            np.savez_compressed(path / "diagnostics" / f"{step}.npz", plane=plane, beta=beta)
    return path
