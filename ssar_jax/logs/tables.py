"""Tables on disk that grow row by row, as CSV and as JSON lines; no row is lost to a new column or a kill."""

import csv
import io
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ssar_jax.errors import UserError
from ssar_jax.files import one_line, write_atomically


class CsvTable:
    """A CSV file that accepts new columns at any time without losing a row.

    A row is flushed when it is written. A new column rewrites the file through a temporary file.

    Args:
        path: the file; its existing rows are kept.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._columns: list[str] = []
        self._rows: list[dict[str, str]] = []
        if path.exists():
            whole, cut = _whole_lines(path)
            reader = csv.DictReader(whole)
            self._rows, self._columns = list(reader), list(reader.fieldnames or [])
            if cut:
                self._rewrite()

    @property
    def rows(self) -> list[dict[str, str]]:
        """All rows so far, with cells as text."""
        return self._rows

    def drop_after(self, step: int) -> None:
        """Removes the rows after a step, which a resumed run writes again.

        Args:
            step: last step that is kept.
        """
        self.drop_where(lambda row: int(row["step"]) > step)

    def drop_where(self, condition: Callable[[Mapping[str, Any]], bool]) -> None:
        """Removes rows.

        Args:
            condition: whether to remove a row; its cells are text.
        """
        kept = [row for row in self._rows if not condition(row)]
        if len(kept) < len(self._rows):
            self._rows = kept
            self._rewrite()

    def add(self, row: Mapping[str, Any]) -> None:
        """Appends a row.

        Args:
            row: column -> value; numbers are written with all their digits, None and NaN as empty cells.
        """
        cells = {name: _cell(value) for name, value in row.items()}
        new = [name for name in cells if name not in self._columns]
        self._rows.append(cells)
        if new:
            self._columns += new
            self._rewrite()
            return
        line = io.StringIO(newline="")
        csv.DictWriter(line, self._columns).writerow(cells)
        _append(self._path, line.getvalue())

    def _rewrite(self) -> None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self._columns)
        writer.writeheader()
        writer.writerows(self._rows)
        _replace(self._path, text.getvalue())


class JsonLines:
    """A file with one JSON object per row, each with its own fields.

    Args:
        path: the file; its existing rows are kept.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if path.exists():
            whole, cut = _whole_lines(path)
            if cut:
                _replace(path, "".join(whole))

    def rows(self) -> list[dict[str, Any]]:
        """Returns all rows so far."""
        if not self._path.exists():
            return []
        return [json.loads(line) for line in self._path.read_text(encoding="utf-8").splitlines()]

    def drop_after(self, step: int) -> None:
        """Removes the rows after a step, which a resumed run writes again.

        Args:
            step: last step that is kept.
        """
        self.drop_where(lambda row: row["step"] > step)

    def drop_where(self, condition: Callable[[Mapping[str, Any]], bool]) -> None:
        """Removes rows.

        Args:
            condition: whether to remove a row.
        """
        rows = self.rows()
        kept = [row for row in rows if not condition(row)]
        if len(kept) < len(rows):
            _replace(self._path, "".join(map(_line, kept)))

    def add(self, row: Mapping[str, Any]) -> None:
        """Appends a row.

        Args:
            row: field -> value, as `json_values` returns them.
        """
        _append(self._path, _line(row))


def json_values(row: Mapping[str, Any]) -> dict[str, Any]:
    """Converts the values of a row to values that JSON can represent.

    Numbers keep the digits of the CSV file. JSON has neither NaN nor infinities: NaN becomes None, and infinities
    become the texts "inf" and "-inf", which `float` and `pandas.read_json(..., lines=True)` read as numbers.

    Args:
        row: field -> value.
    """
    return {name: _json_value(value) for name, value in row.items()}


def _json_value(value: Any) -> Any:
    if value is None or value != value:
        return None
    if isinstance(value, np.bool_ | np.integer):
        return value.item()
    if isinstance(value, float | np.floating):
        return (
            float(str(value)) if math.isfinite(value) else str(value)
        )  # through its text, so that a float32 0.1 stays 0.1
    return value


def _cell(value: Any) -> str:
    if value is None or value != value:
        return ""
    return str(value)


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, allow_nan=False) + "\n"


def _whole_lines(path: Path) -> tuple[list[str], bool]:
    """Returns the complete lines of a file, and whether an incomplete last line of a killed run was left out."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]
    return whole, whole != lines


def _append(path: Path, text: str) -> None:
    """Appends a text to a file, which is created if missing.

    Args:
        path: the file.
        text: whole lines.

    Raises:
        UserError: if the file cannot be written, such as on a full disk.
    """
    try:
        with path.open("a", encoding="utf-8", newline="") as file:
            file.write(text)
    except OSError as error:
        raise UserError(f"cannot write {path}: {one_line(error)}") from error


def _replace(path: Path, text: str) -> None:
    write_atomically(path, lambda file: file.write(text.encode()))
