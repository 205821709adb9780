"""The shipped IQL configs: hand-typed rows of both programs' tables, the presets, their checks."""

from functools import partial
from pathlib import Path

import pytest

from configs import iql
from configs.checks import check_config
from configs.common import PRESETS
from ssar_jax.errors import UserError
from tests.configs import helpers
from tests.configs.helpers import ANTMAZE, TASKS, assert_round_trip

get = iql.get_config
changed = partial(helpers.changed, get)


def test_the_default_is_corls():
    assert get("hopper-m").variant == "corl"


@pytest.mark.parametrize("task", TASKS)
def test_sa_is_corl_with_a_coefficient(task):
    """Around the published strength; it learns from the selected transitions and acts in all states."""
    config = get(f"{task},variant=sa")
    assert changed(task, f"{task},variant=sa") == {
        "selection.rule": "success" if task in ANTMAZE else "top_fraction",
    }
    coefficient = config.coefficient
    assert (coefficient.kind, coefficient.base, coefficient.max_ratio) == ("state_adaptive", 1.0, 1.5)
    assert (coefficient.mask_coefficient, coefficient.mask_regularizer) == (True, False)
    assert (coefficient.anneal, coefficient.anneal_floor) == ("linear", 0.2)


COMMON = (0.7, 3.0, 0.005, False, False)
MAZE = (0.9, 10.0, 0.005, False, False)


# Typed by hand from CORL's configuration files: expectile, temperature, tau, deterministic, range scaling.
@pytest.mark.parametrize(
    ("task", "row"),
    [
        ("hopper-m", (0.7, 3.0, 0.001, True, True)),
        ("hopper-mr", (0.7, 3.0, 0.001, True, True)),
        ("hopper-me", (0.5, 6.0, 0.005, False, False)),
        *((f"{agent}-{tier}", COMMON) for agent in ("halfcheetah", "walker2d") for tier in ("m", "mr", "me", "e")),
        ("hopper-e", COMMON),
        *((f"antmaze-{maze}", MAZE) for maze in ("u", "ud", "mp", "md", "lp", "ld")),
        ("custom", COMMON),
    ],
)
def test_corl_has_the_published_row(task, row):
    config = get(task)
    assert row == (
        *(config.critic.expectile, config.actor.temperature, config.critic.tau, config.actor.deterministic),
        config.dataset.reward_range_scaling,
    )
    assert config.dataset.normalize_states
    assert config.dataset.clip_actions is None
    assert config.online.noise == (0.03 if config.actor.deterministic else 0.0)


@pytest.mark.parametrize("task", TASKS)
def test_official_has_one_setting_for_each_family(task):
    config, antmaze = get(f"{task},variant=official"), task in ANTMAZE
    assert (config.critic.expectile, config.actor.temperature) == ((0.9, 10.0) if antmaze else (0.7, 3.0))
    assert config.critic.tau == 0.005
    assert not config.actor.deterministic
    assert config.online.noise == 0.0
    assert config.dataset.reward_range_scaling is not antmaze
    assert not config.dataset.normalize_states
    assert config.dataset.clip_actions == 0.99999


@pytest.mark.parametrize("arg", [f"{task},variant={variant}" for task in TASKS for variant in ("corl", "official")])
def test_what_both_programs_share(arg):
    config, antmaze = get(arg), arg.startswith("antmaze-")
    assert (config.num_updates, config.batch_size, config.discount) == (1_000_000, 256, 0.99)
    assert (config.critic.hidden_sizes, config.critic.learning_rate) == ((256, 256), 3e-4)
    assert (config.actor.schedule, config.actor.decay_steps) == ("cosine", None)
    assert (config.dataset.reward_scale, config.dataset.reward_bias) == (1.0, -1.0 if antmaze else 0.0)
    selection = config.selection
    assert (selection.rule, selection.threshold, selection.expectile) == ("none", None, None)
    assert "coefficient" not in config
    online = {name: config.online[name] for name in ("num_steps", "warmup_steps", "buffer", "buffer_capacity")}
    assert online == {"num_steps": 250_000, "warmup_steps": 0, "buffer": "all", "buffer_capacity": 2_500_000}


