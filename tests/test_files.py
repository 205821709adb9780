"""Files: folders are tried before there is work to lose, paths are read as written, causes are named."""

import errno
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ssar_jax.data.memory import npz_headers
from ssar_jax.errors import UnreadableError, UserError
from ssar_jax.files import (
    add_hint,
    exists,
    is_folder,
    open_npz,
    require_file,
    require_writable,
    require_writable_file,
    resolve_path,
    user_folder,
)
from tests.data.helpers import deny, user_error


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


def test_a_file_that_would_replace_a_folder_is_refused(tmp_path):
    (tmp_path / "report.html").mkdir()
    with user_error(f"cannot write {tmp_path / 'report.html'}: it is a folder; choose another"):
        require_writable_file(tmp_path / "report.html", "choose another")
    require_writable_file(tmp_path / "new" / "report.html", "choose another")
    assert not (tmp_path / "new").exists()


def test_a_name_that_is_too_long_is_refused(tmp_path):
    with user_error("File name too long; choose another"):
        require_writable(tmp_path / ("x" * 300) / "a", "choose another")


@pytest.mark.parametrize(
    ("written", "path"),
    [("~/a", "/home/somebody/a"), ("$PLACE/a", "/data/a"), ("${PLACE}", "/data"), ("a/b", "a/b"), ("/a", "/a"),
     ("$UNKNOWN_NAME/a", "$UNKNOWN_NAME/a")],
)  # fmt: skip
def test_paths_as_users_write_them(monkeypatch, written, path):
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv("PLACE", "/data")
    assert resolve_path(written) == Path(path)
    assert resolve_path(Path(written)) == Path(path)


def test_the_home_folder_of_nobody_is_one_line():
    with user_error("~no_such_user_here/a: the home folder is unknown; write the whole path, or set HOME"):
        resolve_path("~no_such_user_here/a")


def test_folders_of_the_user(monkeypatch, tmp_path):
    """The variable counts, relative or with a home folder; an empty one is unset."""
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.chdir(tmp_path)
    for value, path in [
        ("", Path("/home/somebody/.x/y")),
        ("here", tmp_path / "here"),
        ("~/here", Path("/home/somebody/here")),
    ]:
        monkeypatch.setenv("SOME_FOLDER", value)
        assert user_folder("SOME_FOLDER", ".x", "y") == path


@pytest.mark.parametrize("home", [None, ""])
def test_without_a_home_folder_the_variables_that_replace_it_are_named(monkeypatch, home):
    """A container's user may have neither HOME nor an entry in the list of users."""
    monkeypatch.delenv("HOME") if home is None else monkeypatch.setenv("HOME", home)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with user_error("HOME is not set", "~/.x", "D4RL_DATASET_DIR, MINARI_DATASETS_PATH and SSAR_CACHE_DIR"):
        user_folder("SOME_FOLDER", ".x")
    monkeypatch.setenv("SOME_FOLDER", "/data")
    assert user_folder("SOME_FOLDER", ".x") == Path("/data")


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EACCES, "cannot be read (Permission denied): check its permissions"),
        (errno.EIO, "cannot be read (Input/output error): check that it exists and that its disk works"),
        (errno.EMFILE, "cannot be read (Too many open files): close other programs"),
    ],
)
def test_an_archive_that_cannot_be_read_is_not_damaged(tmp_path, monkeypatch, number, message):
    """And nobody is told to delete it."""
    path = tmp_path / "a.npz"
    np.savez(path, a=np.zeros(2))
    deny(monkeypatch, path, number=number)
    with user_error(f"{path} {message}") as caught, add_hint("delete it to train again"):
        open_npz(path)
    assert isinstance(caught.value, UnreadableError)
    assert "delete" not in str(caught.value)


@pytest.mark.parametrize("cut", [10, 100, 150, 200])
def test_a_damaged_archive_is_damaged(tmp_path, cut):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, a=np.arange(100.0))
    content = path.read_bytes()
    path.write_bytes(content[:cut])
    with user_error(str(path), "; delete it") as caught, add_hint("delete it"):
        open_npz(path)
    assert not isinstance(caught.value, UnreadableError)
    changed = bytearray(content)
    changed[cut : cut + 20] = b"\xff" * 20
    path.write_bytes(changed)
    with pytest.raises(UserError):
        open_npz(path)


def test_a_header_that_is_no_python_literal_is_damage(tmp_path):
    """NumPy reads it with Python's tokenizer, which has an error of its own."""
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", b"\x93NUMPY\x01\x00\x10\x00{'descr': ('<f4'\n")
    assert npz_headers(path) == {}
    with user_error(str(path), "not a readable .npz file, truncated or damaged"):
        open_npz(path)


@pytest.mark.parametrize("examine", [exists, is_folder, require_file])
def test_a_folder_that_may_not_be_searched_is_named(monkeypatch, examine):
    def refuse(self, **options):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "stat", refuse)
    with user_error("/secret/a cannot be read (Permission denied): check its permissions and those of its folders"):
        examine(Path("/secret/a"))


def test_what_does_not_exist_does_not(tmp_path):
    (tmp_path / "a").touch()
    for path in (tmp_path / "b", tmp_path / "a" / "b"):
        assert not exists(path)
        assert not is_folder(path)
    assert is_folder(tmp_path)
    assert not is_folder(tmp_path / "a")
