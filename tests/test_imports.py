"""The directions of imports, read from the source, and that importing has no effect."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# What each part of the library may import from the library besides itself. `errors`, `types`,
# `episodes`, `nested`, `observations`, `transitions` and `files` are single files at the bottom.
ERRORS, TYPES, EPISODES, NESTED, RUN_FORMAT, FILES = "errors", "types", "episodes", "nested", "run_format", "files"
TRANSITIONS, CHOICES, RANGES, OBSERVATIONS = "transitions", "choices", "ranges", "observations"
MATHEMATICS = {ERRORS, TYPES, CHOICES, RANGES}
TRAINING = {
    *MATHEMATICS, EPISODES, TRANSITIONS, OBSERVATIONS, FILES,
    "ops", "networks", "coefficients", "algorithms", "data", "envs", "behaviour",
}  # fmt: skip
MAY_IMPORT = {
    ERRORS: set(),
    TYPES: set(),
    EPISODES: set(),
    NESTED: set(),
    TRANSITIONS: set(),
    CHOICES: set(),
    RANGES: {ERRORS},
    OBSERVATIONS: {ERRORS},
    FILES: {ERRORS},
    "ops": MATHEMATICS,
    "networks": MATHEMATICS | {"ops"},
    "coefficients": MATHEMATICS | {"ops", "networks"},
    "algorithms": MATHEMATICS | {TRANSITIONS, "ops", "networks", "coefficients"},
    "data": {ERRORS, FILES, EPISODES, TRANSITIONS, CHOICES, OBSERVATIONS},
    "envs": {ERRORS, EPISODES, CHOICES, OBSERVATIONS},
    "behaviour": {ERRORS, FILES, EPISODES, "data", "envs"},
    RUN_FORMAT: {ERRORS, NESTED},
    "logs": {ERRORS, FILES, RUN_FORMAT},
    "reporting": {ERRORS, NESTED, RUN_FORMAT},
    "training": TRAINING,
    "runs": TRAINING | {"training", "logs", RUN_FORMAT, NESTED},
}  # fmt: skip

MAY_IMPORT["__main__"] = {"root"}  # the command line, which starts the commands by name
MAY_IMPORT["root"] = set(MAY_IMPORT)  # the public face, lazily; its imports are for type checkers

# Other people's packages, where the part is restricted.
MATHEMATICS_PACKAGES = {"jax", "flax", "optax", "chex", "numpy"}
MAY_USE = {
    ERRORS: set(),
    NESTED: set(),
    CHOICES: set(),
    RANGES: set(),
    EPISODES: {"numpy"},
    FILES: {"numpy"},
    OBSERVATIONS: {"numpy"},
    TRANSITIONS: set(),
    TYPES: MATHEMATICS_PACKAGES,
    "ops": MATHEMATICS_PACKAGES,
    "networks": MATHEMATICS_PACKAGES,
    "coefficients": MATHEMATICS_PACKAGES,
    "algorithms": MATHEMATICS_PACKAGES,
    RUN_FORMAT: set(),
    "logs": {"numpy"},
    "reporting": {"numpy"},
}
# The optional extras, imported inside the function that needs them.
LAZY = {"logs": {"tensorboardX", "wandb"}, "reporting": {"matplotlib"}}

SOURCES = sorted((ROOT / "ssar_jax").rglob("*.py"))
JAX = {"jax", "jaxlib", "flax", "optax", "orbax", "chex"}


def imports(source, package=""):
    """The absolute names a source imports, as (name, whether inside a function); `package` resolves dots."""
    tree = ast.parse(source)
    inner = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) + 1 - node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            # `from ssar_jax import data` names the part in its list, `from ssar_jax.data import x` in the module.
            names = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            yield name, id(node) in inner


def part_of(path):
    """The part of the library that a file belongs to; the package's own __init__ is the root."""
    first = path.relative_to(ROOT / "ssar_jax").parts[0]
    return "root" if first == "__init__.py" else first.removesuffix(".py")


def imports_of(path):
    relative = path.relative_to(ROOT)
    return imports(path.read_text(encoding="utf-8"), ".".join(relative.parent.parts))


def violations(part, found):
    """What is wrong with the imports found in a file of a part."""
    for name, lazy in found:
        top, *rest = name.split(".")
        if top in ("experiments", "configs", "tests"):
            yield f"the library imports {name}"
        elif top == "ssar_jax":
            target = rest[0] if rest else "root"
            if target not in MAY_IMPORT.get(part, set()) | {part, "__version__"}:
                yield f"{part} imports {name}"
        elif part in MAY_USE and top not in sys.stdlib_module_names:
            allowed = MAY_USE[part] | (LAZY.get(part, set()) if lazy else set())
            if top not in allowed:
                yield f"{part} uses {top}"
        elif part in ("data", "envs", "behaviour") and top in JAX:
            yield f"{part} uses {top}"


