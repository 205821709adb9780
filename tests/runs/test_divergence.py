"""Seeds that diverge: what stops them, which states are kept, and what a resumed run knows."""

import json
import logging

import numpy as np
import pytest

from ssar_jax.runs.divergence import DivergenceGuard
from ssar_jax.runs.storage.folder import RunFolder

SEEDS = (7, 8, 9)


def states(*values):
    """A tree with a parameter of every seed and a counter."""
    return {"w": np.float32(values)[:, None] * np.ones(2, np.float32), "count": np.arange(len(values))}


@pytest.fixture
def folder(tmp_path):
    opened = RunFolder(tmp_path / "run", {}, resume=False, overwrite=False)
    opened.start()
    yield opened
    opened.close()


def guard(folder, step=100, unit="update"):
    return DivergenceGuard(folder, SEEDS, states(1.0, 2.0, 3.0), step, unit)


def losses(*values):
    return {"critic/q_mean": np.full(3, np.inf), "critic/loss": np.float32(values)}


def test_nothing_happens_while_everything_is_finite(folder):
    """Metrics other than losses may be infinite, and a loss that did not occur is NaN."""
    watching, now = guard(folder), states(4.0, 5.0, 6.0)
    assert not watching.check(200, losses(0.1, np.nan, 0.3), [now])
    assert watching.active_seeds == SEEDS
    assert watching.reset_stopped(now) is now
    assert not folder.file("stopped.json").exists()


def test_a_seed_whose_loss_is_nan_stops_and_is_reset(folder, caplog):
    """Seed 8 is reset to the 2 of its checkpoint and keeps it in later checkpoints; seed 9 is reset to a later one."""
    watching = guard(folder)
    with caplog.at_level(logging.ERROR):
        assert watching.check(1_200, losses(0.1, np.nan, 0.3), [states(4.0, np.nan, 6.0)])
    assert caplog.messages == [
        "seed 8 stopped: critic/loss was nan by update 1,200; its last good checkpoint, 100, is kept"
    ]
    stop = {"step": 1_200, "metric": "critic/loss", "value": "nan", "checkpoint": 100}
    assert json.loads(folder.file("stopped.json").read_text()) == {"8": stop}
    assert watching.active_seeds == (7, 9)
    saved = watching.reset_stopped(states(4.0, np.nan, 6.0))
    np.testing.assert_array_equal(saved["w"], [[4, 4], [2, 2], [6, 6]])
    watching.record_checkpoint(1_200, saved)

    assert watching.check(1_400, losses(0.1, np.nan, np.inf), [states(5.0, np.nan, 7.0)])
    assert watching.stopped[9] == {"step": 1_400, "metric": "critic/loss", "value": "inf", "checkpoint": 1_200}
    np.testing.assert_array_equal(watching.reset_stopped(states(5.0, 0.0, 7.0))["w"], [[5, 5], [2, 2], [6, 6]])
    assert watching.stopped[8] == stop  # reported once


def test_a_parameter_that_is_not_finite_stops_a_seed(folder):
    watching = guard(folder, step=None, unit="environment step")
    assert watching.check(50, losses(0.1, 0.2, 0.3), [states(np.inf, 1.0, 1.0)])
    assert watching.stopped[7] == {"step": 50, "metric": "a parameter", "value": "nan", "checkpoint": None}


def test_seeds_may_be_in_groups(folder):
    """Two seeds, and one padded with a copy, which is ignored."""
    watching = guard(folder)
    assert not watching.check(200, {}, [states(4.0, 5.0), states(6.0, np.nan)])
    assert watching.check(400, {}, [states(4.0, 5.0), states(np.nan, np.nan)])
    assert watching.active_seeds == (7, 8)


def test_a_seed_that_the_offline_phase_stopped_stays_stopped(folder, caplog):
    """From step 0 on, also in a resumed run and before the first checkpoint."""
    before = {8: {"step": 1_200, "metric": "critic/loss", "value": "nan", "checkpoint": 100}}
    tuning = guard(folder, step=None, unit="environment step")
    with caplog.at_level(logging.ERROR):
        tuning.inherit(before)
    assert caplog.messages == ["seed 8 stopped: critic/loss was nan by environment step 0; it had no checkpoint yet"]
    assert tuning.active_seeds == (7, 9)
    np.testing.assert_array_equal(tuning.reset_stopped(states(4.0, 5.0, 6.0))["w"], [[4, 4], [2, 2], [6, 6]])
    again = guard(folder, step=100)
    again.inherit(before)
    assert again.stopped == tuning.stopped == {8: before[8] | {"step": 0, "checkpoint": None}}


def test_a_resumed_run_knows_the_seeds_that_stopped_before_its_checkpoint(folder, caplog):
    """Stopped by 200 and 400, resumed from 300: the second will diverge again, the first is reported again."""
    watching = guard(folder)
    watching.check(200, {}, [states(np.nan, 1.0, 1.0)])
    watching.check(400, {}, [states(np.nan, np.nan, 1.0)])
    caplog.clear()
    resumed = guard(folder, step=300)
    assert resumed.active_seeds == (8, 9)
    assert resumed.stopped == {7: watching.stopped[7]}
    assert caplog.messages == [
        "seed 7 stopped: a parameter was nan by update 200; its last good checkpoint, 100, is kept"
    ]
    assert guard(folder, step=None).active_seeds == SEEDS  # a run without a checkpoint starts again
