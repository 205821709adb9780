"""Values of config fields, read from the command line or from JSON in the type of the field.

`ml_collections.config_flags` has parsers too, chosen by type alone. We take absl's for booleans and ml_collections' for
tuples. Its others refuse `2e4` as an integer and `none` for an unset number, read `none` as the text 'none' for an
unset text, and accept any text as an action bound.
"""

import ast
from collections.abc import Callable
from typing import Any

from absl import flags
from ml_collections.config_flags import tuple_parser

from configs.common import Field
from ssar_jax.errors import UserError


def parse_value(name: str, text: str, field: Field) -> Any:
    """Reads a value from the command line; `none` unsets an optional field.

    Args:
        name: what the error calls the field.
        text: what the user wrote.
        field: the field that the value is for.

    Raises:
        UserError: if the text does not fit the field's type.
    """
    if field.optional and text.lower() == "none":
        return None
    description, parse = _KINDS[field.kind]
    try:
        return parse(text)
    except (ValueError, SyntaxError, OverflowError) as error:
        raise UserError(f"{name}={text} is not {description}") from error


def restore_value(name: str, value: Any, field: Field) -> Any:
    """Restores a value from JSON, which stores tuples as lists and may store a whole float as an integer.

    Args:
        name: what the error calls the field.
        value: the value in the JSON file.
        field: the field that the value is for.

    Raises:
        UserError: if the value does not fit the field's type.
    """
    if isinstance(value, list) and field.kind in (tuple, object):
        return tuple(value)
    if type(value) is int and field.kind is float:
        return float(value)
    is_unset = value is None and field.optional
    is_bound = field.kind is object and not isinstance(value, str)
    if not (is_unset or is_bound or type(value) is field.kind):
        raise UserError(f"{name}={value!r} is not {describe(field)}")
    return value


def describe(field: Field) -> str:
    """Returns a short description of the values that a field accepts, for messages."""
    return _KINDS[field.kind][0]


def parse_integer(text: str) -> int:
    """Reads an integer such as `20000`, `20_000` or `2e4`.

    Raises:
        ValueError: if the text is not a whole number, such as 2.5.
    """
    try:
        return int(text)
    except ValueError:
        number = float(text)
    if not number.is_integer():
        raise ValueError(f"{text} is not a whole number")
    return int(number)


def _parse_bound(text: str) -> Any:
    """Reads an action bound, without checks: `configs.checks` checks both bounds together."""
    value = ast.literal_eval(text)
    return tuple(value) if isinstance(value, list) else value


# The description and the parser of each type. `object` is the type of the action bounds.
_KINDS: dict[type, tuple[str, Callable[[str], Any]]] = {
    bool: ("true or false", flags.BooleanParser().parse),
    int: ("an integer such as 20_000 or 2e4", parse_integer),
    float: ("a number such as 3e-4", float),
    str: ("a text", str),
    tuple: ("a tuple such as (256, 256)", tuple_parser.TupleParser().parse),
    object: ("a number or a tuple of numbers", _parse_bound),
}
