"""The shipped CQL configs: hand-typed rows of the published table, the variants, the presets, their checks."""

import math
from functools import partial
from pathlib import Path

import pytest

from configs import cql, td3_bc
from configs.checks import check_config
from configs.common import PRESETS
from ssar_jax.errors import UserError
from tests.configs import helpers
from tests.configs.helpers import ANTMAZE, LOCOMOTION, TASKS, assert_round_trip

get = cql.get_config
changed = partial(helpers.changed, get)


# Rows typed by hand from the authors' configuration files:
# rule, threshold, expectile, mask_regularizer, n_start, n_end, updates, buffer, capacity.
@pytest.mark.parametrize(
    ("task", "row"),
    [
        ("halfcheetah-m", ("return", 6000.0, None, True, 1.0, 3.0, 1_000_000, "part", 2_000_000)),
        ("halfcheetah-mr", ("return", 6000.0, None, True, 1.0, 3.0, 1_000_000, "part", 2_000_000)),
        ("halfcheetah-me", ("return", 11000.0, None, True, 1.0, 3.0, 1_000_000, "part", 2_000_000)),
        ("halfcheetah-e", ("return", 11000.0, None, True, 1.0, 3.0, 1_000_000, "part", 2_000_000)),
        ("hopper-m", ("return", 2500.0, None, True, 1.0, 3.0, 1_000_000, "part", 2_000_000)),
        ("hopper-mr", ("advantage", None, 0.7, True, 1.0, 3.0, 1_000_000, "part", 2_000_000)),
        ("hopper-me", ("advantage", None, 0.5, True, 1.0, 1.5, 1_000_000, "part", 2_000_000)),
        ("hopper-e", ("return", 3500.0, None, True, 1.0, 1.5, 1_000_000, "part", 2_000_000)),
        ("walker2d-m", ("return", 3600.0, None, True, 1.0, 3.0, 1_000_000, "part", 2_000_000)),
        ("walker2d-mr", ("advantage", None, 0.7, True, 1.0, 3.0, 1_000_000, "part", 2_000_000)),
        ("walker2d-me", ("advantage", None, 0.7, True, 1.0, 3.0, 1_000_000, "part", 2_000_000)),
        ("walker2d-e", ("return", 4800.0, None, True, 1.0, 3.0, 1_000_000, "part", 2_000_000)),
        ("antmaze-u", ("success", None, None, False, 1.0, 5.0, 2_000_000, "all", 1_500_000)),
        ("antmaze-ud", ("success", None, None, False, 1.0, 3.0, 2_000_000, "all", 1_500_000)),
        ("antmaze-mp", ("success", None, None, False, 5.0, 5.0, 2_000_000, "all", 1_500_000)),
        ("antmaze-md", ("success", None, None, False, 5.0, 5.0, 2_000_000, "all", 1_500_000)),
        ("antmaze-lp", ("success", None, None, False, 5.0, 5.0, 2_000_000, "all", 1_500_000)),
        ("antmaze-ld", ("success", None, None, False, 5.0, 5.0, 2_000_000, "all", 1_500_000)),
        ("custom", ("top_fraction", None, None, False, 1.0, 3.0, 1_000_000, "part", 2_000_000)),
    ],
)
def test_paper_preset_has_the_published_row(task, row):
    config = get(task)
    selection, coefficient = config.selection, config.coefficient
    assert row == (
        *(selection.rule, selection.threshold, selection.expectile, coefficient.mask_regularizer),
        *(coefficient.n_start, coefficient.n_end, config.num_updates),
        *(config.online.buffer, config.online.buffer_capacity),
    )


@pytest.mark.parametrize("task", LOCOMOTION)
def test_locomotion_constants(task):
    config = get(task)
    assert (config.batch_size, config.discount) == (256, 0.99)
    assert config.critic.to_dict() == {
        "width": 256,
        "hidden_layers": (3, 3),
        "layer_norm": True,
        "output_gain": 0.01,
        "learning_rate": 3e-4,
        "tau": 0.005,
        "max_backup": False,
        "backup_entropy": False,
        "num_actions": 10,
        "importance_sampling": True,
        "softmax_temperature": 1.0,
        "difference_min": None,
        "difference_max": None,
        "lagrange": False,
        "target_gap": 0.8,
    }
    assert config.actor.to_dict() == {
        "hidden_sizes": (256, 256, 256),
        "learning_rate": 3e-5,
        "bc_weight": 0.0,
        "orthogonal_gain": None,
    }
    assert config.coefficient.base == 10.0
    assert config.dataset.normalize_states
    assert (config.dataset.reward_scale, config.dataset.reward_bias) == (1.0, 0.0)
    assert not config.dataset.reward_range_scaling  # hopper-m too
    assert (config.evaluation.interval, config.evaluation.episodes) == (5_000, 10)


