"""Names of config fields that have changed."""

import json

import pytest

from configs import td3_bc
from configs.common import fields
from ssar_jax.nested import flatten
from ssar_jax.run_format import (
    IMPLIED_FIELDS,
    RENAMED_FIELDS,
    config_differences,
    differences,
    read_json,
    rename_fields,
)
from tests.data.helpers import user_error

OLD = {"tau": 0.005, "coefficient": {"mask_regulariser": True, "base": 0.4}, "mask_regulariser": 3}
NEW = {"tau": 0.005, "coefficient": {"mask_regularizer": True, "base": 0.4}, "mask_regulariser": 3}


def test_a_stored_config_gets_the_current_names():
    assert rename_fields(OLD) == NEW
    assert rename_fields(NEW) == NEW


def test_a_run_that_was_made_under_an_old_name_does_not_differ(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(OLD))
    assert differences(read_json(tmp_path / "config.json"), NEW) == []


def test_current_names_are_fields_and_stay_in_their_group():
    known = fields(td3_bc.get_config("hopper-m"))
    for old, new in RENAMED_FIELDS.items():
        assert new in known
        assert old not in known
        assert old.rpartition(".")[0] == new.rpartition(".")[0]


def test_a_field_that_is_new_does_not_distinguish_older_runs():
    old = {"tau": 0.1}
    assert config_differences(old, {"tau": 0.1, "layout": "auto"}, may_move=False) == []
    assert config_differences(old, {"tau": 0.1, "layout": "vmap"}, may_move=False) == ["layout was auto, is vmap"]
    assert config_differences({"layout": "loop"}, {"layout": "auto"}, may_move=True) == ["layout was loop, is auto"]


def test_fields_without_effect_are_no_differences():
    """Whether the older run has the field or not."""
    for old in ({}, {"evaluation": {"overlap": "off"}}):
        assert config_differences(old, {"evaluation": {"overlap": "on"}}, may_move=False) == []
    old = {"evaluation": {"overlap": "off", "episodes": 5}}
    new = {"evaluation": {"overlap": "on", "episodes": 10}}
    assert config_differences(old, new, may_move=False) == ["evaluation.episodes was 5, is 10"]


def test_implied_values_are_the_defaults():
    known = flatten(td3_bc.get_config("hopper-m").to_dict())
    assert {name: known[name] for name in IMPLIED_FIELDS} == IMPLIED_FIELDS


@pytest.mark.parametrize("text", ["[]", "7", "[" * 100_000, "{"])
def test_a_file_that_holds_no_object_is_named(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with user_error(str(tmp_path / "config.json"), "check that its folder is a run"):
        read_json(tmp_path / "config.json")
