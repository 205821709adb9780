"""Package metadata; everything that configures tools is in pyproject.toml."""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

_ROOT = Path(__file__).parent
_LOG = ["tensorboardX>=2.6.2", "wandb>=0.31"]
_REPORT = ["matplotlib>=3.10.7"]
_VIDEO = ["imageio-ffmpeg>=0.5"]
_COMMANDS = ["absl-py>=2.1", "imageio>=2.28"]
_DOCS = ["furo>=2024.8", "ipykernel>=6.29", "jupytext>=1.16", "myst-nb>=1.2", "nbclient>=0.10", "sphinx>=8", *_REPORT]
_TOOLS = ["build", "hypothesis", "pyright", "pytest>=8", "pytest-xdist", "ruff", "setuptools>=77"]


class BuildWithCommands(build_py):
    """Puts the commands and their configs into the wheel, as data of the package.

    They are top-level packages in the repository. Installed as such they would take the names `experiments` and
    `configs` from every other project of the environment. An editable install runs them from the repository.
    """

    folders = ("configs", "experiments")

    def run(self) -> None:
        """Builds the package, and copies the commands next to its modules."""
        super().run()
        if self.editable_mode:
            return
        for folder in self.folders:
            target = Path(self.build_lib, "ssar_jax", "_commands", folder)
            shutil.copytree(folder, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)

    def get_source_files(self) -> list[str]:
        """Returns what the source distribution needs to build the same wheel."""
        commands = [str(path) for folder in self.folders for path in sorted(Path(folder).rglob("*.py"))]
        return [*super().get_source_files(), *commands]


def _version() -> str:
    """Reads the version from the package, without importing it."""
    match = re.search(r'^__version__ = "(.+)"$', (_ROOT / "ssar_jax" / "__init__.py").read_text(), re.MULTILINE)
    assert match is not None
    return match[1]


setup(
    name="ssar_jax",
    version=_version(),
    description="Selective state-adaptive regularization and its baselines for offline and offline-to-online RL in JAX",
    long_description=(_ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    packages=find_packages(include=["ssar_jax", "ssar_jax.*"]),
    cmdclass={"build_py": BuildWithCommands},
    entry_points={"console_scripts": ["ssar-jax = ssar_jax.__main__:main"]},
    package_data={
        "ssar_jax": [
            "py.typed",
            "behaviour/trained/*.npz",
            "behaviour/trained/README.md",
            "reporting/page/html/*.css",
            "reporting/page/html/*.js",
        ]
    },
    install_requires=[
        *_COMMANDS,
        "chex>=0.1.89",
        "flax>=0.10.4",
        "gymnasium>=1.2,<2",
        "gymnasium-robotics>=1.4.1,<2",
        "h5py>=3.11",
        "jax>=0.8",
        "minari[hdf5]>=0.5.3,<0.6",
        "ml_collections>=1.1",
        "mujoco>=3.5,<4",  # ssar_jax/envs/physics.py says why
        "numpy>=2.0",
        "optax>=0.2.6",
        "scipy>=1.13",
        "orbax-checkpoint>=0.11.26",
        "pooch>=1.8",
        "requests>=2.31",
        "tqdm>=4.66",
    ],
    extras_require={
        "docs": _DOCS,
        "log": _LOG,
        "report": _REPORT,
        "video": _VIDEO,
        "dev": [*_TOOLS, *_DOCS, *_LOG, *_REPORT, *_VIDEO],
        "ray": ["ray>=2.40"],
        "slurm": ["submitit>=1.5"],
        "cuda12": ["jax[cuda12]"],
        "tpu": ["jax[tpu]"],
    },
)
