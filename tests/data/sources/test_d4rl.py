"""D4RL files: the q-learning view by hand, verification, and every way in which a file can be wrong."""

import dataclasses
import hashlib
import logging
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssar_jax.data.d4rl_files import D4RLFile
from ssar_jax.data.dataset import DataSource, OfflineDataset
from ssar_jax.data.selection import keep_best, segments, select_by_return
from ssar_jax.data.sources import d4rl as d4rl_module
from ssar_jax.data.sources.d4rl import d4rl_directory, find_file, load_d4rl, read_hdf5, verify_file
from ssar_jax.data.tasks import Task, get_task
from ssar_jax.errors import UnreadableError
from tests.data.helpers import deny, locked, ten_rows, trajectories, user_error, write_hdf5


def assert_is_the_view_of_ten_rows(dataset: OfflineDataset) -> None:
    """Compare with the view worked out by hand.

    Raw rows 0..9, terminal in row 2. Dropped are row 6 (time-out) and row 9 (the last one).
      kept rows          0  1  2  3  4  5  7  8
      next observation   1  2  3  4  5  6  8  9     the raw row after
      mask               1  1  0  1  1  1  1  1
      episode ends             x        x     x     terminal; before the dropped time-out; last row
      rewards            1  2  3  4  5  6  8  9     so the returns are 6, 15, 17
    """
    kept, after = np.array([0, 1, 2, 3, 4, 5, 7, 8]), np.array([1, 2, 3, 4, 5, 6, 8, 9])
    np.testing.assert_array_equal(dataset.observations, np.stack([kept, 10 * kept], axis=1))
    np.testing.assert_array_equal(dataset.next_observations, np.stack([after, 10 * after], axis=1))
    np.testing.assert_array_equal(dataset.actions, np.float32(kept / 10.0)[:, None])
    np.testing.assert_array_equal(dataset.rewards, kept + 1)
    np.testing.assert_array_equal(dataset.masks, [1, 1, 0, 1, 1, 1, 1, 1])
    np.testing.assert_array_equal(np.flatnonzero(dataset.episode_ends), [2, 5, 7])
    np.testing.assert_array_equal(dataset.episode_returns(), [6.0, 15.0, 17.0])
    assert_jumps_tell_the_trajectories(dataset, [3, 6, 8])
    assert all(array.dtype == np.float32 for array in (dataset.observations, dataset.rewards, dataset.masks))


def assert_jumps_tell_the_trajectories(dataset: OfflineDataset, stops: list[int]) -> None:
    """The recorded ends cut a file as the authors' tolerance of 1e-6 does."""
    np.testing.assert_array_equal(segments(dataset).stops, stops)
    np.testing.assert_array_equal(segments(dataset, tolerance=1e-6).stops, stops)


def test_q_learning_view_by_hand(tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "a.hdf5", ten_rows())
    dataset = read_hdf5(path, horizon=1000)
    assert_is_the_view_of_ten_rows(dataset)
    assert (dataset.source.kind, dataset.source.location) == ("path", str(path))


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({}, {"compression": "gzip", "chunks": True}),
        ({"observations": ten_rows()["observations"].astype(np.float64)}, {}),
        ({"rewards": ten_rows()["rewards"][:, None], "terminals": ten_rows()["terminals"][:, None]}, {}),
        ({"terminals": ten_rows()["terminals"].astype(np.float32)}, {}),
        ({"terminals": ten_rows()["terminals"].astype(np.uint8), "timeouts": 1 * ten_rows()["timeouts"]}, {}),
        ({"next_observations": np.stack([np.arange(1, 11), 10 * np.arange(1, 11)], axis=1)}, {}),
    ],
    ids=["gzip", "float64", "columns", "float terminals", "integer flags", "next_observations"],
)
def test_other_layouts_give_the_same_view(tmp_path: Path, changes: dict[str, Any], options: dict[str, Any]) -> None:
    path = write_hdf5(tmp_path / "a.hdf5", ten_rows(**changes), **options)
    assert_is_the_view_of_ten_rows(read_hdf5(path, horizon=1000))


def test_d4rls_own_files_keep_the_published_view(tmp_path: Path) -> None:
    """Their `next_observations` are not looked at, and float64 is rounded as D4RL does."""
    columns = ten_rows(next_observations=np.full((10, 2), 7.0), rewards=np.arange(1, 11) + 1e-9)
    path = write_hdf5(tmp_path / "a.hdf5", columns)
    assert_is_the_view_of_ten_rows(read_hdf5(path, horizon=1000, source=DataSource("d4rl", "hopper-medium-v2")))


