"""Minari datasets: written whole or not at all, read without the network, refused when damaged."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import h5py
import minari
import numpy as np
import pytest
from gymnasium import spaces

from ssar_jax.data.dataset import OfflineDataset
from ssar_jax.data.sources.minari import has_minari, minari_directory, read_minari, read_minari_metadata
from ssar_jax.data.sources.minari_writing import delete_minari, write_minari
from ssar_jax.episodes import Episode
from ssar_jax.errors import UnreadableError
from tests.data.helpers import deny, locked, user_error
from tests.data.minari_sets import STEPS, write_set
from tests.envs.point_goal import goal_space, spec

NAME = "ssar-embedded/toy/medium-v0"


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    return tmp_path / "minari"


def two_episodes() -> list[Episode]:
    """Two steps that end by termination, then three that run into the time limit; O = 2, A = 1."""
    return [
        Episode(
            np.array([[0.0, 0.5], [1.0, 0.5], [2.0, 0.5]]),
            np.array([[-1.0], [1.0]]),
            np.array([1.0, 2.0]),
            np.array([False, True]),
            np.array([False, False]),
        ),
        Episode(
            np.array([[10.0, 0.5], [11.0, 0.5], [12.0, 0.5], [13.0, 0.5]]),
            np.array([[0.0], [0.25], [0.5]]),
            np.array([3.0, 4.0, 5.0]),
            np.array([False, False, False]),
            np.array([False, False, True]),
        ),
    ]


def assert_is_two_episodes(dataset: OfflineDataset) -> None:
    """The step into the time limit is kept, its next observation is the stored one, and its mask is 1."""
    np.testing.assert_array_equal(dataset.observations[:, 0], [0, 1, 10, 11, 12])
    np.testing.assert_array_equal(dataset.next_observations[:, 0], [1, 2, 11, 12, 13])
    np.testing.assert_array_equal(dataset.actions[:, 0], [-1, 1, 0, 0.25, 0.5])
    np.testing.assert_array_equal(dataset.rewards, [1, 2, 3, 4, 5])
    np.testing.assert_array_equal(dataset.masks, [1, 0, 1, 1, 1])
    np.testing.assert_array_equal(dataset.episode_ends, [False, True, False, False, True])


def test_written_datasets_read_back(root: Path) -> None:
    folder = write_minari(NAME, two_episodes(), description="NOT D4RL", metadata={"recipe_hash": "abc"})
    assert folder == root / NAME
    assert minari_directory() == root
    assert has_minari(NAME)
    dataset = read_minari(NAME)
    assert_is_two_episodes(dataset)
    assert (dataset.source.kind, dataset.source.name) == ("embedded", NAME)
    assert dataset.source.location == str(folder)
    metadata = read_minari_metadata(NAME)
    assert (metadata["description"], metadata["recipe_hash"]) == ("NOT D4RL", "abc")
    assert (metadata["total_episodes"], metadata["total_steps"]) == (2, 5)


def test_minari_itself_reads_what_we_wrote() -> None:
    write_minari(NAME, two_episodes(), description="NOT D4RL")
    assert list(minari.list_local_datasets()) == [NAME]
    theirs = minari.load_dataset(NAME, download=False)
    assert (theirs.total_episodes, theirs.total_steps) == (2, 5)
    assert theirs.observation_space.shape == (2,)
    second = theirs[1]
    np.testing.assert_array_equal(second.observations, np.float32(two_episodes()[1].observations))
    np.testing.assert_array_equal(second.truncations, [False, False, True])


def test_datasets_are_found_by_folder_too(root: Path) -> None:
    write_minari(NAME, two_episodes(), description="")
    assert_is_two_episodes(read_minari(root / NAME))
    assert_is_two_episodes(read_minari(root / NAME / "data"))


def write_goals(dataset_id: str, **options: object) -> None:
    """Write one episode whose row i is position 2 i, goal 99 and the rest 2 i + 1."""
    rows = np.arange(10.0).reshape(5, 2)
    columns = {"achieved_goal": rows[:, :1], "desired_goal": np.full((5, 1), 99.0), "observation": rows[:, 1:]}
    write_set(dataset_id, [columns], goal_space(achieved_goal=1, desired_goal=1, observation=1), **options)


@pytest.mark.parametrize(
    ("dataset_id", "options"),
    [("test/maze-v0", {}), ("D4RL/pointmaze/umaze-v0", {}), ("test/antmaze/x-v0", {"env": spec(id="PointMaze-v3")})],
)
def test_goals_are_part_of_the_observations(dataset_id: str, options: dict) -> None:
    write_goals(dataset_id, **options)
    dataset = read_minari(dataset_id)
    np.testing.assert_array_equal(dataset.observations[1], [2, 99, 3])
    np.testing.assert_array_equal(dataset.next_observations[1], [4, 99, 5])
    assert "observations are achieved_goal (1), desired_goal (1), observation (1), in this order" in dataset.card()


@pytest.mark.parametrize(
    ("dataset_id", "options"),
    [("test/maze-v0", {"env": spec(id="AntMaze_UMaze-v4")}), ("D4RL/antmaze/umaze-v1", {})],
)
def test_antmaze_has_d4rls_order_without_the_goal(dataset_id: str, options: dict) -> None:
    write_goals(dataset_id, **options)
    dataset = read_minari(dataset_id)
    np.testing.assert_array_equal(dataset.observations[1], [2, 3])
    assert "observations are achieved_goal (1), observation (1), in this order" in dataset.card()


def test_nested_dictionaries_and_matrices_become_the_vectors_of_gymnasium() -> None:
    box = spaces.Box
    inner = spaces.Dict({"z": box(-np.inf, np.inf, (2, 2)), "b": box(0, 9, (), np.int64)})
    space = spaces.Dict({"robot": inner, "a-b": box(-np.inf, np.inf, (3,)), "a": box(-np.inf, np.inf, (1,))})
    space.seed(0)
    rows = [space.sample() for _ in range(STEPS + 1)]
    columns = {
        "robot": {key: np.stack([row["robot"][key] for row in rows]) for key in ("z", "b")},
        **{key: np.stack([row[key] for row in rows]) for key in ("a-b", "a")},
    }
    write_set("test/nested-v0", [columns], space)
    dataset = read_minari("test/nested-v0")
    expected = np.float32([spaces.flatten(space, row) for row in rows])
    np.testing.assert_array_equal(dataset.observations, expected[:-1])
    np.testing.assert_array_equal(dataset.next_observations, expected[1:])


def test_a_set_that_does_not_describe_its_spaces(root: Path) -> None:
    """As old versions of Minari wrote it: the layout is that of the file."""
    write_goals("test/maze-v0")
    file = root / "test" / "maze-v0" / "data" / "metadata.json"
    entries = json.loads(file.read_text())
    described = read_minari("test/maze-v0")
    file.write_text(json.dumps({key: value for key, value in entries.items() if not key.endswith("_space")}))
    assert read_minari("test/maze-v0").content_hash == described.content_hash


ROWS = STEPS + 1
BOX = spaces.Box(-1.0, 1.0, (2,))
CAMERA = spaces.Box(0, 255, (32, 40, 3), np.uint8)
PICTURES = np.zeros((ROWS, 32, 40, 3), np.uint8)
VECTORS = np.zeros((ROWS, 2), np.float32)


@pytest.mark.parametrize(
    ("observations", "space", "options", "what"),
    [
        (["go"] * ROWS, spaces.Text(5), {}, "its observations are of type Text"),
        ({"a": {"b": ["go"] * ROWS}}, spaces.Dict({"a": spaces.Dict({"b": spaces.Text(5)})}), {}, "observations.a.b"),
        (np.zeros(ROWS, np.int64), spaces.Discrete(3), {}, "its observations are of type Discrete"),
        (PICTURES, CAMERA, {}, "its observations are pictures of shape (32, 40, 3)"),
        ({"camera": PICTURES}, spaces.Dict({"camera": CAMERA}), {}, "its observations.camera are pictures"),
        (np.zeros((ROWS, 2, 2)), spaces.Box(-1, 1, (2, 2)), {}, "observations have shape (2, 2)"),
        ((VECTORS, VECTORS), spaces.Tuple([BOX, BOX]), {}, "its observations are of type Tuple"),
        (
            *(VECTORS, BOX),
            {"actions": [np.zeros(STEPS, np.int64)], "action_space": spaces.Discrete(2)},
            "its actions are of type Discrete",
        ),
        (
            *(VECTORS, BOX),
            {"actions": [{"arm": np.zeros((STEPS, 2))}], "action_space": spaces.Dict({"arm": BOX})},
            "its actions are dictionaries",
        ),
    ],
)
def test_intact_sets_of_another_kind_are_named(
    root: Path, observations: object, space: spaces.Space, options: dict, what: str
) -> None:
    """The field and the remedy are named; nobody is told to delete an intact dataset."""
    write_set("test/other-v0", [observations], space, **options)
    with user_error(str(root / "test" / "other-v0"), "unsupported Minari dataset", what, "as an .npz file") as caught:
        read_minari("test/other-v0")
    assert not {"damaged", "delete"} & set(str(caught.value).split())


def test_a_storage_that_cannot_be_read_is_named() -> None:
    file = write_minari(NAME, two_episodes(), description="") / "data" / "metadata.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "data_format": "tape"}))
    with user_error("unsupported Minari dataset: its storage is 'tape', and only arrow, hdf5, parquet can be read"):
        read_minari(NAME)


@pytest.mark.skipif(find_spec("pyarrow") is not None, reason="pyarrow is installed")
def test_a_storage_that_needs_another_package_names_it() -> None:
    file = write_minari(NAME, two_episodes(), description="") / "data" / "metadata.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "data_format": "arrow"}))
    with user_error("pyarrow is not installed", "which its storage 'arrow' needs"):
        read_minari(NAME)


def test_files_that_cannot_be_read_are_not_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_minari(NAME, two_episodes(), description="")
    for name in ("main_data.hdf5", "metadata.json"):
        file = folder / "data" / name
        with monkeypatch.context() as patch:
            deny(patch, file)
            with user_error(f"{file} cannot be read (Permission denied): check its permissions") as caught:
                read_minari(NAME)
        assert isinstance(caught.value, UnreadableError)
    assert_is_two_episodes(read_minari(NAME))


def test_a_set_that_another_process_writes_is_locked() -> None:
    file = write_minari(NAME, two_episodes(), description="") / "data" / "main_data.hdf5"
    with locked(file), pytest.raises(UnreadableError, match=r"is locked.*HDF5_USE_FILE_LOCKING=FALSE"):
        read_minari(NAME)
    assert_is_two_episodes(read_minari(NAME))


def test_a_set_that_is_not_here_is_not_looked_for_elsewhere(root: Path) -> None:
    with user_error("'mujoco/hopper/medium-v0' is not on this machine", "minari download mujoco/hopper/medium-v0"):
        read_minari("mujoco/hopper/medium-v0")


def test_metadata_of_other_sizes(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Another width is refused; another number of steps is only a note, since the episodes themselves agree."""
    folder = write_minari(NAME, two_episodes(), description="")
    metadata = folder / "data" / "metadata.json"
    table = json.loads(metadata.read_text())
    metadata.write_text(json.dumps({**table, "total_steps": 4}))
    dataset = read_minari(NAME)
    assert_is_two_episodes(dataset)
    note = "the episodes have 5 steps, but total_steps in metadata.json is 4; all episodes are used"
    assert note in caplog.text
    assert note in dataset.card()
    for key in ("observation", "action"):
        space = json.loads(table[f"{key}_space"])
        wider = {**space, "shape": [7], "low": [-1.0] * 7, "high": [1.0] * 7}
        metadata.write_text(json.dumps({**table, f"{key}_space": json.dumps(wider)}))
        with user_error(str(folder), f"{key}s of episode 0 have shape", "metadata.json describes vectors of 7 values"):
            read_minari(NAME)


