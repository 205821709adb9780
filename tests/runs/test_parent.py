"""What the online phase takes from an offline run."""

import json
from typing import NamedTuple

import numpy as np

from configs import iql
from ssar_jax.algorithms.iql import hyperparameters_from_config
from ssar_jax.runs.parent import OfflineResult, with_fresh_optimisers


class Inner(NamedTuple):
    value: np.ndarray
    value_opt: tuple


class Outer(NamedTuple):
    actor: dict
    actor_opt: tuple
    values: Inner


def test_optimisers_start_anew_and_nothing_else_changes():
    """The fields that end in `_opt`, however deep; parameters stay."""
    state = Outer(
        {"kernel": np.full(2, 3.0)},
        (np.int32(7), {"kernel": np.full(2, 0.1)}),
        Inner(np.full(3, 5.0), (np.full(3, 0.2),)),
    )
    fresh = with_fresh_optimisers(state)
    assert fresh.actor_opt[0] == 0
    assert not fresh.actor_opt[1]["kernel"].any()
    assert not fresh.values.value_opt[0].any()
    np.testing.assert_array_equal(fresh.actor["kernel"], [3.0, 3.0])
    np.testing.assert_array_equal(fresh.values.value, [5.0, 5.0, 5.0])
    assert state.actor_opt[0] == 7  # the given one is left alone


def test_a_decaying_rate_ended_where_the_offline_run_did(tmp_path):
    """An offline run of 200,000 updates, continued with a config that says 1,000,000."""
    summary = {"phase": "offline", "num_updates": 200_000, "stopped_seeds": {"1": {"step": 7}}, "final_score": [1.0]}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    (tmp_path / "config.json").write_text("{}")
    offline, config = OfflineResult(tmp_path), iql.get_config("hopper-m")
    assert hyperparameters_from_config(offline.as_trained(config)).actor_decay_steps == 200_000
    assert config.num_updates == 1_000_000
    assert offline.stopped == {1: {"step": 7}}