def test_a_replay_buffer_in_any_order_keeps_its_next_observations(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Every row is a transition: the terminal one, the one that timed out, and the last."""
    order = np.array([7, 2, 5, 0, 9, 6, 3, 8, 1, 4])
    after = np.stack([np.arange(1, 11), 10 * np.arange(1, 11)], axis=1)
    columns = {key: value[order] for key, value in ten_rows(next_observations=after).items()}
    path = write_hdf5(tmp_path / "a.hdf5", columns)
    dataset = read_hdf5(path, horizon=1000)
    np.testing.assert_array_equal(dataset.observations[:, 0], order)
    np.testing.assert_array_equal(dataset.next_observations[:, 0], order + 1)
    np.testing.assert_array_equal(dataset.masks, order != 2)
    # Of the rows before the last, the terminal 2 and the time-out 6 end episodes; no other is followed by its next.
    note = "next_observations differ from the next row in 7 of the 7 rows that end no episode"
    assert note in caplog.text
    assert f"note         {note}: each row keeps its own, and time-outs are kept" in dataset.card()
    with user_error(str(path), "8 of 10 rows are not followed by their next observation", "sort the rows"):
        select_by_return(dataset, 0.0)


def test_environments_recorded_in_turn_are_no_trajectories(tmp_path: Path) -> None:
    """Two environments of five steps each; both time out at the end."""
    steps = np.repeat(np.arange(5.0), 2)
    states = np.stack([steps, np.tile([0.0, 50.0], 5)], axis=1)
    columns = ten_rows(
        observations=states,
        next_observations=states + np.array([1.0, 0.0]),
        terminals=np.zeros(10),
        timeouts=steps == 4,
    )
    dataset = read_hdf5(write_hdf5(tmp_path / "a.hdf5", columns), horizon=1000)
    assert len(dataset) == 10
    np.testing.assert_array_equal(dataset.next_observations[:, 0], steps + 1)
    assert not dataset.has_trajectories
    with user_error("in no order of episodes"):
        keep_best(dataset, 1)


def test_next_observations_tell_the_ends_that_a_file_leaves_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Without time-outs, the jump after row 6 ends an episode; no time limit is assumed."""
    columns = ten_rows(timeouts=None, terminals=np.zeros(10))
    columns["observations"][7:] += 100
    columns["next_observations"] = np.concatenate([columns["observations"][1:7], [[7, 70]], [[108, 180]], [[109, 190]]])
    columns["next_observations"] = np.concatenate([columns["next_observations"], [[110, 200]]])
    dataset = read_hdf5(write_hdf5(tmp_path / "a.hdf5", columns), horizon=3)
    np.testing.assert_array_equal(dataset.episode_lengths(), [7, 3])
    assert dataset.has_trajectories
    assert "has no 'timeouts'" not in caplog.text
    assert "differ from the next row in 1 of the 9 rows" in caplog.text


def test_next_observations_may_be_rounded(tmp_path: Path) -> None:
    """A column in float32 beside observations in float64 is the same state as the next row."""
    observations = np.random.default_rng(0).normal(scale=1000.0, size=(10, 2))
    columns = ten_rows(
        observations=observations, next_observations=np.roll(observations, -1, axis=0).astype(np.float32)
    )
    assert read_hdf5(write_hdf5(tmp_path / "a.hdf5", columns), horizon=1000).notes == ()


def test_without_timeouts_the_step_before_the_horizon_is_one(tmp_path: Path) -> None:
    # Terminal in row 2, so the count starts anew in row 3; with horizon 4, row 3 + 3 = 6 is a time-out.
    path = write_hdf5(tmp_path / "a.hdf5", ten_rows(timeouts=None))
    assert_is_the_view_of_ten_rows(read_hdf5(path, horizon=4))


def test_a_row_that_is_terminal_and_timed_out_is_dropped(tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "a.hdf5", ten_rows(terminals=np.arange(10) == 6))
    dataset = read_hdf5(path, horizon=1000)
    np.testing.assert_array_equal(dataset.masks, np.ones(8))
    np.testing.assert_array_equal(np.flatnonzero(dataset.episode_ends), [5, 7])


def test_antmaze_terminals_come_in_clusters_and_end_no_episode(tmp_path: Path) -> None:
    # The ant is at the goal in rows 2 to 4 and wanders on; the time-out in row 6 ends the episode.
    at_goal = np.isin(np.arange(10), (2, 3, 4))
    columns = ten_rows(terminals=at_goal, rewards=at_goal.astype(np.float32))
    path = write_hdf5(tmp_path / "a.hdf5", columns)
    dataset = read_hdf5(path, horizon=700, terminals_end_episodes=False)
    np.testing.assert_array_equal(dataset.masks, [1, 1, 0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(np.flatnonzero(dataset.episode_ends), [5, 7])
    np.testing.assert_array_equal(dataset.episode_returns(), [3.0, 0.0])
    assert_jumps_tell_the_trajectories(dataset, [3, 4, 5, 6, 8])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(1, 6))
def test_inferred_timeouts_follow_the_walk(terminals: list[bool], horizon: int) -> None:
    expected, step = [], 0
    for terminal in terminals:
        timeout = step == horizon - 1
        expected.append(timeout)
        step = 0 if timeout or terminal else step + 1
    np.testing.assert_array_equal(d4rl_module._infer_timeouts(np.array(terminals), horizon), expected)


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"rewards": None}, ("missing key 'rewards'", "the file has actions, metadata, observations")),
        ({"rewards": np.arange(9.0)}, ("rewards has 9 rows, but observations has 10",)),
        ({"rewards": np.zeros((10, 2))}, ("rewards has shape (10, 2)",)),
        ({"observations": np.zeros(10)}, ("observations has shape (10,)",)),
        ({"observations": np.full((10, 2), np.nan)}, ("observations holds nan in row 0",)),
        ({"actions": np.where(np.arange(10) == 7, np.inf, 0.0)[:, None]}, ("actions holds inf in row 7",)),
        ({"actions": np.full((10, 1), 2.0)}, ("actions holds 2 in row 0", "not in [-1, 1]")),
        ({"timeouts": np.ones(10, bool)}, ("the dataset is empty", "none of its 10 rows")),
        ({"actions": np.array([b"x"] * 10)}, ("actions has dtype",)),
        ({"terminals": np.where(np.arange(10) == 4, 0.5, 0.0)}, ("terminals holds 0.5 in row 4; only 0 and 1",)),
        ({"timeouts": np.where(np.arange(10) == 3, -1, 0)}, ("timeouts holds -1 in row 3; only 0 and 1",)),
        ({"next_observations": np.zeros((10, 3))}, ("next_observations has (10, 3)",)),
        ({"next_observations": np.zeros((9, 2))}, ("next_observations has 9 rows",)),
    ],
)
def test_refuses(tmp_path: Path, changes: dict[str, Any], parts: tuple[str, ...]) -> None:
    path = write_hdf5(tmp_path / "a.hdf5", ten_rows(**changes))
    with user_error(str(path), *parts):
        read_hdf5(path, horizon=1000)


