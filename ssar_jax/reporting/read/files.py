"""Readers of a run's files, which may be damaged, half written, or another program's."""

import csv
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ssar_jax.errors import UserError, unreadable

Types = type | tuple[type, ...]

NONE = type(None)
_TYPE_NAMES = {str: "text", int: "an integer", float: "a number", list: "a list", dict: "an object", NONE: "null"}
_MAX_SHOWN = 60  # characters of a foreign value in a message


def read_json(path: Path, required: Mapping[str, Types], optional: Mapping[str, Types] | None = None) -> dict[str, Any]:
    """Reads a JSON object and checks its fields.

    Args:
        path: the file.
        required: name of a field -> the types that its value may have.
        optional: the same for fields that may be missing.

    Raises:
        UserError: if the file cannot be read, is not an object, lacks a field, or a field has another type.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path.name} cannot be read ({error})") from error
    if not isinstance(content, dict):
        raise UserError(f"{path.name} is {_TYPE_NAMES[type(content)]}, not an object: not written by this library")
    if missing := [name for name in required if name not in content]:
        raise UserError(f"{path.name} has no {', '.join(missing)}: not written by this library")
    require_types(path.name, content, {**required, **(optional or {})})
    return content


def require_types(where: str, content: Mapping[str, Any], types: Mapping[str, Types]) -> None:
    """Requires every field that is there to have one of its types.

    Args:
        where: what contains the fields, for the message.
        content: name of a field -> value.
        types: name of a field -> the types that its value may have.

    Raises:
        UserError: for the first field that has not.
    """
    for name, allowed in types.items():
        if name in content and not isinstance(content[name], allowed):
            kinds = allowed if isinstance(allowed, tuple) else (allowed,)
            expected = " or ".join(_TYPE_NAMES[kind] for kind in kinds if kind is not int or float not in kinds)
            raise UserError(
                f"{where}: {name} is {_shorten(content[name])}, not {expected}: not written by this library"
            )


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Reads a CSV table with one header line; cells are text.

    A last line without a line end is left out, since the run may be writing it.

    Args:
        path: the file; a missing or empty one has no rows.
        columns: columns that it must have.

    Raises:
        UserError: if the file cannot be read, lacks a column, or has a row of another length than its header.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise UserError(f"{path.name} cannot be read ({error})") from error
    reader = csv.DictReader(line for line in lines if line.endswith("\n"))
    rows = []
    try:
        header = reader.fieldnames or []
        if missing := [name for name in columns if header and name not in header]:
            raise UserError(
                f"{path.name} has no column {', '.join(missing)} (it begins {_shorten(lines[0].rstrip())}): "
                "it may have been saved by a spreadsheet; restore the file that the run wrote"
            )
        for row in reader:
            if None in row or None in row.values():
                raise UserError(f"{path.name} is damaged (line {reader.line_num} does not have {len(header)} cells)")
            rows.append(row)
    except csv.Error as error:
        raise UserError(f"{path.name} is damaged ({error})") from error
    return rows


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Reads the arrays of an `.npz` file.

    Args:
        path: the file.

    Raises:
        UserError: if the file cannot be read.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except (
        # NumPy and zipfile raise all of these for damaged bytes.
        *(OSError, EOFError, ValueError, TypeError, KeyError, AttributeError, OverflowError, MemoryError),
        *(RuntimeError, SyntaxError, zipfile.BadZipFile, zlib.error),
    ) as error:
        damaged = UserError(f"{path} cannot be read ({error}): copy it again from the run, or delete it")
        raise unreadable(path, error) or damaged from error


def _shorten(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= _MAX_SHOWN else f"{shown[:_MAX_SHOWN]}…"
