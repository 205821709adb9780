"""Values from the command line and from JSON, in the type of their field."""

import re

import pytest

from configs.common import Field
from experiments.cli.values import parse_integer, parse_value, restore_value
from ssar_jax.errors import UserError


def field(kind: type, *, optional: bool = False) -> Field:
    return Field(None, kind, optional)


@pytest.mark.parametrize(
    ("text", "value"),
    [("20000", 20_000), ("20_000", 20_000), ("2e4", 20_000), ("2.5e3", 2_500), ("-1", -1), ("3.0", 3)],
)
def test_integers(text, value):
    assert parse_integer(text) == value
    assert type(parse_integer(text)) is int


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (float, "3e-4", 3e-4),
        (float, "1", 1.0),
        (bool, "true", True),
        (bool, "False", False),
        (bool, "1", True),
        (str, "d4rl-v2", "d4rl-v2"),
        (str, "none", "none"),
        (tuple, "(256, 256)", (256, 256)),
        (tuple, "256,256", (256, 256)),
        (tuple, "[64]", (64,)),
        (tuple, "64", (64,)),
        (object, "-1", -1),
        (object, "(-1.0, 2)", (-1.0, 2)),
        (object, "[-1.0, 2]", (-1.0, 2)),
    ],
)
def test_parse_value(kind, text, value):
    parsed = parse_value("--config.x", text, field(kind))
    assert (parsed, type(parsed)) == (value, type(value))


@pytest.mark.parametrize(
    ("kind", "text", "description"),
    [
        (int, "2.5", "an integer such as 20_000 or 2e4"),
        (int, "many", "an integer such as 20_000 or 2e4"),
        (int, "inf", "an integer such as 20_000 or 2e4"),
        (int, "nan", "an integer such as 20_000 or 2e4"),
        (float, "fast", "a number such as 3e-4"),
        (bool, "maybe", "true or false"),
        (tuple, "(256,", r"a tuple such as \(256, 256\)"),
        (object, "low", "a number or a tuple of numbers"),
        (int, "none", "an integer"),
    ],
)
def test_wrong_text_is_named_with_what_would_fit(kind, text, description):
    with pytest.raises(UserError, match=rf"--config\.x={re.escape(text)} is not {description}"):
        parse_value("--config.x", text, field(kind))


def test_none_unsets_an_optional_field():
    assert parse_value("x", "none", field(float, optional=True)) is None
    assert parse_value("x", "None", field(object, optional=True)) is None
    assert restore_value("x", None, field(str, optional=True)) is None


@pytest.mark.parametrize(
    ("kind", "value", "restored"),
    [
        (int, 3, 3),
        (float, 3, 3.0),
        (float, 0.1, 0.1),
        (bool, True, True),
        (str, "a", "a"),
        (tuple, [256, 256], (256, 256)),
        (object, -1.5, -1.5),
        (object, [-1.0, 2.0], (-1.0, 2.0)),
    ],
)
def test_restore_value(kind, value, restored):
    result = restore_value("f.json: x", value, field(kind))
    assert (result, type(result)) == (restored, type(restored))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (int, 2.5),
        (int, True),
        (int, "3"),
        (int, None),
        (float, True),
        (bool, 1),
        (str, 1),
        (tuple, 3),
        (object, "a"),
    ],
)
def test_restore_refuses_another_type(kind, value):
    with pytest.raises(UserError, match=r"f\.json: x=.* is not "):
        restore_value("f.json: x", value, field(kind))
