"""The notebooks: what is stored is what the source says, and the source runs."""

import importlib.util
import re
from pathlib import Path

import pytest

jupytext = pytest.importorskip("jupytext", reason="needs the extra docs")
ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "docs" / "notebooks").glob("*.md"))
every_notebook = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)


def test_every_notebook_has_both_files():
    assert len(SOURCES) >= 4
    assert {path.stem for path in SOURCES} == {path.stem for path in (ROOT / "docs" / "notebooks").glob("*.ipynb")}


@every_notebook
def test_the_stored_notebook_is_the_executed_source(source):
    """The same cells in the same order, every code cell executed, and no error among the outputs."""
    cells = jupytext.read(source).cells
    stored = jupytext.read(source.with_suffix(".ipynb")).cells
    assert [(cell.cell_type, cell.source) for cell in stored] == [(cell.cell_type, cell.source) for cell in cells]
    code = [cell for cell in stored if cell.cell_type == "code"]
    assert len(code) >= 3
    assert all(cell.execution_count for cell in code)
    outputs = [output for cell in code for output in cell.outputs]
    assert outputs
    assert [output for output in outputs if output.output_type == "error"] == []


@every_notebook
def test_links_lead_to_pages(source):
    for link in re.findall(r"\]\(([^)\s#]+)[^)]*\)", source.read_text()):
        if not link.startswith("https://"):
            assert (source.parent / link).is_file(), link


@pytest.mark.slow  # up to two minutes each on two free cores
@every_notebook
def test_the_source_runs(source, tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("execute", ROOT / "docs" / "execute.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = module.execute(source, tmp_path)
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")
