"""Display names of systems: from the run, else from a table, else made of algorithm and variant."""

import pytest

from ssar_jax.reporting.statistics.names import label, system_name
from tests.reporting.report_runs import groups_of, write_run


@pytest.mark.parametrize(
    ("algorithm", "variant", "name"),
    [("iql", "corl", "IQL"), ("spot", "sa", "SPOT(SA)"), ("td3_bc", "base", "TD3+BC"), ("sac", "x", "sac x")],
)
def test_runs_of_older_versions_are_named_by_algorithm_and_variant(tmp_path, algorithm, variant, name):
    write_run(tmp_path / "a", summary={"algorithm": algorithm, "variant": variant})
    (group,), _ = groups_of(tmp_path)
    assert system_name(group) == label(group) == name


def test_a_run_names_its_own_system(tmp_path):
    """Also in a group with a run of an older version."""
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", summary={"seeds": [2, 3], "system": "Toy(SA)"})
    (group,), _ = groups_of(tmp_path)
    assert (len(group.runs), system_name(group)) == (2, "Toy(SA)")


def test_a_label_has_the_settings_that_differ(tmp_path):
    write_run(tmp_path / "a", summary={"system": "Toy"})
    write_run(tmp_path / "b", config={"critic": {"tau": 0.01}}, summary={"system": "Toy"})
    assert [label(group) for group in groups_of(tmp_path)[0]] == ["Toy critic.tau=0.005", "Toy critic.tau=0.01"]
