"""One dataset and one finished run, shared by the smoke tests."""

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.smoke import small_run


class Finished(NamedTuple):
    """A finished run."""

    path: Path
    output: str
    messages: str


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run.write_dataset(tmp_path_factory.mktemp("data") / "random.npz")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, dataset: Path) -> Finished:
    """The small run of seed 0, in a subprocess."""
    path = tmp_path_factory.mktemp("finished") / "run"
    status, output, messages = small_run.finish(small_run.start(*small_run.flags(dataset), f"--workdir={path}"))
    assert status == 0, messages
    return Finished(path, output, messages)
