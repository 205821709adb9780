"""Values of config fields, read from the command line and from JSON, each in the type of its field."""

import ast
from collections.abc import Callable
from typing import Any

from absl import flags
from ml_collections.config_flags import tuple_parser

from configs.common import Field
from ssar_jax.errors import UserError


def parse_value(name: str, text: str, field: Field) -> Any:
    """Reads the text of a command line; `none` unsets an optional field.

    Args:
        name: how the error calls the field.
        text: what the user wrote.
        field: the field it is for.

    Raises:
        UserError: for a text that does not fit the field's type.
    """
    if field.optional and text.lower() == "none":
        return None
    description, parse = _KINDS[field.kind]
    try:
        return parse(text)
    except (ValueError, SyntaxError, OverflowError) as error:
        raise UserError(f"{name}={text} is not {description}") from error


def restore_value(name: str, value: Any, field: Field) -> Any:
    """Restores a value from JSON, where tuples are lists and a whole float may be written as an integer.

    Args:
        name: how the error calls the field.
        value: what JSON gave.
        field: the field it is for.

    Raises:
        UserError: for a value that does not fit the field's type.
    """
    if value is None and field.optional:
        return None
    if field.kind is object and not isinstance(value, str):
        return _as_bound(value)
    if field.kind is tuple and isinstance(value, list):
        return tuple(value)
    if field.kind is float and type(value) is int:
        return float(value)
    if type(value) is not field.kind:
        raise UserError(f"{name}={value!r} is not {describe(field)}")
    return value


def describe(field: Field) -> str:
    """Returns what a value of the field looks like, for messages."""
    return _KINDS[field.kind][0]


def parse_integer(text: str) -> int:
    """Reads `20000`, `20_000` and `2e4`.

    Raises:
        ValueError: for anything that is no whole number, such as 2.5.
    """
    try:
        return int(text)
    except ValueError:
        number = float(text)
    if not number.is_integer():
        raise ValueError(f"{text} is no whole number")
    return int(number)


def _as_bound(value: Any) -> Any:
    """Returns a list as a tuple; whether it holds numbers is checked with the whole config."""
    return tuple(value) if isinstance(value, list) else value


# How a field of each type is described and read. `object` stands for the action bounds.
_KINDS: dict[type, tuple[str, Callable[[str], Any]]] = {
    bool: ("true or false", flags.BooleanParser().parse),
    int: ("an integer such as 20_000 or 2e4", parse_integer),
    float: ("a number such as 3e-4", float),
    str: ("a text", str),
    tuple: ("a tuple such as (256, 256)", tuple_parser.TupleParser().parse),
    object: ("a number or a tuple of numbers", lambda text: _as_bound(ast.literal_eval(text))),
}
