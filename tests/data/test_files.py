"""Files: folders are tried before there is work to lose."""

from pathlib import Path

import pytest

from ssar_jax.data.files import require_writable
from tests.data.helpers import user_error


@pytest.mark.parametrize("name", ["", "a", "a/b/c"])
def test_a_folder_that_can_be_made_is_not_made_yet(tmp_path, name):
    require_writable(tmp_path / name, "choose another")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["file", "file/a"])
def test_a_folder_below_a_file_is_refused(tmp_path, name):
    (tmp_path / "file").touch()
    with user_error(f"cannot write to {tmp_path / name}: Not a directory; choose another"):
        require_writable(tmp_path / name, "choose another")


def test_a_folder_that_takes_no_files_is_refused():
    """Linux has one that refuses even its administrator."""
    with user_error("cannot write to /proc: ", "; choose another"):
        require_writable(Path("/proc"), "choose another")
