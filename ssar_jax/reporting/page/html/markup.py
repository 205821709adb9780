"""HTML elements whose text is escaped."""

import html

_VOID = {"meta"}


class Html(str):
    """Text that is already HTML and is not escaped."""


def element(tag: str, *children: str, **attributes: str | int | None) -> Html:
    """Makes an element around its children.

    Args:
        tag: name of the element.
        *children: text, which is escaped, and `Html`, which is not.
        **attributes: attributes, with `_` for `-` in their names; a final `_`, as in `class_`, is removed. None omits
            an attribute.
    """
    start = f"{tag}{attributes_text(**attributes)}"
    inside = "".join(child if isinstance(child, Html) else html.escape(child) for child in children)
    return Html(f"<{start}>" if tag in _VOID else f"<{start}>{inside}</{tag}>")


def attributes_text(**attributes: str | int | None) -> Html:
    """Writes attributes as they appear in a tag, each after a space; see `element`."""
    shown = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items() if value is not None}
    return Html("".join(f' {name}="{html.escape(str(value))}"' for name, value in shown.items()))
