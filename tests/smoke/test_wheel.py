"""The wheel: only the library with its requirements, importable outside the repository."""

import importlib.metadata
import shutil
import subprocess
import sys
import zipfile

import pytest

from tests.smoke.small_run import ROOT

IMPORT = """
import ssar_jax
from ssar_jax.behaviour import policies
from ssar_jax.runs.offline import run
from ssar_jax.runs.load import load_policy
print(ssar_jax.__file__)
print(len(policies.load("hopper-medium")))
"""


def pip(*arguments):
    result = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert result.returncode == 0, result.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, so that the build leaves no files in the repository."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "copy"
    copy.mkdir()
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, copy)
    for name in ("ssar_jax", "experiments", "configs", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "golden"))
    # Builds offline with a setuptools that is new enough, and fetches one where that is not installed.
    major = int(importlib.metadata.version("setuptools").split(".")[0])
    pip("wheel", str(copy), "--no-deps", "--wheel-dir", str(folder), *["--no-build-isolation"] * (major >= 77))
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_holds_the_library_alone(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"ssar_jax"}
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "ssar_jax").rglob("*.py")}
    weights = {str(path.relative_to(ROOT)) for path in (ROOT / "ssar_jax" / "behaviour" / "trained").glob("*.npz")}
    assert len(weights) >= 6
    page = {
        str(path.relative_to(ROOT)) for path in (ROOT / "ssar_jax" / "reporting" / "page" / "html").glob("*.[cj]s*")
    }
    assert len(page) == 2
    assert modules | weights | page | {"ssar_jax/py.typed"} <= set(names)


def test_the_wheel_works_away_from_the_repository(wheel, tmp_path):
    target = tmp_path / "site"
    pip("install", str(wheel), "--no-deps", "--target", str(target))
    result = subprocess.run(
        [sys.executable, "-c", IMPORT],
        cwd=tmp_path,
        env={"PYTHONPATH": str(target), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    location, policies = result.stdout.split()
    assert location == str(target / "ssar_jax" / "__init__.py")
    assert policies == "1"
