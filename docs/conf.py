"""Configuration of the documentation site; CONTRIBUTING.md has the command that builds it.

The Markdown pages of this folder and of the root are the source, readable as they are in the repository. What can be
derived is generated into `generated/` before every build: the API reference from the public names of the package, and
a page for every system from the registry, its config file and the published scores.
"""

import sys
from pathlib import Path

from numpy.typing import ArrayLike
from sphinx.application import Sphinx
from sphinx.util.typing import stringify_annotation

_DOCS = Path(__file__).resolve().parent
_ROOT = _DOCS.parent
sys.path[:0] = [str(_ROOT), str(_DOCS)]

import generate  # noqa: E402  after the path

import ssar_jax  # noqa: E402

project = "ssar_jax"
author = "The ssar_jax authors"
release = ssar_jax.__version__
# No MathJax and no intersphinx: both would fetch from the network, and the site works offline.
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
# Pages of the root are included by index.rst and the like. Of a notebook's two files the site shows the one that holds
# the outputs.
exclude_patterns = ["_build", "generated/_*", "notebooks/*.md"]
source_suffix = {".rst": "restructuredtext", ".md": "myst-nb", ".ipynb": "myst-nb"}
default_role = "code"  # docstrings quote code with single backquotes

html_theme = "furo"
html_title = f"ssar_jax {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False  # LICENSE says it

myst_heading_anchors = 4
nb_execution_mode = "off"  # they hold their outputs; `pytest -m slow tests/test_notebooks.py` executes them

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True


def _rewrite_page(app: Sphinx, name: str, content: list[str]) -> None:
    if app.env.doc2path(name).suffix == ".md":
        content[0] = generate.site_links(content[0])


def _shorten_signature(
    app: Sphinx, kind: str, name: str, value: object, options: object, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """Writes NumPy's `ArrayLike` by its name, and not as the union of seven types that it stands for."""
    long = stringify_annotation(ArrayLike, "smart")
    return signature and signature.replace(long, "ArrayLike"), returned


def _escape_bars(app: Sphinx, kind: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """Escapes the bars of absolute values such as E|Q|, which reStructuredText would read as a substitution."""
    for number, line in enumerate(lines):
        parts = line.split("`")  # those with odd numbers are code
        parts[::2] = (part.replace("|", r"\|") for part in parts[::2])
        lines[number] = "`".join(parts)


def _skip_fields(app: Sphinx, kind: str, name: str, value: object, skip: bool, options: object) -> bool | None:
    """Skips the fields of records: the docstring of the class describes them under "Attributes"."""
    return True if type(value).__name__ == "_tuplegetter" else None


def setup(app: Sphinx) -> None:
    """Generates the derived pages, and rewrites links as pages are read.

    Args:
        app: the application.
    """
    generate.write_pages(_ROOT, _DOCS / "generated")
    app.connect("source-read", _rewrite_page)
    app.connect("autodoc-process-signature", _shorten_signature)
    app.connect("autodoc-process-docstring", _escape_bars)
    app.connect("autodoc-skip-member", _skip_fields)
