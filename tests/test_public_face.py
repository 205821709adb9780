"""`from ssar_jax import ...`: what is there, what the docs import, and what importing costs."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ssar_jax

ROOT = Path(__file__).parents[1]
DOCS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("name", ssar_jax.__all__)
def test_every_public_name_is_there_and_documented(name):
    value = getattr(ssar_jax, name)
    assert name in dir(ssar_jax)
    if name != "__version__":
        assert value.__name__ == name
        assert value.__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'td3'"):
        ssar_jax.td3  # noqa: B018


def test_type_checkers_see_the_same_names():
    """The imports under TYPE_CHECKING are the names and modules that are imported at run time."""
    tree = ast.parse((ROOT / "ssar_jax" / "__init__.py").read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            assert alias.name == alias.asname
            seen[alias.name] = (node.module or "").removeprefix("ssar_jax.")
    assert seen == ssar_jax._HOMES
    assert set(ssar_jax.__all__) == {"__version__", *seen}


def test_what_the_docs_import_from_the_package_is_public():
    found = set()
    for page in DOCS:
        pattern = r"^from ssar_jax import (?:\(([\w\s,]+)\)|([\w ,]+)$)"
        for many, one in re.findall(pattern, page.read_text(), re.MULTILINE):
            found |= set(re.findall(r"\w+", many or one))
    assert found - set(ssar_jax.__all__) == set()
    assert {"OfflineDataset", "OfflineTrainer"} <= found


IMPORT = """
import sys
import ssar_jax
heavy = {"jax", "mujoco", "minari", "matplotlib", "gymnasium", "h5py", "orbax"} & set(sys.modules)
assert not heavy, heavy
from ssar_jax import OfflineDataset, OfflineTrainer, prepare, state_adaptive, td3_bc
heavy = {"mujoco", "minari", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
from jax._src import xla_bridge
assert not xla_bridge.backends_are_initialized()
"""


def test_importing_loads_nothing_heavy_and_touches_no_device():
    """Nothing with the package itself; training needs JAX, but neither MuJoCo, Minari nor Matplotlib."""
    result = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert result.returncode == 0, result.stderr
