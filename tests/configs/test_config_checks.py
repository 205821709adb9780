"""Checks of a whole config: each message names the field and its value."""

import math
import subprocess
import sys
from pathlib import Path

import pytest

from configs import awac, bc, edac, fam_cql, td3_bc
from configs.checks import check_config
from configs.common import Config
from ssar_jax.errors import UserError


def with_fields(task: str, changes: dict) -> Config:
    config = td3_bc.get_config(task)
    config.update_from_flattened_dict(changes)
    return config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_updates": 0}, "num_updates=0 must be positive"),
        ({"num_seeds": -1}, "num_seeds=-1 must be positive"),
        ({"evaluation.interval": 0}, r"evaluation\.interval=0 must be positive"),
        ({"selection.num_updates": 0}, r"selection\.num_updates=0 must be positive"),
        ({"seed": -1}, "seed=-1 must be zero or more"),
        ({"discount": 1.01}, r"discount=1\.01 must be between 0 and 1"),
        ({"discount": math.nan}, "discount=nan must be between 0 and 1"),
        ({"actor.learning_rate": math.inf}, r"actor\.learning_rate=inf must be finite"),
        ({"dataset.reward_bias": math.nan}, r"dataset\.reward_bias=nan must be finite"),
        ({"critic.tau": 0.0}, r"critic\.tau=0\.0 must be above 0 and at most 1"),
        ({"selection.fraction": 1.5}, r"selection\.fraction=1\.5 must be above 0"),
        ({"dataset.clip_actions": 2.0}, r"dataset\.clip_actions=2\.0 must be above 0"),
        ({"coefficient.max_ratio": 1.0}, r"coefficient\.max_ratio=1\.0 must be larger than 1"),
        ({"actor.hidden_sizes": (256, 0)}, r"hidden_sizes=\(256, 0\) must be a tuple of positive integers"),
        ({"actor.hidden_sizes": (256.0,)}, r"actor\.hidden_sizes=\(256\.0,\) must be"),
        ({"actor.hidden_sizes": ()}, r"actor\.hidden_sizes=\(\) must be"),
        ({"num_updates": None}, "num_updates is unset; it needs a value"),
        ({"physics": "d4rl"}, r"physics='d4rl' is unknown; choose one of auto, .*; did you mean d4rl-v2\?"),
        ({"selection.rule": "returns"}, r"selection\.rule='returns' is unknown; .*; did you mean return\?"),
        ({"online.buffer": "parts"}, r"online\.buffer='parts' is unknown; .*; did you mean part\?"),
        ({"coefficient.kind": "x"}, r"kind='x' is unknown; choose one of state_adaptive, constant"),
        ({"coefficient.n_end": 0.5}, r"coefficient\.n_end=0\.5 is below coefficient\.n_start=1\.0"),
        ({"selection.threshold": None}, r"rule='return' needs selection\.threshold, which is unset"),
        ({"selection.rule": "advantage"}, r"selection\.rule='advantage' needs selection\.expectile"),
        ({"selection.rule": "success"}, r"rule='success' needs a task with a goal, and hopper-m has none"),
        ({"dataset.source": "path"}, r"dataset\.source='path' needs dataset\.path"),
        ({"dataset.source": "d4rl", "dataset.path": "a.npz"}, r"dataset\.path='a\.npz' contradicts .*'d4rl'"),
        ({"environment.id": "Hopper-v5"}, r"environment\.id='Hopper-v5' belongs to task custom"),
        ({"dataset.action_low": -1.0}, r"dataset\.action_low=-1\.0 belongs to task custom"),
        ({"online.warmup_steps": 250_000}, r"warmup_steps=250000 must be below online\.num_steps=250000"),
        ({"online.buffer": "half", "batch_size": 255}, r"batch_size=255 must be even for .*'half'"),
        ({"num_updates": 2**31}, "num_updates=2147483648 must be below 2,147,483,648: counters have 32 bits"),
        ({"batch_size": 10**12}, "batch_size=1000000000000 must be below 2,147,483,648"),
        ({"seed": 2**31 - 1, "num_seeds": 2}, "seed=2147483647 with num_seeds=2 ends at 2147483648"),
    ],
)
def test_each_check_names_the_field_and_its_value(changes, message):
    check_config(td3_bc.get_config("hopper-m"))
    with pytest.raises(UserError, match=message) as caught:
        check_config(with_fields("hopper-m", changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"discount": 0.0},
        {"discount": 1.0},
        {"selection.rule": "none"},
        {"selection.rule": "top_fraction", "selection.fraction": 1.0},
        {"selection.rule": "advantage", "selection.expectile": 0.7},
        {"coefficient.n_start": 3.0},
        {"dataset.path": "my.hdf5"},
        {"dataset.path": "D4RL/x-v0", "dataset.source": "minari"},
        {"online.warmup_steps": 0},
        {"coefficient.decay_steps": 0},
        {"seed": 2**31 - 1},
    ],
)
def test_valid_configs_pass(changes):
    check_config(with_fields("hopper-m", changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset.path": None}, r"task custom needs your data: --config\.dataset\.path="),
        ({"dataset.source": "embedded"}, r"dataset\.path='x\.npz' contradicts dataset\.source='embedded'"),
        ({"dataset.action_low": -1.0}, r"action_low=-1\.0 and .*action_high=None must be given"),
        ({"dataset.action_low": 2.0, "dataset.action_high": 2.0}, r"action_low=2\.0 must be below .*=2\.0"),
        ({"dataset.action_low": (-1.0, 1.0), "dataset.action_high": 1.0}, r"\(-1\.0, 1\.0\) must be"),
        ({"dataset.action_low": (-1, -1), "dataset.action_high": (1, 1, 1)}, "has 2 numbers, .* 3; they"),
        ({"dataset.action_low": "low", "dataset.action_high": 1.0}, "must be a number or a tuple of numbers"),
        ({"dataset.action_low": (), "dataset.action_high": 1.0}, "must be a number or a tuple of numbers"),
        ({"dataset.action_low": -math.inf, "dataset.action_high": 1.0}, "all finite"),
    ],
)
def test_custom_needs_data_and_valid_bounds(changes, message):
    with pytest.raises(UserError, match=message):
        check_config(with_fields("custom", {"dataset.path": "x.npz"} | changes))


@pytest.mark.parametrize(
    ("low", "high"),
    [(None, None), (-2, 2), (-2.0, (1.0, 2.0)), ((-1.0, -2.0), 0), ((-1.0, -2.0), (0.0, 0.0))],
)
def test_custom_takes_bounds_as_numbers_or_tuples(low, high):
    changes = {"dataset.path": "x.npz", "dataset.action_low": low, "dataset.action_high": high}
    check_config(with_fields("custom", changes))


def test_an_algorithm_without_a_coefficient_is_checked_too():
    config = td3_bc.get_config("hopper-m").unlock()
    del config["coefficient"]
    del config.online["buffer"]
    check_config(config.lock())
    for group in ("critic", "actor"):
        del config.unlock()[group]
    check_config(config.lock())


def test_configs_do_not_import_jax():
    code = "import sys, configs.td3_bc, configs.checks; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


@pytest.mark.parametrize("make", [bc.get_config, awac.get_config, edac.get_config, fam_cql.get_config])
def test_a_selection_that_nothing_reads_is_refused(make):
    config = make("hopper-m")
    check_config(config)
    config.selection.rule = "top_fraction"
    with pytest.raises(UserError, match=r"'top_fraction' has no effect: .*, and \w+ has none; dataset\.keep_fraction="):
        check_config(config)
