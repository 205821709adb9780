"""The shipped TD3+BC configs: hand-typed rows of the published table, the variants, the presets."""

from functools import partial

import pytest

from configs import td3_bc
from configs.common import fields
from tests.configs import helpers
from tests.configs.helpers import TASKS

get = td3_bc.get_config
changed = partial(helpers.changed, get)


# Rows typed by hand from the authors' configuration files:
# rule, threshold, expectile, mask_regularizer, n_start, n_end, updates, decay, policy_freq.
@pytest.mark.parametrize(
    ("task", "row"),
    [
        ("halfcheetah-m", ("return", 5200.0, None, True, 1.0, 3.0, 1_000_000, 400_000, 2)),
        ("halfcheetah-me", ("advantage", None, 0.7, False, 1.0, 1.5, 1_000_000, 400_000, 2)),
        ("halfcheetah-e", ("return", 10500.0, None, True, 1.0, 1.5, 1_000_000, 400_000, 2)),
        ("hopper-m", ("return", 1800.0, None, True, 1.0, 3.0, 1_000_000, 400_000, 2)),
        ("hopper-mr", ("advantage", None, 0.7, True, 1.0, 3.0, 1_000_000, 400_000, 2)),
        ("hopper-me", ("advantage", None, 0.5, True, 1.0, 1.5, 1_000_000, 400_000, 2)),
        ("hopper-e", ("return", 3500.0, None, True, 1.0, 1.5, 1_000_000, 400_000, 2)),
        ("walker2d-m", ("return", 2500.0, None, True, 1.0, 3.0, 1_000_000, 400_000, 2)),
        ("walker2d-e", ("return", 4500.0, None, True, 1.0, 1.5, 1_000_000, 400_000, 2)),
        ("antmaze-u", ("success", None, None, False, 1.0, 5.0, 2_000_000, 400_000, 2)),
        ("antmaze-ud", ("success", None, None, False, 1.0, 3.0, 2_000_000, 400_000, 2)),
        ("antmaze-mp", ("success", None, None, False, 5.0, 5.0, 2_000_000, -1, 30)),
        ("antmaze-md", ("success", None, None, False, 5.0, 5.0, 2_000_000, -1, 20)),
        ("antmaze-ld", ("success", None, None, False, 5.0, 5.0, 2_000_000, -1, 100)),
        ("custom", ("top_fraction", None, None, False, 1.0, 3.0, 1_000_000, 400_000, 2)),
    ],
)
def test_paper_preset_has_the_published_row(task, row):
    config = get(task)
    selection, coefficient = config.selection, config.coefficient
    assert row == (
        *(selection.rule, selection.threshold, selection.expectile, coefficient.mask_regularizer),
        *(coefficient.n_start, coefficient.n_end, config.num_updates, coefficient.decay_steps),
        config.online.policy_freq,
    )


def test_paper_preset_constants():
    config = get("halfcheetah-m")
    assert (config.batch_size, config.discount, config.seed, config.num_seeds) == (256, 0.99, 0, 1)
    coefficient = config.coefficient
    assert coefficient.base == 0.4  # 1 / 2.5
    assert coefficient.learning_rate == 3e-8
    assert (coefficient.max_ratio, coefficient.max_grad_norm, coefficient.delta) == (1.5, 0.5, 0.1)
    assert (coefficient.n_period, coefficient.n_increments) == (50_000, 10)
    assert coefficient.hidden_sizes == (512, 512, 512)
    assert (coefficient.last_kernel_init, coefficient.anneal) == ("xavier", "linear")
    assert config.critic.to_dict() == {
        "hidden_sizes": (256, 256),
        "layer_norm": True,
        "learning_rate": 3e-4,
        "tau": 0.005,
    }
    assert config.actor.to_dict() == {
        "hidden_sizes": (256, 256),
        "learning_rate": 3e-4,
        "policy_freq": 2,
        "policy_noise": 0.2,
        "noise_clip": 0.5,
    }
    assert config.online.to_dict() == {
        "num_steps": 250_000,
        "warmup_steps": 5_000,
        "updates_per_step": 1,
        "steps_between_updates": 1,
        "reset_optimizer": False,
        "decouple_targets": False,
        "buffer": "part",
        "part_k": 50,
        "buffer_capacity": 2_000_000,
        "policy_freq": 2,
        "trust": "stale",
        "noise": 0.0,
    }


