"""The shipped configs of Cal-QL: what they take from CQL, the two published programs, and the algorithms built."""

import math

import numpy as np
import pytest

from configs import cal_ql as cal_ql_config
from configs import cql as cql_config
from configs.common import fields
from ssar_jax.algorithms import cal_ql, registry
from ssar_jax.runs.online import protocol_from_config
from tests.configs.helpers import TASKS

get = cal_ql_config.get_config
ANTMAZE = [task for task in TASKS if task.startswith("antmaze-")]
SOURCES = {"base": "base", "corl": "base_finetune", "sa": "sa"}


def values(config):
    return {name: field.value for name, field in fields(config).items()}


@pytest.mark.parametrize("variant", SOURCES)
@pytest.mark.parametrize("task", TASKS)
def test_all_else_is_cqls(task, variant):
    own, cqls = (
        values(get(f"{task},variant={variant}")),
        values(cql_config.get_config(f"{task},variant={SOURCES[variant]}")),
    )
    antmaze = task.startswith("antmaze-")
    changed = {name for name in cqls if own[name] != cqls[name]} - {"algorithm", "variant"}
    expected = set() if variant == "sa" else {"online.buffer"}
    if variant == "base" and antmaze:
        expected |= {"dataset.clip_actions", "critic.hidden_layers", "critic.difference_min"}
        expected |= {"actor.hidden_sizes", "actor.orthogonal_gain"}
    assert changed == expected
    assert own.keys() - cqls.keys() == {"returns.sparse", "returns.bounds_online", "actor.output_gain"}
    assert (own["returns.sparse"], own["returns.bounds_online"]) == (antmaze, variant != "corl")
    assert own["online.buffer"] == (cqls["online.buffer"] if variant == "sa" else "half")


@pytest.mark.parametrize("task", ANTMAZE)
def test_the_official_program_on_antmaze(task):
    """Typed by hand from its script and its defaults."""
    config = get(task)
    assert (config.num_updates, config.batch_size, config.discount) == (1_000_000, 256, 0.99)
    data = config.dataset
    assert (data.reward_scale, data.reward_bias, data.normalize_states, data.clip_actions) == (
        10.0,
        -5.0,
        False,
        0.99999,
    )
    assert (config.actor.hidden_sizes, config.actor.learning_rate, config.actor.bc_weight) == ((256, 256), 1e-4, 0.0)
    assert (config.actor.orthogonal_gain, config.actor.output_gain) == (math.sqrt(2.0), 0.01)
    critic = config.critic
    assert (critic.width, critic.hidden_layers, critic.output_gain, critic.layer_norm) == (256, (4, 4), 0.01, False)
    assert (critic.learning_rate, critic.tau, critic.max_backup, critic.backup_entropy) == (3e-4, 0.005, True, False)
    assert (critic.num_actions, critic.importance_sampling, critic.softmax_temperature) == (10, True, 1.0)
    assert (critic.lagrange, critic.target_gap, critic.difference_min, critic.difference_max) == (True, 0.8, None, None)
    assert (config.coefficient.kind, config.coefficient.base, config.coefficient.anneal) == ("constant", 5.0, "none")
    assert (config.online.buffer, config.online.warmup_steps, config.online.updates_per_step) == ("half", 0, 1)


@pytest.mark.parametrize("task", ANTMAZE)
def test_corls_program_on_antmaze(task):
    """Typed by hand from its config files."""
    config = get(f"{task},variant=corl")
    assert (config.critic.hidden_layers, config.critic.difference_min, config.critic.output_gain) == (
        (5, 5),
        -200.0,
        math.sqrt(2.0),
    )
    assert (config.actor.hidden_sizes, config.actor.orthogonal_gain) == ((256, 256, 256), math.sqrt(2.0))
    assert (config.dataset.clip_actions, config.actor.output_gain) == (None, None)


def test_a_failure_pays_the_bias():
    """On AntMaze every reward of a failed episode is 10 * 0 - 5; -5 / (1 - 0.99) = -500."""
    (column,) = registry.build(get("antmaze-mp"), 8).columns
    rewards = np.float32([-5.0, -5.0, -5.0, 5.0])

    class Rows:
        masks = np.float32([1, 1, 1, 0])

    Rows.rewards = rewards
    returns = column.compute(Rows, np.array([False, True, False, True]))
    np.testing.assert_allclose(returns, [-500.0, -500.0, -5.0 + 0.99 * 5.0, 5.0])
    (column,) = registry.build(get("hopper-m"), 3).columns
    np.testing.assert_allclose(column.compute(Rows, np.array([False, True, False, True]))[:2], [-9.95, -5.0])
    assert (column.name, column.unknown) == ("returns_to_go", -math.inf)


def test_the_config_is_what_python_gives(monkeypatch):
    monkeypatch.setattr(cal_ql, "cal_ql", lambda action_size, coefficient, config, **options: (config, options))
    built = cal_ql.from_config(get("hopper-m"), 3)
    assert built == (cal_ql.PUBLISHED, {"failure_reward": None, "bounds_online": True})
    built = cal_ql.from_config(get("antmaze-u,variant=corl"), 8)
    assert built[1] == {"failure_reward": -5.0, "bounds_online": False}
    protocol = protocol_from_config(get("hopper-m"))
    assert (protocol.warmup_steps, protocol.updates_per_step) == (0, 1)
