"""The shipped FamCQL configs: hand-typed numbers, presets, refused values, and the algorithms built from them."""

from functools import partial
from pathlib import Path

import pytest

from configs import fam_cql as fam_cql_config
from configs.checks import check_config
from ssar_jax.algorithms import fam_cql
from ssar_jax.errors import UserError
from ssar_jax.runs.online import protocol_from_config
from tests.configs import helpers
from tests.configs.helpers import ANTMAZE, LOCOMOTION, assert_round_trip

get = fam_cql_config.get_config
changed = partial(helpers.changed, get)


def hyperparameters(monkeypatch, config):
    """The record that a config gives the constructor."""
    monkeypatch.setattr(fam_cql, "fam_cql", lambda action_size, config: config)
    return fam_cql.from_config(config, action_size=3)


@pytest.mark.parametrize("name", ANTMAZE)
def test_antmaze_is_refused_in_one_line(name):
    message = f"never published on AntMaze, so {name} has no config: use .* hopper-m, or configs/cql.py:{name}$"
    with pytest.raises(UserError, match=message):
        get(name)


def test_all_tasks_share_one_setting():
    """Except for the size of the generated data, which is that of D4RL's file."""
    for name in LOCOMOTION:
        sized = name.endswith(("-me", "-mr"))
        assert set(changed("hopper-m", name)) == ({"dataset.embedded.num_steps"} if sized else set())


def test_the_published_numbers():
    config = get("hopper-m")
    assert (config.num_updates, config.batch_size, config.discount) == (2_000_000, 256, 0.99)
    dataset = config.dataset
    assert (dataset.normalize_states, dataset.reward_scale, dataset.reward_bias) == (False, 1.0, 0.0)
    assert (dataset.clip_actions, config.selection.rule) == (0.999, "none")
    assert config.balance.to_dict() == {
        "hidden_sizes": (256, 256),
        "learning_rate": 3e-4,
        "low": 0.5,
        "high": 1.5,
        "map": "official",
        "next_coefficient": "current",
    }
    assert config.critic.to_dict() == {
        "hidden_sizes": (256, 256),
        "layer_norm": True,
        "learning_rate": 3e-4,
        "tau": 0.005,
        "num_actions": 10,
        "penalty_weight": 1.0,
    }
    assert config.actor.to_dict() == {"hidden_sizes": (256, 256), "learning_rate": 3e-4}
    online = config.online
    assert (online.num_steps, online.warmup_steps, online.buffer) == (250_000, 0, "all")
    assert (online.noise, online.reset_optimizer) == (0.0, False)


def test_online_updates_come_in_blocks_of_a_thousand():
    protocol = protocol_from_config(get("hopper-m"))
    steps = (999, 1_000, 1_999, 2_000, 250_000)
    assert [protocol.updates_after(number) for number in steps] == [0, 1_000, 1_000, 2_000, 250_000]
    assert protocol.annealing is None


@pytest.mark.parametrize("task", LOCOMOTION)
def test_library_preset_has_the_intended_range_of_coefficients(monkeypatch, task):
    """All else is as published, which is what Python gives."""
    assert changed(task, f"{task},preset=library") == {"balance.map": "intended", "online.trust": "one"}
    built = hyperparameters(monkeypatch, get(f"{task},preset=library"))
    assert built == fam_cql.PUBLISHED._replace(balance_map="intended")


def test_every_field_reaches_the_algorithm(monkeypatch):
    """Every field has a different value."""
    config = get("hopper-m")
    changes = {
        "discount": 0.5,
        "balance.hidden_sizes": (4,),
        "balance.learning_rate": 0.1,
        "balance.low": 0.25,
        "balance.high": 2.0,
        "balance.map": "intended",
        "balance.next_coefficient": "next",
        "critic.hidden_sizes": (5,),
        "critic.layer_norm": False,
        "critic.learning_rate": 0.2,
        "critic.tau": 0.3,
        "critic.num_actions": 7,
        "critic.penalty_weight": 5.0,
        "actor.hidden_sizes": (6,),
        "actor.learning_rate": 0.4,
    }
    config.update_from_flattened_dict(changes)
    expected = fam_cql.FamCQLConfig(
        0.5, 0.3, (6,), 0.4, (4,), 0.1, "intended", 0.25, 2.0, "next", (5,), False, 0.2, 7, 5.0
    )
    assert hyperparameters(monkeypatch, config) == expected
    check_config(config)


def test_short_preset_is_the_locomotion_run_divided_by_250():
    """4,000 updates, then 1,000 environment steps with updates after every 4."""
    short = changed("hopper-m", "hopper-m,preset=short")
    assert short.pop("dataset.embedded.num_steps") < 1_000_000
    assert short == {
        "num_updates": 4_000,
        "selection.num_updates": 20_000,
        "online.num_steps": 1_000,
        "online.steps_between_updates": 4,
        "evaluation.interval": 500,
        "checkpoint.every": 2_000,
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"balance.map": "right"}, r"balance\.map='right' is unknown; choose one of official, intended"),
        ({"balance.next_coefficient": "now"}, r"next_coefficient='now' is unknown; choose one of current, next"),
        ({"balance.low": -1.0}, r"balance\.low=-1\.0 must be zero or more"),
        ({"balance.low": 2.0}, r"balance\.low=2\.0 must be at most balance\.high=1\.5"),
        ({"balance.hidden_sizes": ()}, r"balance\.hidden_sizes=\(\) must be a tuple of positive integers"),
        ({"balance.learning_rate": 0.0}, r"balance\.learning_rate=0\.0 must be positive"),
        ({"critic.penalty_weight": -1.0}, r"critic\.penalty_weight=-1\.0 must be zero or more"),
        ({"online.num_steps": 900}, r"online\.steps_between_updates=1000 is more than the 900 steps after the warm-up"),
    ],
)
def test_each_check_names_the_field_and_its_value(changes, message):
    config = get("hopper-m")
    config.update_from_flattened_dict(changes)
    with pytest.raises(UserError, match=message):
        check_config(config)


def test_a_range_of_one_coefficient_is_valid():
    config = get("hopper-m")
    config.balance.low = config.balance.high = 1.0
    check_config(config)


@pytest.mark.parametrize("arg", ["hopper-m", "walker2d-me,preset=library", "custom,preset=short"])
def test_json_round_trip_is_exact(arg, tmp_path, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    assert_round_trip(get(arg), tmp_path / "config.json")


def test_operations_per_update_by_hand():
    """The hopper's 11 observations and 3 actions, 256 rows, in multiplications of one row."""
    middle = 256 * 256
    actor, balance, critic = 17 * 256 + middle + 256 * 6, 11 * 256 + middle + 256 * 2, 14 * 256 + middle + 256
    # 31 actions per state train both critics; the first layer of what trains needs no gradient of its input.
    critics = 2 * 31 * (3 * critic - 14 * 256) + 2 * critic
    actor_loss = 3 * actor - 17 * 256 + 2 * 2 * critic
    balance_loss = 3 * balance - 11 * 256 + 2 * actor + 2 * 2 * critic
    total = critics + actor_loss + balance_loss + actor
    assert fam_cql.operations(get("hopper-m"), 11, 3) == pytest.approx(2 * 256 * total)
