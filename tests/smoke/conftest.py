"""One dataset and one finished run, shared by the smoke tests of all workers."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.smoke import small_run


class Finished(NamedTuple):
    """A finished run."""

    path: Path
    output: str
    messages: str


@contextmanager
def _shared_folder(factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Gives one worker at a time the folder that all workers of this test session see."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    folder.mkdir(exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with _shared_folder(tmp_path_factory) as folder:
        path = folder / "random.npz"
        return path if path.exists() else small_run.write_dataset(path)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, dataset: Path) -> Finished:
    """The small run of seed 0, in a subprocess. Tests read it and change copies."""
    with _shared_folder(tmp_path_factory) as folder:
        path, texts = folder / "run", (folder / "output.txt", folder / "messages.txt")
        if not texts[-1].exists():
            status, output, messages = small_run.finish(small_run.start(*small_run.flags(dataset), f"--workdir={path}"))
            assert status == 0, messages
            for file, text in zip(texts, (output, messages), strict=True):
                file.write_text(text)
        return Finished(path, *(file.read_text() for file in texts))
