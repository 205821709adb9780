"""Fixtures for all tests: no test touches the user's data, and no two tests compile the same program.

Most of the default suite's time goes into compiling programs that run for milliseconds. They are compiled without
LLVM's optimisations and by XLA's older code generator, which takes half the time; the arithmetic is the same but for
the last bits of sums and of functions such as exp. Whatever else is selected (`-m slow`, `-m conformance`) is compiled
as users' programs are, and so is the default suite with `JAX_DISABLE_MOST_OPTIMIZATIONS=0 XLA_FLAGS= pytest`.
"""

import gc
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import numpy as np
import pytest

_OLDER_GENERATOR = "--xla_cpu_use_fusion_emitters=false"
_COMPILED = pytest.StashKey[tempfile.TemporaryDirectory]()


def pytest_configure(config: pytest.Config) -> None:
    """Shares compiled programs among the tests and the processes they start, for this session alone."""
    # Tracing makes many objects that live on; searching them for cycles at the usual pace takes a twelfth of the time.
    gc.set_threshold(200_000, 50, 100)
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # else the user's, or with xdist the first process's
        config.stash[_COMPILED] = tempfile.TemporaryDirectory(prefix="ssar_jax-tests-")
        os.environ["JAX_COMPILATION_CACHE_DIR"] = config.stash[_COMPILED].name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    if config.option.markexpr == "not slow and not browser":
        os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
        if "XLA_FLAGS" not in os.environ:
            os.environ["XLA_FLAGS"] = _OLDER_GENERATOR if _takes(_OLDER_GENERATOR) else ""
    # JAX reads these when it is imported; the conftest of a folder may have done that before.
    if "jax" in sys.modules:
        options = sys.modules["jax"].config
        options.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
        options.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        options.update("jax_persistent_cache_min_entry_size_bytes", -1)
        options.update("jax_disable_most_optimizations", os.environ.get("JAX_DISABLE_MOST_OPTIMIZATIONS") == "1")


def _takes(flag: str) -> bool:
    """Whether XLA knows a flag; it aborts where it does not."""
    command = [sys.executable, "-c", "import jax; jax.devices()"]
    return (
        subprocess.run(command, env=os.environ | {"XLA_FLAGS": flag}, capture_output=True, check=False).returncode == 0
    )


def pytest_unconfigure(config: pytest.Config) -> None:
    if _COMPILED in config.stash:
        config.stash[_COMPILED].cleanup()


@pytest.fixture(scope="module", autouse=True)
def _collect_once() -> None:
    """Exempts what earlier modules left behind from further collections, each of which would visit it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _private_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Points the folders of datasets and caches to empty ones, for fixtures of any scope and child processes too."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MINARI_DATASETS_PATH", "D4RL_DATASET_DIR", "SSAR_CACHE_DIR"):
            patch.setenv(name, str(tmp_path_factory.mktemp(name.lower())))
        yield


@pytest.fixture
def drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skips where this machine cannot draw."""
    from experiments.cli import films
    from ssar_jax.errors import UserError

    monkeypatch.setenv("MUJOCO_GL", os.environ.get("MUJOCO_GL", "egl"))
    try:
        films.require_drawing()
    except UserError as error:
        pytest.skip(str(error))


def random_rows(columns=(), observation_size=3, action_size=2):
    """Twenty random rows in four episodes, prepared; the first observation is the number of the row."""
    from ssar_jax.data.dataset import OfflineDataset
    from ssar_jax.data.scaling import prepare

    rng = np.random.default_rng(0)
    observations = rng.normal(size=(21, observation_size))
    observations[:, 0] = np.arange(21)
    dataset = OfflineDataset.from_arrays(
        observations=observations[:-1],
        actions=rng.uniform(-1.0, 1.0, (20, action_size)),
        rewards=rng.normal(size=20),
        masks=np.arange(20) % 5 < 4,
        next_observations=observations[1:],
    )
    return prepare(dataset, normalize_states=False, columns=columns)


@pytest.fixture
def rows():
    return random_rows()


@pytest.fixture
def recorder():
    """The algorithm of `tests.training.recorder`, which remembers what it is given."""
    from tests.training.recorder import make

    return make()