def test_refuses_a_column_without_any_value(tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "a.hdf5", ten_rows())
    with h5py.File(path, "a") as file:
        del file["rewards"]
        file["rewards"] = h5py.Empty("f4")
    with user_error(str(path), "rewards is an HDF5 dataset without any value"):
        read_hdf5(path, horizon=1000)


def test_refuses_files_that_are_missing_or_something_else(tmp_path: Path) -> None:
    path = tmp_path / "a.hdf5"
    with user_error("a.hdf5: no such file"):
        read_hdf5(path, horizon=1000)
    path.write_bytes(b"")
    with user_error("the file is empty (0 bytes)"):
        read_hdf5(path, horizon=1000)
    path.write_bytes(b"<html>not here</html>")
    with user_error("not an HDF5 file", "<html>"):
        read_hdf5(path, horizon=1000)


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_refuses_truncated_files(tmp_path: Path, share: float) -> None:
    rows = np.arange(20_000)
    columns = {
        "observations": rows[:, None],
        "actions": 0.0 * rows[:, None],
        "rewards": rows,
        "terminals": rows < 0,
    }
    path = write_hdf5(tmp_path / "a.hdf5", columns, compression="gzip")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with user_error("truncated or damaged HDF5 file"):
        read_hdf5(path, horizon=1000)


def test_a_file_without_permission_is_not_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_hdf5(tmp_path / "a.hdf5", ten_rows())
    deny(monkeypatch, path)
    with user_error(f"{path} cannot be read (Permission denied): check its permissions") as caught:
        read_hdf5(path, horizon=1000)
    assert isinstance(caught.value, UnreadableError)


def test_a_file_that_another_process_writes_is_locked(tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "a.hdf5", ten_rows())
    with locked(path), user_error(f"{path} is locked", "HDF5_USE_FILE_LOCKING=FALSE"):
        read_hdf5(path, horizon=1000)
    assert len(read_hdf5(path, horizon=1000)) == 8


def test_an_unknown_compression_is_named(tmp_path: Path) -> None:
    """The file says that its chunks went through a filter, number 32000 (LZF), which it renames to an unknown one."""
    path = write_hdf5(tmp_path / "a.hdf5", ten_rows(), compression="lzf")
    number, unknown = (32000).to_bytes(2, "little"), (32099).to_bytes(2, "little")
    content = path.read_bytes()
    assert number in content
    path.write_bytes(content.replace(number, unknown))
    with user_error(f"{path} is compressed in a way that h5py does not know", "h5repack -f GZIP=4"):
        read_hdf5(path, horizon=1000)


