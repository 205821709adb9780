"""`ssar-jax <command>`: every command of `experiments/` from any folder, without shadowing by the user's folders."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import ssar_jax

ROOT = Path(__file__).parents[1]
COMMANDS = {path.stem for path in (ROOT / "experiments").glob("*.py")} - {"__init__"}


def start(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "ssar_jax", *arguments],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(cwd)},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("arguments", [(), ("--help",)])
def test_help_lists_every_command_with_a_sentence(arguments, tmp_path):
    result = start(*arguments, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    listed = re.findall(r"^  (\w+) +(\w.+)$", result.stdout, re.MULTILINE)
    assert {name for name, _ in listed} == COMMANDS
    assert len(COMMANDS) >= 8
    assert all(len(sentence.split()) > 2 for _, sentence in listed)


def test_the_version_is_that_of_the_package(tmp_path):
    assert start("--version", cwd=tmp_path).stdout.strip() == ssar_jax.__version__


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("offlin", "unknown command 'offlin'; did you mean offline?"),
        ("zzz", "unknown command 'zzz'; the commands are "),
    ],
)
def test_an_unknown_command_is_one_line_and_status_2(name, message, tmp_path):
    result = start(name, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: {message}")
    assert result.stderr.count("\n") == 1


def test_a_command_reads_its_flags_from_any_folder(tmp_path):
    """The folder has packages of the names of ours, which must not be taken for them."""
    for name in ("experiments", "configs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('the package of the user')\n")
    result = start("offline", "--config=td3_bc:hoper-m", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("error: unknown task 'hoper-m'")


def test_a_module_in_the_current_folder_can_be_imported(tmp_path):
    (tmp_path / "mine.py").write_text("print('imported')\n")
    result = start("download", "--import=mine", cwd=tmp_path)
    assert result.stdout == "imported\n"
    assert result.stderr.startswith("error: name at least one task, such as `ssar-jax download hopper-m`")


def test_the_citation_has_the_version_of_the_package():
    assert f"\nversion: {ssar_jax.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\n## {ssar_jax.__version__}" in (ROOT / "CHANGELOG.md").read_text()
