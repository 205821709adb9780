"""The choice of a tier's policy among the snapshots of a training run."""

import json

import numpy as np
import pytest

from ssar_jax.behaviour import policies, training_runs
from ssar_jax.behaviour.policies import GaussianPolicy
from ssar_jax.behaviour.tiers import TIERS, Mark
from ssar_jax.behaviour.training_runs import NUM_SNAPSHOTS, TrainingRun, snapshot_path
from tests.data.helpers import user_error

INTERVAL = 10  # steps between snapshots; evaluations are 100 steps apart


def make_run(folder, agent, evaluations):
    """A run whose snapshots are recognized by their only bias, the number of steps, and with the given evaluations."""
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"agent": agent, "seed": 1}))
    rows = [f"{100 * (i + 1)},{sampled},{likely},0" for i, (sampled, likely) in enumerate(evaluations)]
    (folder / "curve.csv").write_text("\n".join([",".join(training_runs.CURVE), *rows]) + "\n")
    for steps in range(INTERVAL, 100 * len(evaluations) + 1, INTERVAL):
        layers = [(np.zeros((1, 2), np.float32), np.full(2, steps, np.float32))]
        policies.save(snapshot_path(folder, steps), [GaussianPolicy(layers, 1.0, 0.0)], {})
    return TrainingRun(folder)


@pytest.fixture
def marks(monkeypatch):
    """The marks and best returns of the snapshots by their steps, 0 unless set; and the steps that were examined."""
    given, examined = {}, []

    def examine(agent, policy, rng):
        steps = int(policy.layers[0][1][0])
        examined.append(steps)
        sampled, deterministic, *best = given.get(steps, (0.0, 0.0))
        return Mark(sampled, deterministic, 0.0, 0.0, *(best or [0.0]))

    monkeypatch.setattr(training_runs, "examine", examine)
    return given, examined


def test_a_medium_policy_is_in_both_bands_and_the_first(tmp_path, marks):
    """Hopper's bands are 42 to 50 sampled and 45 to 60 deterministic, with a best episode of at least 2,500."""
    given, examined = marks
    given |= {200 + i: (*mark, 3000.0) for i, mark in {10: (45.0, 70.0), 20: (60.0, 50.0), 30: (43.0, 44.0)}.items()}
    given |= {240: (45.0, 50.0, 2400.0), 250: (43.0, 46.0, 2500.0), 260: (45.0, 50.0, 3000.0)}
    run = make_run(tmp_path / "run", "hopper", [(10.0, 10.0), (20.0, 20.0), (40.0, 50.0), (49.0, 59.0)])  # near: 30
    choice = run.choose("medium")
    assert (choice.steps, choice.mark) == (250, Mark(43.0, 46.0, 0.0, 0.0, 2500.0))
    assert examined == [210, 220, 230, 240, 250]  # the evaluation after 300 steps is the first that is near the bands
    assert choice.policy.layers[0][1][0] == 250


@pytest.mark.parametrize("above", [(51.0, 50.0), (45.0, 61.0)])
def test_nothing_is_taken_after_an_evaluation_above_the_band(tmp_path, marks, above):
    """The snapshot after 250 steps would fit; it is a fluctuation of a better policy."""
    given, examined = marks
    given[250] = (45.0, 50.0)
    run = make_run(tmp_path / "run", "hopper", [(10.0, 10.0), above, (45.0, 50.0)])
    with user_error("run is hopper medium: train with another --seed or more --max_steps"):
        run.choose("medium")
    assert examined == list(range(110, 200, 10))


def test_an_expert_is_the_last_that_is_good_enough(tmp_path, marks):
    given, examined = marks
    given |= {230: (110.0, 110.0), 280: (101.0, 102.0), 290: (99.0, 110.0)}
    run = make_run(tmp_path / "run", "hopper", [(10.0, 10.0), (105.0, 105.0), (104.0, 104.0)])
    assert run.choose("expert").steps == 280
    assert examined == [300, 290, 280]


def test_a_replay_has_even_intervals_and_ends_where_the_training_leaves_the_tier(tmp_path):
    """After 900 steps an evaluation lies above hopper's medium; the last snapshot before it is that of 890."""
    run = make_run(tmp_path / "run", "hopper", [(0.0, 0.0)] * 8 + [(51.0, 50.0), (0.0, 0.0)])
    steps, snapshots = run.replay("medium")
    assert (len(steps), steps[0], steps[-1]) == (NUM_SNAPSHOTS, 10, 890)
    assert set(np.diff(steps)) == {10, 20}  # 89 snapshots, of which about every other one
    assert [int(policy.layers[0][1][0]) for policy in snapshots] == steps
    short = make_run(tmp_path / "short", "hopper", [(0.0, 0.0)])
    assert short.replay("medium")[0] == list(range(10, 101, 10))


def test_what_is_no_run_is_one_line(tmp_path):
    with user_error("is not a training run, it has no run.json"):
        TrainingRun(tmp_path)
    run = make_run(tmp_path / "run", "hopper", [(10.0, 10.0)])
    with user_error("there is no tier 'hopper' 'perfect': choose one of halfcheetah medium"):
        run.choose("perfect")
    (tmp_path / "run" / "curve.csv").unlink()
    with user_error("run has no evaluated snapshots, its training ended before the first"):
        TrainingRun(tmp_path / "run")


def test_all_agents_have_their_tiers():
    assert set(TIERS) == {(a, t) for a in ("halfcheetah", "hopper", "walker2d") for t in ("medium", "expert")} | {
        ("ant", "direction")
    }
