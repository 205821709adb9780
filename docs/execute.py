"""Executes the notebooks and stores their outputs: `python docs/execute.py first_run compare`, or all without a name.

`notebooks/<name>.md` is the source, and `notebooks/<name>.ipynb` the same with outputs, which the site shows.
"""

import os
import re
import sys
import tempfile
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parent / "notebooks"


def execute(source: Path, folder: Path, timeout: int = 600) -> nbformat.NotebookNode:
    """Executes a notebook in an empty folder.

    Args:
        source: its Markdown file.
        folder: the working directory, where it writes its runs.
        timeout: seconds per cell.

    Returns:
        The notebook with its outputs, without what changes from run to run: times, random names, the home folder.

    Raises:
        nbclient.exceptions.CellExecutionError: if a cell raises, or a command fails.
    """
    notebook = jupytext.read(source)
    for index, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{index}"
    # `python` in a shell cell is the one of this process.
    NotebookClient(
        notebook,
        timeout=timeout,
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        coalesce_streams=True,
    ).execute(env=os.environ | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])})
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "text" in output:
                output["text"] = _without_progress(output.text).replace(str(Path.home()), "~")
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}  # knows %%bash
    return notebook


def _without_progress(text: str) -> str:
    """Keeps of every line what remains on the screen after its carriage returns."""
    return re.sub(r"[^\n]*\r(?!\n)|\x1b\[K", "", text.replace("\r\n", "\n"))


def main(names: list[str]) -> None:
    """Executes notebooks by name and writes their .ipynb files."""
    for name in names or sorted(path.stem for path in NOTEBOOKS.glob("*.md")):
        with tempfile.TemporaryDirectory() as folder:
            notebook = execute(NOTEBOOKS / f"{name}.md", Path(folder))
        nbformat.write(notebook, NOTEBOOKS / f"{name}.ipynb")
        print(f"wrote {NOTEBOOKS / name}.ipynb")


if __name__ == "__main__":
    main(sys.argv[1:])
