"""The public names of `ssar_jax.data`, and what importing it must not need."""

import subprocess
import sys

import pytest

import ssar_jax.data


def test_the_package_exports_what_it_lists() -> None:
    public = {name for name, value in vars(ssar_jax.data).items() if not name.startswith("_") and not is_module(value)}
    assert public == set(ssar_jax.data.__all__)
    assert len(public) == 18


def is_module(value: object) -> bool:
    return type(value).__name__ == "module"


# `None` in sys.modules makes an import fail, as that of fcntl does on Windows.
PROGRAM = """
import sys
for name in {missing}:
    sys.modules[name] = None
import ssar_jax.transitions
import {package}
assert not {{"jax", "minari", "gymnasium_robotics", "matplotlib"}} & {{n for n, m in sys.modules.items() if m}}
"""


@pytest.mark.parametrize(
    ("package", "missing"),
    [
        ("ssar_jax.data", ["fcntl", "mujoco", "gymnasium"]),
        ("ssar_jax.data.sources.download", ["fcntl", "pooch", "requests"]),
        ("ssar_jax.data.sources.minari_writing", ["fcntl", "gymnasium_robotics"]),
        ("ssar_jax.envs.make", ["fcntl", "gymnasium_robotics"]),
        ("ssar_jax.behaviour.generate", ["fcntl", "gymnasium_robotics"]),
    ],
)
def test_imports_work_without_optional_packages_and_print_nothing(package: str, missing: list[str]) -> None:
    program = PROGRAM.format(package=package, missing=missing)
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
