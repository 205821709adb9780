"""The conformance vectors: where they lie, which files a test covers, and how one is read.

The folder is `SSAR_GOLDEN_DIR`, else `tests/golden`. Files are discovered by prefix, so that a further set of
vectors with other shapes and constants needs no change in any test.
"""

import os
from pathlib import Path

import numpy as np


def golden_dir() -> Path:
    """Return the folder with the vectors: the environment variable SSAR_GOLDEN_DIR, else tests/golden."""
    return Path(os.environ.get("SSAR_GOLDEN_DIR") or Path(__file__).parent / "golden")


def golden_files(prefix: str) -> list[Path]:
    """Return the files `<prefix>*.npz` in order of name.

    Raises:
        FileNotFoundError: no file matches; a conformance test that compares nothing must not pass.
    """
    files = sorted(golden_dir().glob(f"{prefix}*.npz"))
    if not files:
        raise FileNotFoundError(f"no conformance vectors {prefix}*.npz in {golden_dir()} (set SSAR_GOLDEN_DIR)")
    return files


def load_golden(path: Path) -> dict[str, np.ndarray]:
    """Read all arrays of one vector file; pickled objects are refused."""
    with np.load(path, allow_pickle=False) as archive:
        return {key: archive[key] for key in archive.files}
