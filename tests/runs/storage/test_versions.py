"""What changes numbers in addition to config and data is recorded, and named where it differs."""

import json
import logging
import subprocess
from pathlib import Path

import jax
import pytest

from ssar_jax.runs.storage.versions import note_differences, versions

ROOT = Path(__file__).parents[3]


def test_versions_name_the_commit_and_whether_files_differ_from_it():
    commit = versions()["commit"]
    result = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    assert commit is None if result.returncode else commit.removesuffix("-dirty") == result.stdout.strip()


def test_settings_of_jax_and_xla_are_recorded(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_a=1")
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "")
    monkeypatch.delenv("JAX_DISABLE_MOST_OPTIMIZATIONS", raising=False)  # the default suite sets it
    found = versions()
    assert found["environment"] == {"XLA_FLAGS": "--xla_a=1"}
    assert found["jax"]["enable_x64"] is False
    with jax.enable_x64(True):
        assert versions()["jax"]["enable_x64"] is True


def test_what_differs_from_a_run_is_named(tmp_path, caplog):
    """The versions of its last resumption count."""
    now = versions()
    path = tmp_path / "versions.json"
    with caplog.at_level(logging.INFO):
        note_differences(tmp_path)  # a run of an older version may have no such file
        path.write_text(json.dumps({**now, "python": "2.7", "resumed": [now]}))
        note_differences(tmp_path)
        assert caplog.text == ""
        path.write_text(json.dumps({**now, "resumed": [{**now, "python": "2.7"}]}))
        note_differences(tmp_path)
    assert f"was trained with other versions, so numbers may differ: python was 2.7, is {now['python']}" in caplog.text


@pytest.mark.parametrize("name", ["jax_enable_x64", "jax_default_prng_impl", "jax_threefry_partitionable"])
def test_jax_still_has_these_settings(name):
    assert hasattr(jax.config, name)
