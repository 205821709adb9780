"""Tables that grow row by row, as CSV."""

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class CsvTable:
    """A CSV file that accepts new columns at any time without losing a row.

    A row is flushed when it is written; a new column rewrites the file under a temporary name.

    Args:
        path: the file; rows that it holds already are kept.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._columns: list[str] = []
        self._rows: list[dict[str, str]] = []
        if path.exists():
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            whole = [line for line in lines if line.endswith("\n")]  # a killed run's last row may be cut
            reader = csv.DictReader(whole)
            self._rows, self._columns = list(reader), list(reader.fieldnames or [])
            if whole != lines:
                self._rewrite()

    @property
    def rows(self) -> list[dict[str, str]]:
        """All rows so far, cells as text."""
        return self._rows

    def drop_after(self, step: int) -> None:
        """Forgets the rows after a step, which a resumed run will write again."""
        kept = [row for row in self._rows if int(row["step"]) <= step]
        if len(kept) < len(self._rows):
            self._rows = kept
            self._rewrite()

    def add(self, row: Mapping[str, Any]) -> None:
        """Appends a row; values are written with all their digits, None and NaN as empty cells."""
        cells = {name: _cell(value) for name, value in row.items()}
        new = [name for name in cells if name not in self._columns]
        self._rows.append(cells)
        if new:
            self._columns += new
            self._rewrite()
            return
        with self._path.open("a", newline="") as file:
            csv.DictWriter(file, self._columns).writerow(cells)

    def _rewrite(self) -> None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self._columns)
        writer.writeheader()
        writer.writerows(self._rows)
        temporary = self._path.with_suffix(".partial")
        temporary.write_text(text.getvalue(), newline="")
        os.replace(temporary, self._path)


def _cell(value: Any) -> str:
    if value is None or value != value:
        return ""
    return str(value)
