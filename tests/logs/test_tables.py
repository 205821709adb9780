"""Tables that grow: no row is lost to a new column, a resumption or a kill."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from ssar_jax.logs.tables import CsvTable, JsonLines, json_values
from tests.data.helpers import user_error


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "train.csv"


def read(path: Path) -> list[dict[str, str]]:
    """Reads the file as any CSV reader does; every row must have exactly the columns of the header."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(None not in row and None not in row.values() for row in rows)
    return rows


@pytest.mark.parametrize("kind", [CsvTable, JsonLines])
def test_a_row_that_cannot_be_written_is_one_line(path, kind):
    table = kind(path)
    table.add({"step": 1})
    path.unlink()
    path.mkdir()  # even root cannot append to a folder
    with user_error(f"cannot write {path}: Is a directory"):
        table.add({"step": 2})


def test_rows_are_in_the_file_as_soon_as_they_are_added(path):
    table = CsvTable(path)
    table.add({"step": 1, "loss": 0.5})
    assert path.read_text() == "step,loss\n1,0.5\n"
    table.add({"step": 2, "loss": 0.25})
    assert path.read_text() == "step,loss\n1,0.5\n2,0.25\n"


def test_a_metric_that_appears_late_loses_no_earlier_row(path):
    table = CsvTable(path)
    table.add({"step": 1, "a": 1})
    table.add({"step": 2, "b": 2})
    table.add({"b": 3, "step": 3})  # in another order, and without a
    assert read(path) == [
        {"step": "1", "a": "1", "b": ""},
        {"step": "2", "a": "", "b": "2"},
        {"step": "3", "a": "", "b": "3"},
    ]
    assert [file.name for file in path.parent.iterdir()] == ["train.csv"]  # no temporary file is left


def test_none_and_nan_are_empty_cells(path):
    table = CsvTable(path)
    table.add({"step": 1, "a": None, "b": math.nan, "c": np.float32("nan"), "d": 0, "e": math.inf})
    assert read(path) == [{"step": "1", "a": "", "b": "", "c": "", "d": "0", "e": "inf"}]


def test_floats_keep_all_their_digits(path):
    """The text of a float32 reads back as that float32, the text of a float64 as that float64."""
    rng = np.random.default_rng(0)
    doubles = [*(rng.normal(size=200) * 10.0 ** rng.integers(-30, 30, 200)), 0.1, -0.0, 5e-324, 1e308]
    singles = [*np.float32(doubles[:200]), np.float32(0.1), np.float32(16777217.0), np.float32(1e-45)]
    singles += [np.float32(3.4e38)]
    table = CsvTable(path)
    for step, (double, single) in enumerate(zip(doubles, singles, strict=True)):
        table.add({"step": step, "double": double, "single": single})
    rows = read(path)
    np.testing.assert_array_equal([float(row["double"]) for row in rows], doubles)
    np.testing.assert_array_equal(np.array([row["single"] for row in rows]).astype(np.float32), singles)


def test_a_table_continues_an_existing_file(path):
    CsvTable(path).add({"step": 1, "a": 1})
    table = CsvTable(path)
    assert table.rows == [{"step": "1", "a": "1"}]
    table.add({"step": 2, "a": 2})
    table.add({"step": 3, "b": 3})
    assert [row["step"] for row in read(path)] == ["1", "2", "3"]
    assert [row["a"] for row in CsvTable(path).rows] == ["1", "2", ""]


def test_rows_after_a_step_are_removed(path):
    """The rows of the step itself are kept, of all seeds."""
    table = CsvTable(path)
    for step in (9, 10, 100):  # as numbers: as text "9" would come after "10"
        for seed in (0, 1):
            table.add({"step": step, "seed": seed})
    table.drop_after(10)
    wanted = [("9", "0"), ("9", "1"), ("10", "0"), ("10", "1")]
    assert [(row["step"], row["seed"]) for row in table.rows] == wanted
    assert [(row["step"], row["seed"]) for row in read(path)] == wanted
    table.drop_after(-1)
    assert (table.rows, read(path)) == ([], [])
    table.add({"step": 1, "seed": 0})
    assert read(path) == [{"step": "1", "seed": "0"}]


def test_dropping_from_a_table_without_a_file(path):
    table = CsvTable(path)
    table.drop_after(-1)
    table.add({"step": 0, "a": 1})
    assert read(path) == [{"step": "0", "a": "1"}]


