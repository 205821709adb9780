"""The distributions: the wheel is built from the sdist, holds one package, and works outside of the repository."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile

import pytest

import ssar_jax
from tests.smoke.small_run import ROOT, SMALL, write_dataset

IMPORT = """
import ssar_jax
from ssar_jax.behaviour import policies
from ssar_jax.runs.offline import run
from ssar_jax.runs.load import load_policy
print(ssar_jax.__file__)
print(len(policies.load("hopper-medium")))
"""


def call(command, **options):
    result = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=280, **options)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, so that the build leaves no files in the repository."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "copy"
    copy.mkdir()
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for name in ("ssar_jax", "experiments", "configs", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "golden"))
    # Builds offline with a setuptools that is new enough, and fetches one where that is not installed.
    major = int(importlib.metadata.version("setuptools").split(".")[0])
    isolation = ["--no-isolation"] * (major >= 77)
    # The sdist, and the wheel from the sdist, which proves that the sdist is complete.
    call([sys.executable, "-m", "build", "--outdir", folder, *isolation, copy])
    assert (folder / f"ssar_jax-{ssar_jax.__version__}.tar.gz").is_file()
    return folder / f"ssar_jax-{ssar_jax.__version__}-py3-none-any.whl"


def test_the_wheel_holds_one_package_with_the_commands(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"ssar_jax"}
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "ssar_jax").rglob("*.py")}
    weights = {str(path.relative_to(ROOT)) for path in (ROOT / "ssar_jax" / "behaviour" / "trained").glob("*.npz")}
    assert len(weights) >= 6
    page = {
        str(path.relative_to(ROOT)) for path in (ROOT / "ssar_jax" / "reporting" / "page" / "html").glob("*.[cj]s*")
    }
    assert len(page) == 2
    assert modules | weights | page | {"ssar_jax/py.typed"} <= names
    commands = {
        f"ssar_jax/_commands/{path.relative_to(ROOT)}"
        for folder in ("configs", "experiments")
        for path in (ROOT / folder).rglob("*.py")
    }
    assert len(commands) > 30
    assert {name for name in names if name.startswith("ssar_jax/_commands/")} == commands


def test_the_wheel_works_away_from_the_repository(wheel, tmp_path):
    target = tmp_path / "site"
    call([sys.executable, "-m", "pip", "install", wheel, "--no-deps", "--target", target])
    environment = {"PYTHONPATH": str(target), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    location, policies = call([sys.executable, "-c", IMPORT], cwd=tmp_path, env=environment).split()
    assert location == str(target / "ssar_jax" / "__init__.py")
    assert policies == "1"


@pytest.fixture(scope="module")
def command(wheel, tmp_path_factory):
    """`ssar-jax` in a fresh environment with the wheel and, read-only, the packages of this one.

    A path in a .pth file makes their packages importable, but not an editable install, which is a .pth file too.
    """
    folder = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(folder, with_pip=False)
    paths = {"base": str(folder), "platbase": str(folder)}
    packages = sysconfig.get_path("purelib", "venv", paths)
    with open(os.path.join(packages, "packages.pth"), "w") as file:
        file.write(f"{sysconfig.get_path('purelib')}\n")
    python = folder / "bin" / "python"
    call([python, "-m", "pip", "install", "--no-deps", "--ignore-installed", "--prefix", folder, wheel])
    return folder / "bin" / "ssar-jax"


@pytest.mark.slow  # trains twice in an environment of its own
def test_an_installed_command_trains_evaluates_and_reports(command, tmp_path):
    """From a folder with nothing in it, without PYTHONPATH."""
    dataset = write_dataset(tmp_path / "data.npz")
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "JAX_PLATFORMS": "cpu"}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    def run(*arguments, program=command):
        return call([program, *arguments], cwd=elsewhere, env=environment)

    source = run("-c", "import ssar_jax; print(ssar_jax.__file__)", program=command.with_name("python"))
    assert source.startswith(str(command.parents[1]))
    flags = (f"--config.dataset.path={dataset}", *SMALL)
    run("offline", "--config=td3_bc:hopper-m,preset=short", "--workdir=mine", *flags)
    assert (elsewhere / "mine" / "summary.json").is_file()
    assert "checkpoint 2,000 of" in run("evaluate", "mine", "--episodes=1")
    # A sweep starts its runs as processes.
    run("sweep", "--systems=td3_bc:base", "--tasks=hopper-m", "--preset=short", *flags[:-2])
    assert (elsewhere / "runs/td3_bc/hopper-m/offline-base-short-s0-0/summary.json").is_file()
    run("report", "runs", "mine", "--out=page/report.html")
    assert "TD3+BC(SA)" in (elsewhere / "page" / "report.html").read_text()
