"""Flattening of nested dictionaries, such as configs and JSON files."""

from typing import Any


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns the leaves of nested dictionaries by their dotted names.

    Args:
        tree: nested dictionaries, such as `{"a": {"b": 1}}`.
        prefix: text put before every name, such as `config.`.

    Returns:
        The leaves by name, such as `{"a.b": 1}`, not copied.
    """
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        leaves |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return leaves