def task_with_file(content: bytes, name: str = "hopper-m") -> Task:
    """Return a task whose official file has this content."""
    record = D4RLFile("gym_mujoco_v2/small.hdf5", len(content), hashlib.sha256(content).hexdigest())
    return dataclasses.replace(get_task(name), file=record)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("D4RL_DATASET_DIR", str(tmp_path))
    return tmp_path


def test_cache_folder(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = get_task("hopper-m")
    assert d4rl_directory() == cache
    assert find_file(task) is None
    (cache / "hopper_medium-v2.hdf5").touch()
    assert find_file(task) == cache / "hopper_medium-v2.hdf5"
    monkeypatch.delenv("D4RL_DATASET_DIR")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert d4rl_directory() == Path("/home/somebody/.d4rl/datasets")


def test_verification_is_remembered_until_the_file_changes(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = task_with_file(b"0123456789")
    path = cache / "small.hdf5"
    path.write_bytes(b"0123456789")
    hashed = []
    digest = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda *args: hashed.append(1) or digest(*args))
    verify_file(path, task.file)
    verify_file(path, task.file)
    assert len(hashed) == 1
    path.write_bytes(b"012345678X")
    os.utime(path, ns=(0, 0))
    with user_error("damaged", "sha256", "download it again"):
        verify_file(path, task.file)
    assert len(hashed) == 2


def test_a_damaged_memory_is_no_memory(cache: Path) -> None:
    task, path = task_with_file(b"0123456789"), cache / "small.hdf5"
    path.write_bytes(b"0123456789")
    (cache / "small.hdf5.verified.json").write_text("{")
    verify_file(path, task.file)


def test_verification_works_where_nothing_can_be_written(cache: Path) -> None:
    task, path = task_with_file(b"0123456789"), cache / "small.hdf5"
    path.write_bytes(b"0123456789")
    (cache / "small.hdf5.verified.json").mkdir()  # a folder under that name: replacing it fails for root too
    verify_file(path, task.file)


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"0123", ("truncated, 4 bytes instead of 10",)),
        (b"0123456789ABC", ("not the official file, 13 bytes instead of 10",)),
    ],
)
def test_wrong_length(cache: Path, content: bytes, parts: tuple[str, ...]) -> None:
    path = cache / "small.hdf5"
    path.write_bytes(content)
    with user_error(str(path), *parts):
        verify_file(path, task_with_file(b"0123456789").file)


def test_load_d4rl(cache: Path) -> None:
    path = write_hdf5(cache / "small.hdf5", ten_rows())
    task = task_with_file(path.read_bytes(), name="hopper-me")  # no published returns to disagree with
    dataset = load_d4rl(task)
    assert_is_the_view_of_ten_rows(dataset)
    assert (dataset.source.kind, dataset.source.name) == ("d4rl", "hopper-medium-expert-v2")
    path.unlink()
    assert load_d4rl(task) is None


@pytest.mark.parametrize(
    ("returns", "warnings"),
    [
        ((315.87, 728.0, 3222.36), 0),  # the mean of the three is 1422.08
        ((316.5, 728.0, 3222.36), 0),  # off by 0.63 < one step's reward
        ((200.0, 843.87, 3222.36), 1),  # smallest
        ((315.87, 1000.0, 3222.36), 1),  # mean
        ((315.87, 378.0, 3572.36), 1),  # largest
    ],
)
def test_a_known_file_with_other_returns_is_reported(
    returns: tuple[float, ...], warnings: int, caplog: pytest.LogCaptureFixture
) -> None:
    # 5000 equal rewards each: the largest single reward, which is the tolerance, is about 0.65 to 0.71.
    parts = [[total / 5000.0] * 5000 for total in returns]
    with caplog.at_level(logging.WARNING, logger="ssar_jax"):
        d4rl_module.warn_of_unexpected_returns(get_task("hopper-m"), trajectories(*parts))
    assert len(caplog.records) == warnings
    assert all("check where the file comes from" in record.getMessage() for record in caplog.records)


def test_an_unfinished_last_episode_is_no_reason_to_warn(caplog: pytest.LogCaptureFixture) -> None:
    parts = [[total / 5000.0] * 5000 for total in (315.87, 728.0, 3222.36)]
    with caplog.at_level(logging.WARNING, logger="ssar_jax"):
        dataset = trajectories(*parts, [0.5] * 3, terminal=False)
        d4rl_module.warn_of_unexpected_returns(get_task("hopper-m"), dataset)
    assert caplog.records == []
