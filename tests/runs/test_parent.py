"""The offline run that an online run starts from."""

import json
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

from configs import iql as iql_configs
from ssar_jax.algorithms import iql
from ssar_jax.runs.parent import ParentRun, with_fresh_optimizers
from ssar_jax.types import TrainState
from tests.data.helpers import user_error


class Inner(NamedTuple):
    value: TrainState
    target: np.ndarray


class Outer(NamedTuple):
    actor: TrainState
    values: Inner


def test_optimizers_are_reset_and_nothing_else_changes():
    """The optimizer of every network, however deep; parameters stay."""
    state = Outer(
        TrainState({"kernel": np.full(2, 3.0)}, (np.int32(7), {"kernel": np.full(2, 0.1)})),
        Inner(TrainState(np.full(3, 5.0), (np.full(3, 0.2),)), np.full(3, 4.0)),
    )
    fresh: Any = with_fresh_optimizers(state)
    assert fresh.actor.opt_state[0] == 0
    assert not fresh.actor.opt_state[1]["kernel"].any()
    assert not fresh.values.value.opt_state[0].any()
    np.testing.assert_array_equal(fresh.actor.params["kernel"], [3.0, 3.0])
    np.testing.assert_array_equal(fresh.values.value.params, [5.0, 5.0, 5.0])
    np.testing.assert_array_equal(fresh.values.target, [4.0, 4.0, 4.0])
    assert state.actor.opt_state[0] == 7  # the argument is unchanged


def test_a_decaying_rate_ends_with_the_offline_run(tmp_path, monkeypatch):
    """An offline run of 200,000 updates, continued with a config of 1,000,000."""
    summary = {"phase": "offline", "num_updates": 200_000, "stopped_seeds": {"1": {"step": 7}}, "final_score": [1.0]}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    (tmp_path / "config.json").write_text("{}")
    parent, config = ParentRun(tmp_path), iql_configs.get_config("hopper-m")
    built = []
    monkeypatch.setattr(iql, "iql", lambda action_size, config: built.append(config))
    iql.from_config(parent.as_trained(config), 3)
    assert built[0].actor_decay_steps == 200_000
    assert config.num_updates == 1_000_000
    assert parent.stopped == {1: {"step": 7}}


@pytest.mark.parametrize(
    "changes",
    [{"num_updates": None}, {"stopped_seeds": [1]}, {"stopped_seeds": {"one": {}}}, {"final_score": 3}],
    ids=str,
)
def test_a_damaged_summary_is_named(tmp_path, changes):
    summary = {"phase": "offline", "num_updates": 9, "stopped_seeds": {}, "final_score": [1.0]}
    (tmp_path / "summary.json").write_text(json.dumps(summary | changes))
    (tmp_path / "config.json").write_text("{}")
    with user_error(str(tmp_path / "summary.json"), "is damaged", "train the run again"):
        ParentRun(tmp_path)


def test_the_data_of_the_offline_run_may_have_moved(tmp_path):
    """The place and the name of the file may differ, its content may not."""
    data = {"data_source": "path", "data_name": "mine.npz", "dataset_hash": "abc"}
    (tmp_path / "summary.json").write_text(
        json.dumps({"phase": "offline", "num_updates": 9, "stopped_seeds": {}, "final_return": [1.0]})
    )
    (tmp_path / "config.json").write_text(
        json.dumps({"seed": 0, "dataset": {"path": "/data/mine.npz", "source": "auto"}})
    )
    (tmp_path / "data.json").write_text(json.dumps(data))
    parent = ParentRun(tmp_path)
    parent.require_config({"seed": 0, "dataset": {"path": "/other/ours.npz", "source": "auto"}})
    with user_error("another config: dataset.source was auto, is minari"):
        parent.require_config({"seed": 0, "dataset": {"path": "/other/ours.npz", "source": "minari"}})
    parent.require_data(SimpleNamespace(describe=lambda: data | {"data_name": "ours.npz"}))
    with user_error("other data: ", "dataset_hash was abc, is def"):
        parent.require_data(SimpleNamespace(describe=lambda: data | {"dataset_hash": "def"}))
