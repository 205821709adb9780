"""Package metadata; everything that configures tools is in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

_LOG = ["tensorboardX>=2.6", "wandb>=0.31"]
_REPORT = ["matplotlib>=3.9"]
_VIDEO = ["imageio-ffmpeg>=0.5"]
_COMMANDS = ["absl-py>=2.1", "imageio>=2.28"]  # experiments/, which an editable install runs; the wheel has none of it
_TOOLS = ["build", "hypothesis", "pyright", "pytest>=8", "pytest-xdist", "ruff", "setuptools>=77"]

setup(
    name="ssar_jax",
    version="0.1.0",
    description="Selective state-adaptive regularization and its baselines for offline and offline-to-online RL in JAX",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    # The wheel is the library alone: experiments/ and configs/ are run from the repository root.
    packages=find_packages(include=["ssar_jax", "ssar_jax.*"]),
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
        "gymnasium-robotics>=1.4,<2",
        "h5py>=3.11",
        "jax>=0.8",
        "minari[hdf5]>=0.5.2,<0.6",
        "ml_collections>=1.1",
        "mujoco>=3.5,<4",
        "numpy>=2.0",
        "optax>=0.2.6",
        "scipy>=1.13",
        "orbax-checkpoint>=0.11.26",
        "pooch>=1.8",
        "requests>=2.31",
        "tqdm>=4.66",
    ],
    extras_require={
        "log": _LOG,
        "report": _REPORT,
        "video": _VIDEO,
        "dev": [*_TOOLS, *_LOG, *_REPORT, *_VIDEO],
        "ray": ["ray>=2.40"],
        "slurm": ["submitit>=1.5"],
        "cuda12": ["jax[cuda12]"],
        "tpu": ["jax[tpu]"],
    },
)