@pytest.mark.parametrize("length", range(1, len("20,20.5") + 1))
def test_the_half_written_last_row_of_a_killed_run_is_dropped(path, length):
    """Even if its step is cut, so that 20 reads as 2 and looks like a row before the checkpoint at 10."""
    table = CsvTable(path)
    table.add({"step": 1, "a": 10.5, "b": 6})
    table.add({"step": 20, "a": 20.5, "b": 7})
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b"20,20.5") + length])
    table = CsvTable(path)
    assert [row["step"] for row in table.rows] == ["1"]
    table.drop_after(10)
    table.add({"step": 20, "a": 20.5, "b": 7})
    assert path.read_bytes() == whole


@pytest.mark.parametrize("length", range(1, len("20,20.5,789") + 1))
def test_a_row_cut_anywhere_is_dropped_from_the_file_too(path, length):
    """In its last cell too, where 789 reads as 7; the next row starts a new line."""
    table = CsvTable(path)
    table.add({"step": 1, "a": 10.5, "b": 6})
    table.add({"step": 20, "a": 20.5, "b": 789})
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b"20,20.5") + length])
    table = CsvTable(path)
    assert [row["step"] for row in table.rows] == ["1"]
    table.add({"step": 20, "a": 20.5, "b": 789})
    assert path.read_bytes() == whole


@pytest.fixture
def lines_path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


def test_json_rows_are_in_the_file_as_soon_as_they_are_added(lines_path):
    """Each with its own fields: a metric that appears late changes no earlier row."""
    lines = JsonLines(lines_path)
    lines.add({"step": 1, "a": 0.5})
    assert lines_path.read_text() == '{"step": 1, "a": 0.5}\n'
    lines.add({"step": 2, "b": None, "c": "inf"})
    assert lines_path.read_text() == '{"step": 1, "a": 0.5}\n{"step": 2, "b": null, "c": "inf"}\n'
    assert JsonLines(lines_path).rows() == lines.rows() == [{"step": 1, "a": 0.5}, {"step": 2, "b": None, "c": "inf"}]


def test_json_has_no_nan_and_no_infinity():
    row = {
        "a": None,
        "b": math.nan,
        "c": np.float32("nan"),
        "d": math.inf,
        "e": np.float64("-inf"),
        "f": np.float32("inf"),
    }
    assert json_values(row) == {"a": None, "b": None, "c": None, "d": "inf", "e": "-inf", "f": "inf"}


def test_json_numbers_are_those_of_the_csv():
    """A float32 is written with its shortest digits; integers and booleans keep their types."""
    row = {"single": np.float32(0.1), "double": np.float64(0.1), "step": np.int64(3), "on": np.bool_(True), "text": "x"}
    assert json.dumps(json_values(row)) == '{"single": 0.1, "double": 0.1, "step": 3, "on": true, "text": "x"}'
    rng = np.random.default_rng(0)
    doubles = rng.normal(size=200) * 10.0 ** rng.integers(-30, 30, 200)
    singles = doubles.astype(np.float32)
    read_back = json.loads(json.dumps([json_values({"d": d, "s": s}) for d, s in zip(doubles, singles, strict=True)]))
    np.testing.assert_array_equal([row["d"] for row in read_back], doubles)
    np.testing.assert_array_equal(np.array([row["s"] for row in read_back], np.float32), singles)


def test_json_rows_after_a_step_are_removed(lines_path):
    lines = JsonLines(lines_path)
    for step in (9, 10, 100):
        for seed in (0, 1):
            lines.add({"step": step, "seed": seed})
    lines.drop_after(10)
    assert [(row["step"], row["seed"]) for row in lines.rows()] == [(9, 0), (9, 1), (10, 0), (10, 1)]
    lines.drop_after(-1)
    assert lines_path.read_text() == ""
    assert [file.name for file in lines_path.parent.iterdir()] == ["metrics.jsonl"]  # no temporary file is left


def test_json_rows_without_a_file(lines_path):
    lines = JsonLines(lines_path)
    assert lines.rows() == []
    lines.drop_after(-1)
    assert not lines_path.exists()


@pytest.mark.parametrize("length", range(1, len('{"step": 20}') + 1))
def test_a_json_row_cut_anywhere_is_dropped(lines_path, length):
    """Even a complete object without its line end, so that the next row starts a new line."""
    lines = JsonLines(lines_path)
    lines.add({"step": 10})
    lines.add({"step": 20})
    whole = lines_path.read_bytes()
    lines_path.write_bytes(whole[: whole.index(b'{"step": 20}') + length])
    lines = JsonLines(lines_path)
    assert lines.rows() == [{"step": 10}]
    lines.add({"step": 20})
    assert lines_path.read_bytes() == whole
