"""The shipped AWAC configs: CORL's settings, the presets, and the algorithms built from them."""

from functools import partial
from pathlib import Path

import pytest

from configs import awac as awac_config
from configs.checks import check_config
from ssar_jax.algorithms import awac
from ssar_jax.errors import UserError
from tests.configs import helpers
from tests.configs.helpers import TASKS, assert_round_trip

get = awac_config.get_config
changed = partial(helpers.changed, get)


def hyperparameters(monkeypatch, config):
    """The record that a config gives the constructor."""
    monkeypatch.setattr(awac, "awac", lambda action_size, config: config)
    return awac.from_config(config, action_size=3)


def test_the_defaults_in_python_are_those_of_locomotion(monkeypatch):
    assert hyperparameters(monkeypatch, get("walker2d-e")) == awac.PUBLISHED


@pytest.mark.parametrize("task", TASKS)
def test_what_all_tasks_share(task):
    """Typed by hand from CORL's configuration files."""
    config = get(task)
    assert (config.num_updates, config.batch_size, config.discount) == (1_000_000, 256, 0.99)
    assert config.dataset.normalize_states
    assert config.critic.to_dict() == {"hidden_sizes": (256, 256, 256), "learning_rate": 3e-4, "tau": 0.005}
    assert (config.online.warmup_steps, config.online.buffer, config.online.noise) == (0, "all", 0.0)


def test_antmaze_differs_in_lambda_rewards_and_evaluations():
    assert get("hopper-m").actor.kl_weight == 0.3333
    assert changed("hopper-m", "antmaze-u") == {
        "actor.kl_weight": 0.1,
        "dataset.reward_bias": -1.0,
        "evaluation.interval": 50_000,
        "evaluation.episodes": 100,
    }


def test_presets():
    assert changed("hopper-m", "hopper-m,preset=library") == {"online.trust": "one"}
    short = get("hopper-m,preset=short")
    assert (short.num_updates, short.online.num_steps) == (20_000, 5_000)


def test_lambda_is_positive():
    config = get("hopper-m")
    config.actor.kl_weight = 0.0
    with pytest.raises(UserError, match=r"actor\.kl_weight=0\.0 must be positive"):
        check_config(config)


def test_json_round_trip_is_exact(tmp_path, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    assert_round_trip(get("antmaze-ld"), tmp_path / "config.json")


def test_operations_per_update_by_hand():
    """Observation size 11, action size 3, 256 rows; see the same test of ReBRAC.

    Two critics are trained and evaluated at the next, the data's and the policy's action, the actor is trained and
    sampled twice.
    """
    actor = 11 * 256 + 2 * 256 * 256 + 256 * 3
    critic = 14 * 256 + 2 * 256 * 256 + 256 * 1
    by_hand = 2 * (3 * critic - 14 * 256 + 3 * critic) + (3 * actor - 11 * 256) + 2 * actor
    assert awac.operations(get("hopper-m"), 11, 3) == pytest.approx(2 * 256 * by_hand)
