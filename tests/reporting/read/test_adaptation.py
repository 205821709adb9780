"""The state-adaptive coefficient of a group: where n stopped, beta over states, and damaged diagnostics."""

import numpy as np
import pytest

from ssar_jax.reporting.read.adaptation import read_adaptation
from tests.data.helpers import deny, user_error
from tests.reporting.report_runs import ADAPTIVE, add_adaptation, groups_of, write_run


def read(path, **options):
    add_adaptation(write_run(path / "a", config=ADAPTIVE), **options)
    (group,), _ = groups_of(path)
    return read_adaptation(group)


def test_metrics_of_training(tmp_path):
    """n is 1 and then 2; seed 0 was active for 10,000 updates alone."""
    found = read(tmp_path)
    assert found.training.stops == (20_000, None)
    np.testing.assert_array_equal(found.training.n.values, [[1.0, 2.0], [1.0, 2.0]])


def test_every_run_of_a_group_needs_the_metrics(tmp_path):
    add_adaptation(write_run(tmp_path / "b", config=ADAPTIVE | {"seed": 2}, summary={"seeds": [2, 3]}))
    with user_error("has no metric coefficient/beta_min"):
        write_run(tmp_path / "c", config=ADAPTIVE | {"seed": 4}, summary={"seeds": [4, 5]})
        read_adaptation(groups_of(tmp_path)[0][0])


def test_beta_over_the_states(tmp_path):
    states = read(tmp_path).states
    assert (states.plane.shape, states.first.shape, states.last.shape) == ((500, 2), (2, 500), (2, 500))
    assert states.last.mean() > states.first.mean() + 0.03


def test_runs_without_diagnostics_have_no_states(tmp_path):
    assert read(tmp_path, diagnostics=False).states is None


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"beta": np.zeros((2, 3))}, "have no plane"),
        ({"beta": np.zeros((2, 3)), "plane": np.zeros((4, 2))}, "plane (4, 2) and beta (2, 3) are not of shapes"),
        ({"beta": np.zeros((2, 3)), "plane": np.zeros((3, 3))}, "are not of shapes [R, 2] and [S, R]"),
        ({"beta": np.full((2, 3), np.nan), "plane": np.zeros((3, 2))}, "beta has values that are not finite numbers"),
        ({"beta": np.full((2, 3), "x"), "plane": np.zeros((3, 2))}, "beta has values that are not finite numbers"),
    ],
)
def test_foreign_diagnostics_are_named(tmp_path, arrays, message):
    read(tmp_path)
    np.savez_compressed(tmp_path / "a" / "diagnostics" / "20000.npz", **arrays)
    (group,), _ = groups_of(tmp_path)
    with user_error(str(tmp_path / "a"), message):
        read_adaptation(group)


@pytest.mark.parametrize("kind", ["cut", "empty", "array", "pickle", "flipped"])
def test_damaged_diagnostics_are_named(tmp_path, kind):
    read(tmp_path)
    file = tmp_path / "a" / "diagnostics" / "20000.npz"
    content = file.read_bytes()
    if kind in ("array", "pickle"):
        with file.open("wb") as out:
            np.save(out, np.array([{}] if kind == "pickle" else [1.0], object if kind == "pickle" else float))
    else:
        middle = len(content) // 2
        flipped = (
            content[:middle] + bytes(byte ^ 255 for byte in content[middle : middle + 50]) + content[middle + 50 :]
        )
        file.write_bytes({"cut": content[:middle], "empty": b"", "flipped": flipped}[kind])
    (group,), _ = groups_of(tmp_path)
    with user_error(f"{file} cannot be read"):
        read_adaptation(group)


def test_a_damaged_table_is_named(tmp_path):
    read(tmp_path)
    file = tmp_path / "a" / "train.csv"
    file.write_text(file.read_text().replace("0.25", "a quarter"))
    (group,), _ = groups_of(tmp_path)
    with user_error(f"{tmp_path / 'a'}: train.csv is damaged (could not convert string to float"):
        read_adaptation(group)


def test_diagnostics_without_permission_are_named(tmp_path, monkeypatch):
    """The file may be intact, so nobody is told to delete it."""
    read(tmp_path)
    file = tmp_path / "a" / "diagnostics" / "20000.npz"
    (group,), _ = groups_of(tmp_path)
    deny(monkeypatch, file)
    with user_error(f"{file} cannot be read (Permission denied): check its permissions") as caught:
        read_adaptation(group)
    assert "delete" not in str(caught.value)
