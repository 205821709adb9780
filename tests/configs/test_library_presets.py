"""The preset `library` equals the defaults in Python, and unset fields reach the algorithms."""

import inspect
import math

import pytest

from configs import cql as cql_config
from configs import iql as iql_config
from ssar_jax.algorithms import cql, iql
from ssar_jax.coefficients.state_adaptive import state_adaptive
from ssar_jax.data.tasks import CUSTOM, TASKS

LOCOMOTION = [*(task.name for task in TASKS if task.agent != "antmaze"), CUSTOM]


@pytest.fixture
def hyperparameters(monkeypatch):
    """Returns a function that gives the hyperparameters with which a module builds the algorithm of a config."""

    def collect(module, config):
        name = module.__name__.rpartition(".")[2]
        with monkeypatch.context() as patch:
            patch.setattr(module, name, lambda action_size, coefficient=None, config=None: config)
            return module.from_config(config, 3)

    return collect


@pytest.mark.parametrize("task", LOCOMOTION)
def test_cql(task, hyperparameters):
    assert hyperparameters(cql, cql_config.get_config(f"{task},preset=library")) == cql.PUBLISHED


@pytest.mark.parametrize("task", [task for task in LOCOMOTION if task not in ("hopper-m", "hopper-mr", "hopper-me")])
def test_iql(task, hyperparameters):
    """Three hopper tasks have other settings in CORL's table."""
    assert hyperparameters(iql, iql_config.get_config(f"{task},preset=library")) == iql.PUBLISHED


def test_coefficient_of_cql():
    """All except its learning rate and base: in Python the first is that of TD3+BC, the second has no default."""
    coefficient = cql_config.get_config("custom,preset=library").coefficient
    compared = []
    for name, parameter in inspect.signature(state_adaptive).parameters.items():
        if parameter.default is not inspect.Parameter.empty and name != "learning_rate":
            assert coefficient[name] == parameter.default, name
            compared.append(name)
    assert {"max_ratio", "hidden_sizes", "last_kernel_init", "n_period"} < set(compared)
    assert coefficient.base == 10.0


def test_an_unset_clip_of_the_difference_is_none(hyperparameters):
    config = cql_config.get_config("antmaze-u")
    built = hyperparameters(cql, config)
    assert (built.difference_min, built.difference_max) == (-200.0, math.inf)
    config.critic.difference_min, config.critic.difference_max = None, 7.0
    built = hyperparameters(cql, config)
    assert (built.difference_min, built.difference_max) == (-math.inf, 7.0)


def test_critics_of_antmaze_differ_in_depth(hyperparameters):
    config = cql_config.get_config("antmaze-u")
    assert hyperparameters(cql, config).critic_hidden_sizes == ((256,) * 5, (256,) * 3)


def test_an_unset_decay_of_iqls_actor_follows_the_number_of_updates(hyperparameters):
    config = iql_config.get_config("hopper-m")
    assert hyperparameters(iql, config).actor_decay_steps == 1_000_000
    config.num_updates = 7_000
    assert hyperparameters(iql, config).actor_decay_steps == 7_000
    config.actor.decay_steps = 500
    assert hyperparameters(iql, config).actor_decay_steps == 500