@pytest.mark.parametrize("task", ANTMAZE)
def test_antmaze_differs_from_locomotion_in_these_fields(task):
    row = {"selection.rule", "selection.threshold", "coefficient.mask_regularizer", "num_updates"}
    row |= {"coefficient.n_start", "coefficient.n_end", "online.buffer", "online.buffer_capacity"}
    assert {name: value for name, value in changed("hopper-m", task).items() if name not in row} == {
        "actor.learning_rate": 1e-4,
        "actor.bc_weight": 0.5,
        "coefficient.base": 5.0,
        "critic.hidden_layers": (5, 3),
        "critic.lagrange": True,
        "critic.max_backup": True,
        "critic.difference_min": -200.0,
        "dataset.normalize_states": False,
        "dataset.reward_scale": 10.0,  # 10 r - 5
        "dataset.reward_bias": -5.0,
        "evaluation.interval": 50_000,
        "evaluation.episodes": 100,
    }
    assert get(task).critic.target_gap == 0.8


@pytest.mark.parametrize("task", TASKS)
def test_what_all_tasks_share(task):
    config = get(task)
    coefficient = config.coefficient
    assert (coefficient.kind, coefficient.learning_rate) == ("state_adaptive", 1e-8)
    assert (coefficient.max_ratio, coefficient.max_grad_norm) == (1.5, 0.5)
    assert coefficient.hidden_sizes == (512, 512, 512)
    assert (coefficient.n_period, coefficient.n_increments) == (50_000, 10)
    assert (coefficient.last_kernel_init, coefficient.mask_coefficient) == ("xavier", True)
    assert (coefficient.anneal, coefficient.decay_steps) == ("cosine", 400_000)
    assert config.dataset.clip_actions == 0.9999
    online = {name: config.online[name] for name in ("num_steps", "warmup_steps", "part_k", "trust")}
    assert online == {"num_steps": 250_000, "warmup_steps": 5_000, "part_k": 50, "trust": "stale"}


BASE = {
    "critic.layer_norm": False,
    "coefficient.kind": "constant",
    "coefficient.mask_coefficient": False,
    "coefficient.mask_regularizer": False,
    "coefficient.anneal": "none",
    "dataset.clip_actions": None,
    "selection.rule": "none",
    "online.buffer": "all",
    "online.buffer_capacity": 2_500_000,  # 2e6 rows of the medium-expert sets and 250,000 online steps fit
    "online.warmup_steps": 0,
}


@pytest.mark.parametrize(
    ("task", "base"),
    [
        ("hopper-m", BASE | {"selection.threshold": None}),
        ("hopper-mr", BASE | {"selection.expectile": None}),
        ("custom", {name: value for name, value in BASE.items() if name != "coefficient.mask_regularizer"}),
    ],
)
def test_base_on_locomotion(task, base):
    assert changed(task, f"{task},variant=base") == base


@pytest.mark.parametrize("task", ANTMAZE)
def test_base_on_antmaze_has_half_the_updates_and_no_cloning(task):
    unmasked = {
        name: value for name, value in BASE.items() if name not in ("coefficient.mask_regularizer", "online.buffer")
    }
    assert changed(task, f"{task},variant=base") == unmasked | {"num_updates": 1_000_000, "actor.bc_weight": 0.0}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("task", TASKS)
def test_base_differs_from_base_ln_in_layer_norm_alone(task, preset):
    difference = changed(f"{task},variant=base,preset={preset}", f"{task},variant=base_ln,preset={preset}")
    assert difference == {"critic.layer_norm": True}


def test_library_preset_on_locomotion():
    assert changed("hopper-m", "hopper-m,preset=library") == {
        "coefficient.last_kernel_init": "zeros",
        "coefficient.anneal": "linear",
        "coefficient.mask_regularizer": False,
        "online.trust": "one",
    }


def test_the_library_preset_selects_where_the_programs_threshold_selects_nothing():
    """As TD3+BC(SA) in the same program."""
    for task in ("halfcheetah-m", "halfcheetah-mr"):
        selection, other = get(f"{task},preset=library").selection, td3_bc.get_config(task).selection
        assert {name: selection[name] for name in ("rule", "threshold", "expectile")} == {
            name: other[name] for name in ("rule", "threshold", "expectile")
        }
        assert get(f"{task},variant=base,preset=library").selection.rule == "none"


def test_library_preset_on_antmaze():
    assert changed("antmaze-lp", "antmaze-lp,preset=library") == {
        "coefficient.last_kernel_init": "zeros",
        "coefficient.anneal": "linear",
        "online.trust": "one",
        "actor.bc_weight": 0.0,
        "critic.hidden_layers": (5, 5),
    }


def test_library_preset_of_base_is_not_annealed():
    assert get("hopper-m,variant=base,preset=library").coefficient.anneal == "none"


