"""HTML as text that escapes itself."""

import html

_VOID = {"meta"}


class Html(str):
    """Text that is HTML already."""


def element(tag: str, *children: str, **attributes: str | int | None) -> Html:
    """An element around its children.

    Args:
        tag: its name.
        *children: text, which is escaped, and `Html`, which is not.
        **attributes: their names with `_` for `-`, and one at the end left out, as in `class_`; None leaves one out.
    """
    start = f"{tag}{attributes_text(**attributes)}"
    inside = "".join(child if isinstance(child, Html) else html.escape(child) for child in children)
    return Html(f"<{start}>" if tag in _VOID else f"<{start}>{inside}</{tag}>")


def attributes_text(**attributes: str | int | None) -> Html:
    """Attributes as they stand in a tag, a space before each; see `element`."""
    shown = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items() if value is not None}
    return Html("".join(f' {name}="{html.escape(str(value))}"' for name, value in shown.items()))
