"""A report as one HTML page without references to other files or the network."""

from collections.abc import Sequence
from importlib.resources import files

from ssar_jax.reporting.page.document import Section
from ssar_jax.reporting.page.html.elements import details_element, picture_element, table_element
from ssar_jax.reporting.page.html.markup import Html, element


def write_page(title: str, sections: Sequence[Section]) -> str:
    """Writes a page with its sections, figures, style and script.

    Args:
        title: title of the page.
        sections: the sections in their order; their figures are read from disk.
    """
    parts = [_section(section, f"section-{i}") for i, section in enumerate(sections)]
    links = [element("li", element("a", section.title, href=f"#section-{i}")) for i, section in enumerate(sections)]
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", _file("style.css")),
        element("script", _file("page.js"), type="module"),
    )
    contents = element("nav", element("ul", *links), aria_label="Sections")
    body = element("body", element("header", element("h1", title), contents), element("main", *parts))
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _section(section: Section, name: str) -> Html:
    heading = element("h2", section.title)
    pictures = [picture_element(picture, f"{name}-{i}") for i, picture in enumerate(section.pictures)]
    content = [
        *(element("p", sentence) for sentence in (*section.sentences, *section.notices)),
        *map(table_element, section.tables),
        *([element("div", *pictures, class_="pictures")] if pictures else []),
        *map(details_element, section.details),
    ]
    if section.collapsed:
        return element("section", element("details", element("summary", heading), *content, class_="folded"), id=name)
    return element("section", heading, *content, id=name)


def _file(name: str) -> Html:
    return Html((files("ssar_jax.reporting.page.html") / name).read_text(encoding="utf-8"))