def test_a_flipped_bit_of_a_written_set_is_noticed(root: Path) -> None:
    """Wherever the values are stored: every byte of one column."""
    folder = write_minari(NAME, two_episodes(), description="")
    main = folder / "data" / "main_data.hdf5"
    whole = main.read_bytes()
    with h5py.File(main) as file:
        stored = cast(h5py.Dataset, file["episode_1/observations"]).id.get_chunk_info(0)
    for place in range(stored.byte_offset, stored.byte_offset + stored.size):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        main.write_bytes(changed)
        with user_error("damaged or half-written Minari dataset"):
            read_minari(NAME)


def test_damaged_sets(root: Path) -> None:
    folder = write_minari(NAME, two_episodes(), description="")
    main, metadata = folder / "data" / "main_data.hdf5", folder / "data" / "metadata.json"
    whole, table = main.read_bytes(), json.loads(metadata.read_text())
    damaged = ("damaged or half-written Minari dataset", "copy or download it again")

    main.write_bytes(whole[: len(whole) // 2])
    with user_error(str(folder), *damaged):
        read_minari(NAME)
    main.write_bytes(b"")
    with user_error(*damaged):
        read_minari(NAME)
    main.write_bytes(whole)
    metadata.write_text(json.dumps({**table, "total_episodes": 3}))
    with user_error(*damaged):
        read_minari(NAME)
    metadata.write_text("{")
    with user_error(*damaged):
        read_minari(NAME)
    metadata.write_text("[]")
    with user_error(*damaged):
        read_minari(NAME)
    for number in (0, 1):  # Minari would read as many
        metadata.write_text(json.dumps({**table, "total_episodes": number}))
        with user_error(*damaged, f"it holds 2 episodes, but total_episodes in metadata.json is {number}"):
            read_minari(NAME)
    metadata.write_text(json.dumps({**table, "observation_space": "{"}))
    with user_error(str(folder), "observation_space of metadata.json is not JSON"):
        read_minari(NAME)
    metadata.write_text(json.dumps({**table, "action_space": json.dumps({"type": "Box", "shape": [1], "low": [1, 2]})}))
    with user_error(*damaged):
        read_minari(NAME)
    metadata.write_text(json.dumps(table))
    main.unlink()
    with user_error(*damaged, "main_data.hdf5 is missing"):
        read_minari(NAME)
    metadata.unlink()
    with user_error(*damaged, "metadata.json is missing"):
        read_minari(NAME)


@pytest.mark.parametrize(
    ("key", "value", "parts"),
    [
        ("rewards", np.zeros(3), ("episode 0 is damaged", "[3, 2, 3, 2] rows where T+1, T, T, T are needed")),
        ("observations", np.zeros((3, 5)), ("observations of episode 0 have shape (3, 5)", "vectors of 2 values")),
        ("rewards", np.array([0.0, np.nan]), ("rewards holds nan in row 1",)),
        ("rewards", np.float64(1.0), ("episode 0 is damaged; it holds a single number",)),
        ("actions", None, ("damaged or half-written",)),
    ],
)
def test_damaged_episodes(key: str, value: object, parts: tuple[str, ...]) -> None:
    folder = write_minari(NAME, two_episodes(), description="")
    with h5py.File(folder / "data" / "main_data.hdf5", "a") as file:
        del file[f"episode_0/{key}"]
        if value is not None:
            file[f"episode_0/{key}"] = value
    with user_error(*parts):
        read_minari(NAME)


def test_episodes_of_different_sizes_without_a_described_space() -> None:
    folder = write_minari(NAME, two_episodes(), description="")
    metadata = folder / "data" / "metadata.json"
    table = json.loads(metadata.read_text())
    metadata.write_text(json.dumps({key: value for key, value in table.items() if key != "observation_space"}))
    assert_is_two_episodes(read_minari(NAME))
    with h5py.File(folder / "data" / "main_data.hdf5", "a") as file:
        del file["episode_0/observations"]
        file["episode_0/observations"] = np.zeros((3, 5))
    with user_error("episode 1 has observations or actions of another size than episode 0"):
        read_minari(NAME)


def test_what_write_minari_refuses(root: Path) -> None:
    with user_error("'hopper' is not a Minari id"):
        write_minari("hopper", two_episodes(), description="")
    with user_error("there are no episodes to write"):
        write_minari(NAME, [], description="")
    write_minari(NAME, two_episodes(), description="")
    with user_error("exists already"):
        write_minari(NAME, two_episodes(), description="")
    assert [path.name for path in (root / "ssar-embedded" / "toy").iterdir()] == ["medium-v0"]


def test_delete(root: Path) -> None:
    write_minari(NAME, two_episodes(), description="")
    delete_minari(NAME)
    assert not has_minari(NAME)
    assert list((root / "ssar-embedded" / "toy").iterdir()) == []
    delete_minari(NAME)  # once more: nothing to do
    write_minari(NAME, two_episodes(), description="")


def test_unwritable_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "file"))
    with user_error("cannot write Minari dataset"):
        write_minari(NAME, two_episodes(), description="")


