"""From configs to algorithms: shipped configs, the library's defaults, and custom algorithms."""

import inspect
from pathlib import Path
from types import SimpleNamespace

import pytest

from configs import awac, bc, cal_ql, cql, edac, fam_cql, iql, rebrac, spot
from configs import td3_bc as td3_bc_config
from ssar_jax.algorithms import registry, td3_bc
from ssar_jax.algorithms.registry import Entry
from ssar_jax.coefficients import build
from ssar_jax.coefficients.state_adaptive import state_adaptive
from ssar_jax.data.tasks import CUSTOM, TASKS
from ssar_jax.errors import UserError

CONFIGS = {
    **{"td3_bc": td3_bc_config, "cql": cql, "iql": iql, "spot": spot, "fam_cql": fam_cql, "bc": bc},
    **{"rebrac": rebrac, "awac": awac, "edac": edac, "cal_ql": cal_ql},
}
NAMES = {
    ("td3_bc", "sa"): "TD3+BC(SA)",
    ("td3_bc", "base"): "TD3+BC",
    ("td3_bc", "base_ln"): "TD3+BC with LayerNorm",
    ("cql", "sa"): "CQL(SA)",
    ("cql", "base"): "CQL",
    ("cql", "base_ln"): "CQL with LayerNorm",
    ("cql", "base_finetune"): "CQL with CORL's networks for fine-tuning",
    ("iql", "corl"): "IQL",
    ("iql", "official"): "IQL (authors' form)",
    ("iql", "sa"): "IQL(SA)",
    ("spot", "base"): "SPOT",
    ("spot", "sa"): "SPOT(SA)",
    ("fam_cql", "base"): "FamCQL",
    ("bc", "base"): "BC",
    ("bc", "top10"): "10 % BC",
    ("rebrac", "base"): "ReBRAC",
    ("rebrac", "sa"): "ReBRAC(SA)",
    ("awac", "base"): "AWAC",
    ("edac", "base"): "EDAC",
    ("edac", "sac_n"): "SAC-N",
    ("cal_ql", "base"): "Cal-QL",
    ("cal_ql", "corl"): "Cal-QL (CORL's form)",
    ("cal_ql", "sa"): "Cal-QL(SA)",
}


@pytest.fixture
def entries(monkeypatch):
    """A copy of the registered algorithms, so that a test may register others."""
    monkeypatch.setattr(registry, "_ENTRIES", dict(registry._ENTRIES))
    return registry._ENTRIES


@pytest.mark.parametrize("variant", td3_bc_config.VARIANTS)
@pytest.mark.parametrize("preset", ["paper", "library", "short"])
def test_every_shipped_config_builds(variant, preset):
    for task in (*(task.name for task in TASKS), CUSTOM):
        config = td3_bc_config.get_config(f"{task},variant={variant},preset={preset}")
        algorithm = registry.build(config, action_size=3)
        assert callable(algorithm.update)


def test_the_library_preset_is_what_python_gives(monkeypatch):
    """On locomotion; AntMaze's table has its own values."""
    config = td3_bc_config.get_config("custom,preset=library")
    monkeypatch.setattr(td3_bc, "td3_bc", lambda action_size, coefficient, config: config)
    assert td3_bc.from_config(config, 3) == td3_bc.PUBLISHED == td3_bc.TD3BCConfig()
    monkeypatch.setattr(build, "state_adaptive", lambda base, **options: {"base": base} | options)
    defaults = {name: parameter.default for name, parameter in inspect.signature(state_adaptive).parameters.items()}
    assert build.from_config(config.coefficient) == defaults | {"base": 0.4}  # the base has no default


@pytest.mark.parametrize(("algorithm", "variant"), NAMES)
def test_every_variant_has_its_display_name(algorithm, variant):
    config = CONFIGS[algorithm].get_config(f"hopper-m,variant={variant}")
    assert registry.display_name(config) == NAMES[algorithm, variant]


def test_the_names_above_are_all():
    assert list(registry._ENTRIES) == list(CONFIGS)
    for algorithm, module in CONFIGS.items():
        variants = {variant for name, variant in NAMES if name == algorithm}
        assert variants == set(module.VARIANTS) == set(registry.get_entry(algorithm).display_names)


@pytest.mark.parametrize("algorithm", CONFIGS)
def test_every_algorithm_counts_its_operations(algorithm):
    """More for a larger minibatch: they are proportional to it."""
    config = CONFIGS[algorithm].get_config("hopper-m")
    operations = registry.get_entry(algorithm).operations
    assert operations is not None
    once = operations(config, 11, 3)
    config.batch_size *= 2
    assert once > 1e6
    assert operations(config, 11, 3) == pytest.approx(2.0 * once)


def test_a_custom_algorithm(entries):
    """It builds from its config, its one named variant has that name, and others are named after the config."""
    entry = Entry(lambda config, action_size: (config.variant, action_size), {"base": "Mine"})
    registry.register("mine", entry)
    config = SimpleNamespace(algorithm="mine", variant="base")
    assert registry.get_entry("mine") is entries["mine"] is entry
    assert registry.build(config, action_size=3) == ("base", 3)
    assert registry.display_name(config) == "Mine"
    assert registry.display_name(SimpleNamespace(algorithm="mine", variant="fast")) == "mine fast"
    assert entry.operations is None
    registry.register("mine", entry)  # a module may be imported twice


@pytest.mark.parametrize("name", ["td3_bc", "mine"])
def test_a_name_is_given_once(entries, name):
    registry.register("mine", Entry(lambda config, action_size: None))
    before = dict(entries)
    with pytest.raises(UserError, match=f"algorithm '{name}' is registered already: choose another name"):
        registry.register(name, Entry(lambda config, action_size: None))
    assert entries == before


def test_unknown_names_get_one_line():
    config = td3_bc_config.get_config("hopper-m").copy_and_resolve_references()
    config.algorithm = "td3"
    message = (
        r"^algorithm 'td3' is unknown: choose one of td3_bc, cql, iql, spot, fam_cql, bc, rebrac, awac, edac, cal_ql, "
        r"or name a "
        r"custom one as <module>:<entry>$"
    )
    for function in (lambda: registry.build(config, 3), lambda: registry.display_name(config)):
        with pytest.raises(UserError, match=message):
            function()
    config.coefficient.kind = "learned"
    with pytest.raises(UserError, match="'learned' is unknown: choose constant or state_adaptive"):
        build.from_config(config.coefficient)


def test_an_entry_is_found_by_its_module(monkeypatch):
    """Without registering it, so that `experiments.evaluate` finds what `experiments.offline` trained."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "smoke")
    entry = registry.get_entry("custom_algorithm:ENTRY")
    assert entry.display_names == {"base": "Linear behavior cloning"}
    with pytest.raises(UserError, match=r"'no_module:ENTRY' cannot be imported \(No module.*PYTHONPATH"):
        registry.get_entry("no_module:ENTRY")
    with pytest.raises(UserError, match=r"'custom_algorithm:MISSING' cannot be imported \(module"):
        registry.get_entry("custom_algorithm:MISSING")
    with pytest.raises(UserError, match=r"'custom_algorithm:clone' is a function: name an algorithms\.registry\.Entry"):
        registry.get_entry("custom_algorithm:clone")
