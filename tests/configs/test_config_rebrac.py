"""The shipped ReBRAC configs: hand-typed weights, the variants, the presets, and the algorithms built from them."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from configs import rebrac as rebrac_config
from configs.checks import check_config
from ssar_jax.algorithms import rebrac
from ssar_jax.errors import UserError
from ssar_jax.runs.online import protocol_from_config
from tests.configs import helpers
from tests.configs.helpers import TASKS, assert_round_trip

get = rebrac_config.get_config
changed = partial(helpers.changed, get)


def hyperparameters(monkeypatch, config):
    """The record that a config gives the constructor."""
    monkeypatch.setattr(rebrac, "rebrac", lambda action_size, coefficient, config: config)
    return rebrac.from_config(config, action_size=3)


# Typed by hand from the authors' configuration files: the actor's weight and the critics'; they have none for custom.
WEIGHTS = {
    **{"halfcheetah-m": (0.001, 0.01), "halfcheetah-mr": (0.01, 0.001), "halfcheetah-me": (0.01, 0.1)},
    **{"halfcheetah-e": (0.01, 0.01), "hopper-m": (0.01, 0.01), "hopper-mr": (0.05, 0.5), "hopper-me": (0.1, 0.01)},
    **{"hopper-e": (0.1, 0.1), "walker2d-m": (0.05, 0.1), "walker2d-mr": (0.05, 0.01), "walker2d-me": (0.01, 0.01)},
    **{"walker2d-e": (0.01, 0.5), "antmaze-u": (0.003, 0.002), "antmaze-ud": (0.003, 0.001)},
    **{"antmaze-mp": (0.001, 0.0005), "antmaze-md": (0.001, 0.0), "antmaze-lp": (0.002, 0.001)},
    **{"antmaze-ld": (0.002, 0.002), "custom": (0.01, 0.01)},
}


def test_the_published_weights():
    assert set(WEIGHTS) == set(TASKS)
    for task, weights in WEIGHTS.items():
        for variant in rebrac_config.VARIANTS:
            config = get(f"{task},variant={variant}")
            assert (config.coefficient.base, config.critic.penalty) == weights


def test_the_default_is_the_published_algorithm(monkeypatch):
    config = get("hopper-m")
    assert (config.variant, config.coefficient.kind, config.selection.rule) == ("base", "constant", "none")
    assert hyperparameters(monkeypatch, config) == rebrac.PUBLISHED


@pytest.mark.parametrize("task", TASKS)
def test_what_all_tasks_share(task):
    config = get(task)
    assert (config.num_updates, config.dataset.normalize_states, config.dataset.reward_bias) == (1_000_000, False, 0.0)
    critic, actor = config.critic, config.actor
    assert (critic.hidden_sizes, critic.layer_norm, critic.tau, critic.adaptive_penalty) == (
        (256, 256, 256), True, 0.005, False,
    )  # fmt: skip
    assert (actor.hidden_sizes, actor.layer_norm, actor.normalize_q) == ((256, 256, 256), False, True)
    assert (actor.policy_freq, actor.policy_noise, actor.noise_clip) == (2, 0.2, 0.5)
    online = {name: config.online[name] for name in ("warmup_steps", "buffer", "buffer_capacity", "critic_factor")}
    assert online == {"warmup_steps": 0, "buffer": "half", "buffer_capacity": 2_000_000, "critic_factor": 0.0}
    assert (config.online.noise, config.online.reset_optimizer) == (0.0, False)


def test_antmaze_differs_in_rates_batch_discount_and_rewards():
    assert changed("hopper-m", "antmaze-u") == {
        "batch_size": 256,
        "discount": 0.999,
        "dataset.reward_scale": 100.0,
        "coefficient.base": 0.003,
        "critic.penalty": 0.002,
        "critic.learning_rate": 5e-5,
        "actor.learning_rate": 3e-4,
        "evaluation.interval": 50_000,
        "evaluation.episodes": 100,
    }
    assert (get("hopper-m").batch_size, get("hopper-m").discount) == (1024, 0.99)
    assert (get("hopper-m").critic.learning_rate, get("hopper-m").actor.learning_rate) == (1e-3, 1e-3)


@pytest.mark.parametrize(
    ("updates", "factor"), [(0, 1.0), (1, 0.999999), (250_000, 0.75), (500_000, 0.5), (1_000_000, 0.5)]
)
def test_the_actors_penalty_decays_as_published(updates, factor):
    """max(0.5, 1 - N / 1,000,000), as the online phase computes it."""
    annealing = protocol_from_config(get("antmaze-u")).annealing
    assert annealing is not None
    assert float(annealing(np.float32(updates))) == pytest.approx(factor, abs=1e-7)


@pytest.mark.parametrize(("task", "rule"), [("hopper-m", "top_fraction"), ("antmaze-mp", "success")])
def test_sa_changes_the_coefficient_and_its_selection_alone(task, rule):
    assert changed(task, f"{task},variant=sa") == {
        "coefficient.kind": "state_adaptive",
        "coefficient.mask_coefficient": True,
        "selection.rule": rule,
    }


def test_the_second_switch_reaches_the_algorithm(monkeypatch):
    config = get("walker2d-m,variant=sa")
    config.critic.adaptive_penalty = True
    config.online.critic_factor = 0.25
    built = hyperparameters(monkeypatch, config)
    assert (built.adaptive_critic_penalty, built.coefficient_base, built.critic_penalty) == (True, 0.05, 0.1)
    assert built.online_critic_factor == 0.25


def test_library_preset():
    assert changed("hopper-m", "hopper-m,preset=library") == {
        "coefficient.last_kernel_init": "zeros",
        "online.trust": "one",
    }


def test_short_preset_is_the_run_divided_by_two_hundred_and_fifty():
    short = changed("hopper-m", "hopper-m,preset=short")
    assert short.pop("coefficient.learning_rate") == pytest.approx(7.5e-6, rel=1e-12)  # 3e-8 * 250
    assert short.pop("dataset.embedded.num_steps") < 1_000_000
    assert short == {
        "num_updates": 4_000,
        "coefficient.n_period": 200,
        "coefficient.decay_steps": 4_000,
        "selection.num_updates": 20_000,
        "online.num_steps": 1_000,
        "evaluation.interval": 500,
        "checkpoint.every": 2_000,
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"critic.penalty": -0.1}, r"critic\.penalty=-0\.1 must be zero or more"),
        ({"online.critic_factor": -1.0}, r"online\.critic_factor=-1\.0 must be zero or more"),
        ({"coefficient.base": 0.0}, r"coefficient\.base=0\.0 must be positive"),
        ({"batch_size": 255}, r"batch_size=255 must be even for online\.buffer='half'"),
    ],
)
def test_each_check_names_the_field_and_its_value(changes, message):
    config = get("hopper-m")
    config.update_from_flattened_dict(changes)
    with pytest.raises(UserError, match=message):
        check_config(config)


@pytest.mark.parametrize("arg", ["hopper-m", "antmaze-ld,variant=sa,preset=library"])
def test_json_round_trip_is_exact(arg, tmp_path, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    assert_round_trip(get(arg), tmp_path / "config.json")


@pytest.mark.parametrize(("variant", "adaptive_penalty"), [("base", False), ("sa", False), ("sa", True)])
def test_operations_per_update_by_hand(variant, adaptive_penalty):
    """Observation size 11, action size 3, 1024 rows; a multiplication and an addition each.

    A layer costs one product forward, one for its kernel's and one for its input's gradient. The first layer of a
    network that trains needs no gradient of its input, a target network none at all, and the critics in the actor loss
    none of their kernels. The coefficient is evaluated in every update if it scales the critics' penalty.
    """
    config = get(f"hopper-m,variant={variant}")
    config.critic.adaptive_penalty = adaptive_penalty
    actor = 11 * 256 + 2 * 256 * 256 + 256 * 3
    critic = 14 * 256 + 2 * 256 * 256 + 256 * 1
    coefficient = (11 * 512 + 2 * 512 * 512 + 512 * 1) * (variant == "sa")
    every = 2 * (3 * critic - 14 * 256) + 2 * critic + actor + adaptive_penalty * coefficient
    delayed = (3 * actor - 11 * 256) + 2 * 2 * critic + (3 * coefficient - 11 * 512 * (variant == "sa"))
    assert rebrac.operations(config, 11, 3) == pytest.approx(2 * 1024 * (every + delayed / 2))