def test_a_relative_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Minari itself fails there, after it has written all data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINARI_DATASETS_PATH", "here/sets")
    assert write_minari(NAME, two_episodes(), description="") == tmp_path / "here" / "sets" / NAME
    assert_is_two_episodes(read_minari(NAME))


def test_writing_is_tried_before_an_episode_is_asked_for(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever fails at the end, here the last step of the metadata, fails before hours of generation."""

    def never() -> Iterator[Episode]:
        raise AssertionError("an episode was generated")
        yield

    def fail(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(minari.dataset.minari_storage.MinariStorage, "update_metadata", fail)
    with user_error("cannot write Minari dataset", "No space left on device"):
        write_minari(NAME, never(), description="")
    assert list((root / "ssar-embedded" / "toy").iterdir()) == []


def test_of_two_writers_the_first_to_finish_wins() -> None:
    def slow() -> Iterator[Episode]:
        """Another process writes the same dataset while this one generates."""
        yield two_episodes()[0]
        write_minari(NAME, two_episodes(), description="the faster one", metadata={"recipe": "a"})
        yield two_episodes()[1]

    folder = write_minari(NAME, slow(), description="the slower one", metadata={"recipe": "a"})
    assert read_minari_metadata(NAME)["description"] == "the faster one"
    assert [path.name for path in folder.parent.iterdir()] == ["medium-v0"]
    delete_minari(NAME)
    with user_error(str(folder), "another process has meanwhile written a dataset with other metadata"):
        write_minari(NAME, slow(), description="the slower one", metadata={"recipe": "b"})
    assert read_minari_metadata(NAME)["recipe"] == "a"
    assert [path.name for path in folder.parent.iterdir()] == ["medium-v0"]


def test_a_failing_generator_leaves_nothing(root: Path) -> None:
    def failing() -> Iterator[Episode]:
        yield two_episodes()[0]
        raise RuntimeError("the simulator broke")

    with pytest.raises(RuntimeError, match="the simulator broke"):
        write_minari(NAME, failing(), description="")
    assert list((root / "ssar-embedded" / "toy").iterdir()) == []


PROGRAM = """
import resource, sys, time
import numpy as np
from ssar_jax.data.sources.minari_writing import write_minari
from ssar_jax.episodes import Episode
from ssar_jax.errors import UserError

def episodes(pause):
    for i in range(50):
        flags = np.zeros(100, bool)
        yield Episode(np.zeros((101, 3)), np.zeros((100, 1)), np.zeros(100), flags, flags)
        if pause and i == 10:
            print("half-way", flush=True)
            time.sleep(60)

if sys.argv[1] == "full":  # files may not grow beyond 64 KiB: what a full disk does to a writer
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
try:
    write_minari("ssar-embedded/toy/medium-v0", episodes(sys.argv[1] == "killed"), description="")
except UserError as error:
    print(error)
"""


def test_a_killed_writer_leaves_no_dataset(root: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, "killed"], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout.readline() == "half-way\n"
        process.send_signal(signal.SIGKILL)
    assert not has_minari(NAME)
    assert minari.list_local_datasets() == {}
    write_minari(NAME, two_episodes(), description="")
    assert_is_two_episodes(read_minari(NAME))


def test_a_full_disk_leaves_nothing(root: Path) -> None:
    result = subprocess.run([sys.executable, "-c", PROGRAM, "full"], capture_output=True, text=True, check=False)
    assert result.stdout.startswith(f"cannot write Minari dataset {root / NAME}: "), result
    assert result.stdout.count("\n") == 1
    assert list((root / "ssar-embedded" / "toy").iterdir()) == []
