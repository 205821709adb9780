"""The shipped SPOT configs: hand-typed coefficients, the variants, the presets, and the algorithms built from them."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from configs import spot as spot_config
from configs.checks import check_config
from ssar_jax.algorithms import spot, td3_bc
from ssar_jax.errors import UserError
from ssar_jax.runs.online import protocol_from_config
from tests.configs import helpers
from tests.configs.helpers import LOCOMOTION, TASKS, assert_round_trip

get = spot_config.get_config
changed = partial(helpers.changed, get)


def hyperparameters(monkeypatch, config):
    """The record that a config gives the constructor."""
    monkeypatch.setattr(spot, "spot", lambda action_size, coefficient, config: config)
    return spot.from_config(config, action_size=3)


def test_the_default_is_the_published_algorithm():
    assert get("hopper-m").variant == "base"


# Typed by hand from the authors' scripts; they have none for expert, which is as medium-expert, and none for custom.
@pytest.mark.parametrize(
    ("task", "coefficient"),
    [
        *(("halfcheetah-m", 0.05), ("halfcheetah-mr", 0.05), ("halfcheetah-me", 1.0), ("halfcheetah-e", 1.0)),
        *(("hopper-m", 0.1), ("hopper-mr", 0.1), ("hopper-me", 0.2), ("hopper-e", 0.2)),
        *(("walker2d-m", 0.2), ("walker2d-mr", 0.2), ("walker2d-me", 0.5), ("walker2d-e", 0.5)),
        *(("antmaze-u", 0.25), ("antmaze-ud", 0.25), ("antmaze-mp", 0.05), ("antmaze-md", 0.025)),
        *(("antmaze-lp", 0.025), ("antmaze-ld", 0.025), ("custom", 0.1)),
    ],
)
def test_the_published_coefficients(task, coefficient):
    for variant in spot_config.VARIANTS:
        assert get(f"{task},variant={variant}").coefficient.base == coefficient


@pytest.mark.parametrize("task", TASKS)
def test_what_all_tasks_share(task):
    config = get(task)
    assert (config.num_updates, config.batch_size, config.discount) == (1_000_000, 256, 0.99)
    assert config.density.to_dict() == {
        "hidden_sizes": (750, 750),
        "learning_rate": 1e-3,
        "batch_size": 256,
        "num_updates": 100_000,
    }
    assert (config.critic.hidden_sizes, config.critic.layer_norm) == ((256, 256), False)
    assert (config.critic.learning_rate, config.critic.tau) == (3e-4, 0.005)
    actor = config.actor
    assert (actor.hidden_sizes, actor.policy_freq, actor.policy_noise, actor.noise_clip) == ((256, 256), 2, 0.2, 0.5)
    assert actor.dropout == (task in LOCOMOTION)
    assert config.selection.rule == "none"
    coefficient = config.coefficient
    assert coefficient.kind == "constant"
    online = {name: config.online[name] for name in ("num_steps", "warmup_steps", "buffer", "policy_freq", "noise")}
    assert config.online.reset_optimizer
    assert online == {"num_steps": 250_000, "warmup_steps": 0, "buffer": "all", "policy_freq": 2, "noise": 0.1}


@pytest.mark.parametrize(
    ("updates", "factor"), [(0, 1.0), (1, 0.999999), (250_000, 0.75), (800_000, 0.2), (1_000_000, 0.2), (9e6, 0.2)]
)
def test_the_coefficient_cools_as_published(updates, factor):
    """max(0.2, 1 - N / 1,000,000), as the online phase computes it."""
    annealing = protocol_from_config(get("hopper-m")).annealing
    assert annealing is not None
    assert float(annealing(np.float32(updates))) == pytest.approx(factor, abs=1e-7)


def test_antmaze_differs_in_data_rates_outputs_and_discount():
    expected = {
        "dataset.normalize_states": False,
        "dataset.reward_bias": -1.0,
        "coefficient.base": 0.25,
        "critic.small_output": True,
        "actor.small_output": True,
        "actor.dropout": False,
        "actor.learning_rate": 1e-4,
        "online.discount": 0.995,
        "evaluation.interval": 50_000,
        "evaluation.episodes": 100,
    }
    assert changed("hopper-m", "antmaze-u") == expected
    assert get("hopper-m").online.discount is None


@pytest.mark.parametrize(("task", "rule"), [("hopper-m", "top_fraction"), ("antmaze-mp", "success")])
def test_sa_changes_the_coefficient_and_its_selection_alone(task, rule):
    assert changed(task, f"{task},variant=sa") == {
        "coefficient.kind": "state_adaptive",
        "coefficient.mask_coefficient": True,
        "selection.rule": rule,
    }


@pytest.mark.parametrize("task", TASKS)
def test_library_preset(task):
    expected = {"coefficient.last_kernel_init": "zeros", "online.trust": "one"}
    if task in LOCOMOTION:
        expected["actor.dropout"] = False
    assert changed(task, f"{task},preset=library") == expected


@pytest.mark.parametrize("task", LOCOMOTION)
def test_library_preset_is_what_python_gives(monkeypatch, task):
    assert hyperparameters(monkeypatch, get(f"{task},preset=library")) == spot.PUBLISHED


def test_what_a_config_switches_on(monkeypatch):
    """Output layers within the published bounds on AntMaze, and the authors' dropout."""
    config = get("antmaze-u")
    config.actor.dropout = True
    built = hyperparameters(monkeypatch, config)
    assert (built.actor_output_bound, built.critic_output_bound, built.dropout) == (0.001, 0.003, 0.1)
    assert (built.actor_learning_rate, built.discount, built.online_discount) == (1e-4, 0.99, 0.995)