# Inside reporting, each folder imports only from those before it.
REPORTING_ORDER = ("read", "statistics", "figures", "page")


@pytest.mark.parametrize("folder", REPORTING_ORDER)
def test_imports_of_reporting_run_one_way(folder):
    allowed = REPORTING_ORDER[: REPORTING_ORDER.index(folder) + 1]
    sources = sorted((ROOT / "ssar_jax" / "reporting" / folder).rglob("*.py"))
    assert sources
    for path in sources:
        for name, _ in imports_of(path):
            if name.startswith("ssar_jax.reporting."):
                assert name.split(".")[2] in allowed, f"{path.relative_to(ROOT)} imports {name}"


def test_every_part_is_known():
    """A new part of the library has to say here what it may import."""
    assert {part_of(path) for path in SOURCES} - {"root"} <= MAY_IMPORT.keys()
    assert len(SOURCES) > 20


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path):
    assert list(violations(part_of(path), imports_of(path))) == []


@pytest.mark.parametrize("path", sorted((ROOT / "configs").rglob("*.py")), ids=lambda path: path.name)
def test_configs_are_data(path):
    """They import no algorithm and no JAX, so that a wrong command is told in a tenth of a second."""
    for name, _ in imports_of(path):
        assert name.split(".")[0] not in JAX | {"experiments"}, name
        assert not name.startswith(("ssar_jax.algorithms", "ssar_jax.coefficients", "ssar_jax.networks")), name


def test_commands_are_parsed_without_jax():
    for name, _ in imports_of(ROOT / "experiments" / "cli" / "command.py"):
        assert name.split(".")[0] not in JAX, name


# What the test above must catch, each with the part it would stand in.
@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("ops", "import ssar_jax.networks.mlp"),
        ("ops", "from ssar_jax import networks"),
        ("ops", "def f():\n    from ssar_jax.training import loop"),
        ("networks", "from ssar_jax.algorithms.base import Algorithm"),
        ("algorithms", "import h5py"),
        ("coefficients", "from gymnasium import spaces"),
        ("data", "import jax.numpy as jnp"),
        ("data", "from ssar_jax.envs.make import make_env"),
        ("behaviour", "from ssar_jax.training import loop"),
        ("training", "from experiments import offline"),
        ("training", "import configs.td3_bc"),
        ("reporting", "import matplotlib.pyplot"),
        ("reporting", "import jax"),
        ("types", "from ssar_jax.ops import trees"),
        ("errors", "import numpy"),
    ],
)
def test_wrong_imports_are_found(part, source):
    assert list(violations(part, imports(source)))


def test_right_imports_pass():
    source = "import math\nimport jax\nfrom ssar_jax.ops import trees\nfrom ssar_jax.networks.mlp import MLP\n"
    assert list(violations("networks", imports(source))) == []
    assert list(violations("reporting", imports("def plot():\n    import matplotlib.pyplot as plt\n"))) == []
    assert list(imports("from . import b\nfrom ..c import d", "ssar_jax.a")) == [
        ("ssar_jax.a.b", False),
        ("ssar_jax.c.d", False),
    ]


IMPORT_EVERYTHING = """
import importlib, os, pkgutil
before = dict(os.environ)
import ssar_jax
names = [module.name for module in pkgutil.walk_packages(ssar_jax.__path__, "ssar_jax.")]
for name in names:
    importlib.import_module(name)
assert len(names) > 20, names
from absl import flags
from jax._src import xla_bridge
assert not xla_bridge.backends_are_initialized(), "importing has asked for the devices"
changed = {key for key in before.keys() | os.environ.keys() if before.get(key) != os.environ.get(key)}
assert not {key for key in changed if key.startswith(("XLA_", "JAX_", "MUJOCO_"))}, changed
assert not flags.FLAGS.is_parsed()
import jax
jax.devices()
assert xla_bridge.backends_are_initialized()  # so the check above can fail
"""


def test_importing_has_no_effect():
    """No device is asked for, no variable of JAX or MuJoCo is set, no flag is parsed, nothing is printed."""
    result = subprocess.run(
        [sys.executable, "-c", IMPORT_EVERYTHING], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
