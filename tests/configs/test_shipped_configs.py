"""Properties of every shipped config of all algorithms."""

import functools
import itertools
from types import ModuleType

import pytest

from configs import awac, bc, cal_ql, cql, edac, fam_cql, iql, rebrac, spot, td3_bc
from configs.checks import CHOICES, check_config
from configs.common import IDENTITY, PRESETS, fields
from ssar_jax.algorithms import registry
from ssar_jax.ranges import range_of
from tests.configs.helpers import LOCOMOTION, TASKS

# Config file: its tasks, and the number of its configs.
FILES: dict[str, tuple[ModuleType, list[str], int]] = {
    "td3_bc": (td3_bc, TASKS, 19 * 3 * 3),
    "cql": (cql, TASKS, 19 * 4 * 3),
    "iql": (iql, TASKS, 19 * 3 * 3),
    "spot": (spot, TASKS, 19 * 2 * 3),
    "bc": (bc, TASKS, 19 * 2 * 3),
    "fam_cql": (fam_cql, LOCOMOTION, 13 * 1 * 3),
    "rebrac": (rebrac, TASKS, 19 * 2 * 3),
    "awac": (awac, TASKS, 19 * 1 * 3),
    "edac": (edac, TASKS, 19 * 2 * 3),
    "cal_ql": (cal_ql, TASKS, 19 * 3 * 3),
}
UNCHECKED = {*IDENTITY, "dataset.path", "environment.id", "critic.hidden_layers"}  # the last has a check of CQL's own


@functools.cache
def shipped(name: str) -> list[tuple[str, str, str]]:
    """Task, variant and preset of every config of a file."""
    module, tasks, _ = FILES[name]
    return list(itertools.product(tasks, module.VARIANTS, PRESETS))


@pytest.mark.parametrize("name", FILES)
def test_the_counts(name):
    assert len(set(shipped(name))) == FILES[name][2]


@pytest.mark.parametrize(
    ("name", "task", "variant", "preset"), [(name, *choice) for name in FILES for choice in shipped(name)]
)
def test_is_locked_passes_its_checks_and_builds(name, task, variant, preset):
    config = FILES[name][0].get_config(f"{task},variant={variant},preset={preset}")
    assert config.is_locked
    assert [config[field] for field in ("algorithm", "task", "variant", "preset")] == [name, task, variant, preset]
    if task == "custom":
        config.dataset.path = "my.hdf5"
    check_config(config)
    assert callable(registry.build(config, action_size=3).update)


@pytest.mark.parametrize(
    ("name", "variant"), [(name, variant) for name in FILES for variant in FILES[name][0].VARIANTS]
)
def test_every_field_has_a_check(name, variant):
    """Every number has a range and every name its choices."""
    for field_name, field in fields(FILES[name][0].get_config(f"hopper-m,variant={variant}")).items():
        checked = field_name in CHOICES or range_of(field_name) is not None or field_name.endswith("hidden_sizes")
        assert checked or field.kind in (bool, object) or field_name in UNCHECKED, field_name


@pytest.mark.parametrize("name", FILES)
def test_all_configs_of_a_file_have_the_same_fields_and_types(name):
    """Except for IQL's variant sa, which also has the group `coefficient`."""

    def kinds(task, variant, preset):
        config = FILES[name][0].get_config(f"{task},variant={variant},preset={preset}")
        return {field: value._replace(value=None) for field, value in fields(config).items()}

    reference = kinds("hopper-m", FILES[name][0].VARIANTS[0], "paper")
    for task, variant, preset in shipped(name):
        own = kinds(task, variant, preset)
        if (name, variant) == ("iql", "sa"):
            groups = {field.partition(".")[0] for field in own.keys() - reference.keys()}
            assert groups == {"coefficient"}
            own = {field: own[field] for field in reference}
        assert own == reference, (task, variant, preset)