def test_short_preset_is_the_run_divided_by_fifty():
    short = changed("hopper-m", "hopper-m,preset=short")
    assert short.pop("coefficient.learning_rate") == pytest.approx(1.5e-6, rel=1e-12)  # 3e-8 * 50
    assert short.pop("dataset.embedded.num_steps") < 1_000_000
    assert short == {
        "num_updates": 20_000,
        "density.num_updates": 2_000,
        "coefficient.n_period": 1_000,
        "coefficient.decay_steps": 20_000,
        "selection.num_updates": 20_000,
        "online.num_steps": 5_000,
        "evaluation.interval": 2_500,
        "checkpoint.every": 10_000,
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"density.hidden_sizes": ()}, r"density\.hidden_sizes=\(\) must be a tuple of positive integers"),
        ({"density.num_updates": 0}, r"density\.num_updates=0 must be positive"),
        ({"density.batch_size": 0}, r"density\.batch_size=0 must be positive"),
        ({"density.learning_rate": 0.0}, r"density\.learning_rate=0\.0 must be positive"),
        ({"online.discount": 1.1}, r"online\.discount=1\.1 must be between 0 and 1"),
    ],
)
def test_each_check_names_the_field_and_its_value(changes, message):
    config = get("hopper-m")
    config.update_from_flattened_dict(changes)
    with pytest.raises(UserError, match=message):
        check_config(config)


@pytest.mark.parametrize("arg", ["hopper-m", "antmaze-ld,variant=sa,preset=library", "custom,preset=short"])
def test_json_round_trip_is_exact(arg, tmp_path, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    config = get(arg)
    assert_round_trip(config, tmp_path / "config.json")


@pytest.mark.parametrize("variant", spot_config.VARIANTS)
def test_operations_per_update_by_hand(variant):
    """Observation size 11, action size 3, 256 rows; a multiplication and an addition each.

    The operations of TD3+BC, and in every second update forward and back to the inputs of the density model, without
    kernel gradients.
    """
    config = get(f"hopper-m,variant={variant}")
    encoder = 14 * 750 + 750 * 750 + 750 * 12
    decoder = 17 * 750 + 750 * 750 + 750 * 3
    rest = td3_bc.operations(config, 11, 3)
    assert spot.operations(config, 11, 3) == pytest.approx(rest + 2 * 256 * (encoder + decoder))


@pytest.mark.parametrize("task", TASKS)
def test_the_authors_dropout_is_that_of_locomotion(task):
    """The only published setting of locomotion has it; none of AntMaze has. The library's choice is none."""
    assert get(task).actor.dropout == (not task.startswith("antmaze"))
    assert not get(f"{task},preset=library").actor.dropout