def test_antmaze_differs_in_reward_evaluation_and_buffer():
    config = get("antmaze-lp")
    assert (config.dataset.reward_scale, config.dataset.reward_bias) == (1.0, -1.0)  # r - 1
    assert config.dataset.normalize_states
    assert (config.evaluation.interval, config.evaluation.episodes) == (50_000, 100)
    assert (config.online.buffer, config.online.buffer_capacity) == ("none", 1_000_000)
    assert get("hopper-m").dataset.reward_bias == 0.0
    assert (get("hopper-m").evaluation.interval, get("hopper-m").evaluation.episodes) == (5_000, 10)


@pytest.mark.parametrize(("variant", "layer_norm"), [("base", False), ("base_ln", True)])
def test_base_is_td3_bc_without_selection(variant, layer_norm):
    config = get(f"antmaze-mp,variant={variant}")
    assert config.critic.layer_norm is layer_norm
    assert (config.coefficient.kind, config.coefficient.base) == ("constant", 0.4)
    assert not config.coefficient.mask_coefficient
    assert not config.coefficient.mask_regularizer
    assert config.coefficient.anneal == "none"
    selection = config.selection
    assert (selection.rule, selection.threshold, selection.expectile) == ("none", None, None)
    assert config.num_updates == 1_000_000
    assert (config.online.buffer, config.online.policy_freq, config.online.noise) == ("all", 2, 0.1)


def test_base_differs_from_base_ln_in_layer_norm_alone():
    base, normalized = fields(get("hopper-m,variant=base")), fields(get("hopper-m,variant=base_ln"))
    assert [name for name in base if base[name] != normalized[name]] == ["critic.layer_norm", "variant"]


def test_library_preset_on_locomotion():
    assert changed("hopper-m", "hopper-m,preset=library") == {
        "coefficient.last_kernel_init": "zeros",
        "coefficient.mask_regularizer": False,
        "online.trust": "one",
        "online.noise": 0.1,
    }


def test_library_preset_on_antmaze():
    assert changed("antmaze-lp", "antmaze-lp,preset=library") == {
        "coefficient.last_kernel_init": "zeros",
        "online.trust": "one",
        "online.noise": 0.1,
        "online.buffer": "all",
        "online.buffer_capacity": 1_500_000,  # 1e6 rows of data and 250,000 online steps fit
        "online.policy_freq": 2,  # the actor moves as often as offline
        "coefficient.decay_steps": 400_000,  # as on the other tasks
    }


def test_short_preset_is_the_papers_run_divided_by_fifty():
    config = changed("hopper-m", "hopper-m,preset=short")
    assert config.pop("coefficient.learning_rate") == pytest.approx(1.5e-6, rel=1e-12)  # 3e-8 * 50
    assert config.pop("dataset.embedded.num_steps") < 1_000_000
    assert config == {
        "num_updates": 20_000,
        "coefficient.n_period": 1_000,
        "coefficient.decay_steps": 8_000,
        "coefficient.mask_regularizer": False,
        "selection.num_updates": 20_000,
        "online.num_steps": 5_000,
        "online.warmup_steps": 100,
        "evaluation.interval": 2_500,
        "checkpoint.every": 10_000,
    }


@pytest.mark.parametrize("task", TASKS)
def test_short_preset_plays_the_whole_schedule_in_its_first_half(task):
    """Ten increments, one every 1,000 updates; on AntMaze one every 2,000, so that they take the whole run."""
    config = get(f"{task},preset=short")
    assert config.num_updates == 20_000
    length = config.num_updates if task.startswith("antmaze") else config.num_updates // 2
    assert config.coefficient.n_increments * config.coefficient.n_period == length
    assert get("antmaze-lp,preset=short").coefficient.decay_steps == -1


def test_embedded_size_is_that_of_the_d4rl_set():
    for preset in ("paper", "library"):
        assert get(f"walker2d-me,preset={preset}").dataset.embedded.num_steps == 2_000_000
        assert get(f"walker2d-m,preset={preset}").dataset.embedded.num_steps == 1_000_000


def test_two_configs_share_nothing():
    first, second = get("hopper-m"), get("hopper-m")
    first.actor.learning_rate = 1.0
    first.selection.threshold = 1.0
    assert second.actor.learning_rate == 3e-4
    assert second.selection.threshold == 1800.0


def test_fields_cannot_be_added_or_change_type():
    config = get("hopper-m")
    with pytest.raises(AttributeError):
        config.actor.lr = 1.0
    with pytest.raises(TypeError):
        config.num_updates = 2.5
