"""The preset `library` is what Python gives without a config, and unset fields reach the algorithms rightly."""

import inspect
import math

import pytest

from configs import cql as cql_config
from configs import iql as iql_config
from ssar_jax.algorithms import cql, iql
from ssar_jax.coefficients import state_adaptive
from ssar_jax.data.tasks import CUSTOM, TASKS
from ssar_jax.networks.coefficient import CoefficientNet

LOCOMOTION = [*(task.name for task in TASKS if task.agent != "antmaze"), CUSTOM]


@pytest.mark.parametrize("task", LOCOMOTION)
def test_cql(task):
    config = cql_config.get_config(f"{task},preset=library")
    assert cql.hyperparameters_from_config(config) == cql.PUBLISHED


@pytest.mark.parametrize("task", [task for task in LOCOMOTION if task not in ("hopper-m", "hopper-mr", "hopper-me")])
def test_iql(task):
    """Three hopper tasks have rows of their own in CORL's table."""
    config = iql_config.get_config(f"{task},preset=library")
    assert iql.hyperparameters_from_config(config) == iql.PUBLISHED


def test_coefficient_of_cql():
    """All but its learning rate and base, which in Python are those of TD3+BC or have no default."""
    coefficient = cql_config.get_config("custom,preset=library").coefficient
    for name, parameter in inspect.signature(state_adaptive.make).parameters.items():
        if parameter.default is not inspect.Parameter.empty and name != "learning_rate":
            assert coefficient[name] == parameter.default, name
    network = CoefficientNet(base=10.0)
    for name in ("base", "max_ratio", "hidden_sizes", "last_kernel_init"):
        assert coefficient[name] == getattr(network, name), name


def test_an_unset_clip_of_the_difference_is_none():
    config = cql_config.get_config("antmaze-u")
    hyperparameters = cql.hyperparameters_from_config(config)
    assert (hyperparameters.difference_min, hyperparameters.difference_max) == (-200.0, math.inf)
    config.critic.difference_min, config.critic.difference_max = None, 7.0
    hyperparameters = cql.hyperparameters_from_config(config)
    assert (hyperparameters.difference_min, hyperparameters.difference_max) == (-math.inf, 7.0)


def test_critics_of_antmaze_differ_in_depth():
    config = cql_config.get_config("antmaze-u")
    assert cql.hyperparameters_from_config(config).critic_hidden_sizes == ((256,) * 5, (256,) * 3)


def test_an_unset_decay_of_iqls_actor_follows_the_number_of_updates():
    config = iql_config.get_config("hopper-m")
    assert iql.hyperparameters_from_config(config).actor_decay_steps == 1_000_000
    config.num_updates = 7_000
    assert iql.hyperparameters_from_config(config).actor_decay_steps == 7_000
    config.actor.decay_steps = 500
    assert iql.hyperparameters_from_config(config).actor_decay_steps == 500
