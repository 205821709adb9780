"""Stored runs whose config was changed by hand; `tests/campaigns/corpus.py` damages all their files."""

import json

from ssar_jax.runs.load import load_policies
from tests.data.helpers import user_error


def test_a_value_of_another_type_is_named(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"algorithm": "td3_bc", "seed": "0", "num_seeds": 1}))
    with user_error(str(tmp_path / "config.json"), "has a value that no run was trained with"):
        load_policies(tmp_path)


def test_a_missing_field_is_named(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"algorithm": "td3_bc", "seed": 0}))
    with user_error(str(tmp_path / "config.json"), "lacks the field num_seeds", "or add the field"):
        load_policies(tmp_path)
