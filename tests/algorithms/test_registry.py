"""From configs to algorithms: every shipped config builds, and the library's defaults are one thing."""

import inspect

import pytest

from configs import td3_bc as td3_bc_config
from ssar_jax.algorithms import registry, td3_bc
from ssar_jax.coefficients import build, state_adaptive
from ssar_jax.data.tasks import CUSTOM, TASKS
from ssar_jax.errors import UserError
from ssar_jax.networks.coefficient import CoefficientNet


@pytest.mark.parametrize("variant", td3_bc_config.VARIANTS)
@pytest.mark.parametrize("preset", ["paper", "library", "short"])
def test_every_shipped_config_builds(variant, preset):
    for task in (*(task.name for task in TASKS), CUSTOM):
        config = td3_bc_config.get_config(f"{task},variant={variant},preset={preset}")
        algorithm = registry.build(config, action_size=3)
        assert callable(algorithm.update)


def test_the_library_preset_is_what_python_gives():
    """Locomotion, for AntMaze's table has values of its own."""
    config = td3_bc_config.get_config("custom,preset=library")
    assert td3_bc.hyperparameters_from_config(config) == td3_bc.PUBLISHED
    defaults = inspect.signature(state_adaptive.make).parameters
    for name, parameter in defaults.items():
        if parameter.default is not inspect.Parameter.empty:
            assert config.coefficient[name] == parameter.default, name
    network = CoefficientNet(base=0.4)
    for name in ("base", "max_ratio", "hidden_sizes", "last_kernel_init"):
        assert config.coefficient[name] == getattr(network, name), name


def test_unknown_names_are_told_in_one_line():
    config = td3_bc_config.get_config("hopper-m").copy_and_resolve_references()
    config.algorithm = "td3"
    with pytest.raises(
        UserError, match=r"algorithm 'td3' is unknown: choose one of td3_bc.*; one of your own is a line"
    ):
        registry.build(config, action_size=3)
    config.coefficient.kind = "learned"
    with pytest.raises(UserError, match="'learned' is unknown: choose constant or state_adaptive"):
        build.from_config(config.coefficient)