@pytest.mark.parametrize(
    ("arg", "interval", "episodes"),
    [
        ("hopper-m", 5_000, 10),
        ("hopper-m,variant=official", 5_000, 10),
        ("antmaze-mp", 50_000, 100),
        ("antmaze-mp,variant=official", 100_000, 100),
    ],
)
def test_evaluation(arg, interval, episodes):
    config = get(arg)
    assert (config.evaluation.interval, config.evaluation.episodes) == (interval, episodes)


@pytest.mark.parametrize("variant", iql.VARIANTS)
@pytest.mark.parametrize("task", TASKS)
def test_library_preset_trusts_online_data_and_starts_the_coefficient_at_its_base(task, variant):
    paper = f"{task},variant={variant}"
    further = {"coefficient.last_kernel_init": "zeros"} if variant == "sa" else {}
    if variant != "official":
        further["online.actor_schedule"] = "constant"
    assert changed(paper, f"{paper},preset=library") == {"online.trust": "one", **further}


@pytest.mark.parametrize("arg", ["hopper-m", "antmaze-mp,variant=official"])
def test_short_preset_is_a_fiftieth_of_the_run(arg):
    config = get(f"{arg},preset=short")
    assert config.num_updates == 20_000
    assert config.actor.decay_steps is None  # the actor's rate still ends at 0
    assert (config.online.num_steps, config.online.warmup_steps) == (5_000, 0)
    assert (config.evaluation.interval, config.evaluation.episodes) == (2_500, 10)
    assert config.checkpoint.every == 10_000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"actor.schedule": "linear"}, r"actor\.schedule='linear' is unknown; choose one of cosine, constant"),
        ({"actor.decay_steps": 0}, r"actor\.decay_steps=0 must be positive"),
        ({"actor.temperature": -1.0}, r"actor\.temperature=-1\.0 must be zero or more"),
        ({"critic.expectile": 1.0}, r"critic\.expectile=1\.0 must be between 0 and 1, ends excluded"),
        ({"critic.hidden_sizes": ()}, r"critic\.hidden_sizes=\(\) must be a tuple of positive integers"),
        ({"online.noise": -0.1}, r"online\.noise=-0\.1 must be zero or more"),
    ],
)
def test_each_check_names_the_field_and_its_value(changes, message):
    config = get("hopper-m")
    config.update_from_flattened_dict(changes)
    with pytest.raises(UserError, match=message) as caught:
        check_config(config)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [{"actor.decay_steps": 500}, {"actor.schedule": "constant"}, {"actor.temperature": 0.0}],  # 0: cloning
)
def test_valid_configs_pass(changes):
    config = get("hopper-m")
    config.update_from_flattened_dict(changes)
    check_config(config)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("variant", iql.VARIANTS)
@pytest.mark.parametrize("task", ["hopper-m", "antmaze-ld", "custom"])
@pytest.mark.parametrize("decay_steps", [None, 300_000])
def test_json_round_trip_is_exact(task, variant, preset, decay_steps, tmp_path, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    config = get(f"{task},variant={variant},preset={preset}")
    config.actor.decay_steps = decay_steps
    assert_round_trip(config, tmp_path / "config.json")


@pytest.mark.parametrize("task", ["hopper-m", "antmaze-u"])
def test_the_online_learning_rate_of_the_actor(task):
    """CORL's goes on along its cosine, from 0 upwards; the authors' is constant, and so is the library's choice."""
    schedules = {
        argument: get(f"{task},{argument}").online.actor_schedule
        for argument in ("variant=corl", "variant=sa", "variant=official", "preset=library")
    }
    assert schedules == {
        "variant=corl": "cosine_wrap",
        "variant=sa": "cosine_wrap",
        "variant=official": "constant",
        "preset=library": "constant",
    }