@pytest.mark.parametrize("task", ["hopper-m", "antmaze-mp"])
def test_short_preset_is_the_papers_run_divided_by_250(task):
    config = get(f"{task},preset=short")
    assert config.num_updates == 4_000
    assert config.coefficient.learning_rate == pytest.approx(2.5e-6, rel=1e-12)  # 1e-8 * 250
    assert config.coefficient.n_period == (400 if task.startswith("antmaze") else 200)
    assert config.coefficient.mask_regularizer is False
    assert config.coefficient.decay_steps == 1_600
    assert (config.online.num_steps, config.online.warmup_steps) == (1_000, 20)
    assert (config.evaluation.interval, config.evaluation.episodes) == (500, 10)
    assert config.checkpoint.every == 2_000
    assert config.selection.num_updates == 20_000  # small networks, so as in the other short presets
    assert config.dataset.embedded.num_steps < 1_000_000


def with_fields(arg: str, changes: dict):
    config = get(arg)
    config.update_from_flattened_dict(changes)
    return config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"critic.hidden_layers": (3,)}, r"hidden_layers=\(3,\) must be two positive integers such as \(3, 3\)"),
        ({"critic.hidden_layers": (3, 3, 3)}, r"hidden_layers=\(3, 3, 3\) must be two positive integers"),
        ({"critic.hidden_layers": (3, 0)}, r"hidden_layers=\(3, 0\) must be two positive integers"),
        ({"critic.hidden_layers": (3, 2.0)}, r"hidden_layers=\(3, 2\.0\) must be two positive integers"),
        ({"critic.width": 0}, r"critic\.width=0 must be positive"),
        ({"critic.num_actions": 0}, r"critic\.num_actions=0 must be positive"),
        ({"critic.softmax_temperature": 0.0}, r"critic\.softmax_temperature=0\.0 must be positive"),
        ({"critic.output_gain": 0.0}, r"critic\.output_gain=0\.0 must be positive"),
        ({"critic.target_gap": math.inf}, r"critic\.target_gap=inf must be finite"),
        ({"critic.difference_min": -math.inf}, r"critic\.difference_min=-inf must be finite"),
        ({"critic.difference_max": math.nan}, r"critic\.difference_max=nan must be finite"),
        (
            {"critic.difference_min": 1.0, "critic.difference_max": 1.0},
            r"critic\.difference_min=1\.0 must be below critic\.difference_max=1\.0",
        ),
        ({"actor.bc_weight": -0.5}, r"actor\.bc_weight=-0\.5 must be zero or more"),
        ({"dataset.clip_actions": None}, r"dataset\.clip_actions=None must be below 1, such as 0\.9999, for coeff"),
        ({"dataset.clip_actions": 1.0}, r"dataset\.clip_actions=1\.0 must be below 1"),
        ({"dataset.clip_actions": 1 - 1e-8}, r"clip_actions=0\.99999999 must be below 1"),  # 1 in float32
        ({"selection.rule": "advantage"}, r"rule='advantage' needs selection\.expectile"),
    ],
)
def test_each_check_names_the_field_and_its_value(changes, message):
    with pytest.raises(UserError, match=message) as caught:
        check_config(with_fields("hopper-m", changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arg", "changes"),
    [
        ("hopper-m", {"critic.difference_min": -200.0}),
        ("hopper-m", {"critic.difference_min": -1.0, "critic.difference_max": 0.0}),
        ("antmaze-u", {"critic.difference_min": None, "critic.target_gap": -1.0}),
        ("hopper-m", {"critic.hidden_layers": (1, 7)}),
        ("hopper-m", {"dataset.clip_actions": 1 - 1e-6}),
        ("hopper-m,variant=base", {"dataset.clip_actions": 1.0}),
    ],
)
def test_valid_configs_pass(arg, changes):
    check_config(with_fields(arg, changes))


def test_base_made_adaptive_must_clip_its_actions():
    with pytest.raises(UserError, match=r"dataset\.clip_actions=None must be below 1"):
        check_config(with_fields("hopper-m,variant=base", {"coefficient.kind": "state_adaptive"}))


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("variant", cql.VARIANTS)
@pytest.mark.parametrize("task", ["hopper-m", "antmaze-ld", "custom"])
def test_json_round_trip_is_exact(task, variant, preset, tmp_path, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    config = get(f"{task},variant={variant},preset={preset}")
    config.critic.hidden_layers = (2, 1)
    config.critic.difference_max = 1e30
    config.dataset.clip_actions = 1 - 1e-5  # 0.99999
    assert_round_trip(config, tmp_path / "config.json")


def test_the_networks_of_corls_fine_tuning():
    """Five hidden layers in both critics, and gain sqrt(2) in all layers of actor and critics."""
    networks = {"critic.output_gain": math.sqrt(2.0), "actor.orthogonal_gain": math.sqrt(2.0)}
    assert changed("antmaze-u,variant=base", "antmaze-u,variant=base_finetune") == networks | {
        "critic.hidden_layers": (5, 5)
    }
    assert changed("hopper-m,variant=base", "hopper-m,variant=base_finetune") == networks
