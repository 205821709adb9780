"""Minari datasets: written whole or not at all, read without the network, refused when damaged."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import minari
import numpy as np
import pytest

from ssar_jax.data.dataset import OfflineDataset
from ssar_jax.data.sources.minari import has_minari, minari_directory, read_minari, read_minari_metadata
from ssar_jax.data.sources.minari_writing import delete_minari, write_minari
from ssar_jax.episodes import Episode
from tests.data.helpers import user_error

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


def write_theirs(dataset_id: str, observations: list, space: object, **options: object) -> None:
    """Write two_episodes() with Minari's own function but other observations."""
    buffers = [
        minari.data_collector.EpisodeBuffer(
            observations=rows,
            actions=np.float32(episode.actions),
            rewards=episode.rewards,
            terminations=episode.terminations,
            truncations=episode.truncations,
            infos={"qpos": np.zeros((len(episode.rewards) + 1, 2))},
        )
        for rows, episode in zip(observations, two_episodes(), strict=True)
    ]
    with pytest.warns(
        UserWarning, match=r"set to None|env_spec is None"
    ):  # no author, no e-mail address, no environment
        minari.create_dataset_from_buffers(
            dataset_id,
            buffers,
            observation_space=space,
            action_space=minari.dataset.minari_storage.gym.spaces.Box(-1.0, 1.0, (1,), np.float32),
            **options,
        )


def boxes(**sizes: int) -> object:
    """Return a dictionary space."""
    spaces = minari.dataset.minari_storage.gym.spaces
    return spaces.Dict({key: spaces.Box(-np.inf, np.inf, (size,)) for key, size in sizes.items()})


def test_goal_observations_become_position_then_the_rest(root: Path) -> None:
    observations = [
        {
            "achieved_goal": episode.observations[:, :1],
            "desired_goal": np.full((len(episode.observations), 1), 99.0),
            "observation": episode.observations[:, 1:],
        }
        for episode in two_episodes()
    ]
    write_theirs(
        "test/maze-v0",
        observations,
        boxes(achieved_goal=1, desired_goal=1, observation=1),
        data_format="hdf5",
    )
    dataset = read_minari("test/maze-v0")
    assert_is_two_episodes(dataset)
    np.testing.assert_array_equal(dataset.observations[:, 1], [0.5] * 5)
    assert dataset.source.kind == "minari"


def test_other_dictionaries_are_refused(root: Path) -> None:
    observations = [{"camera": episode.observations} for episode in two_episodes()]
    write_theirs("test/camera-v0", observations, boxes(camera=2), data_format="hdf5")
    with user_error("observations with the keys camera are not supported"):
        read_minari("test/camera-v0")


def test_a_set_that_is_not_here_is_not_looked_for_elsewhere(root: Path) -> None:
    with user_error("'mujoco/hopper/medium-v0' is not on this machine", "minari download mujoco/hopper/medium-v0"):
        read_minari("mujoco/hopper/medium-v0")


def test_damaged_sets(root: Path) -> None:
    folder = write_minari(NAME, two_episodes(), description="")
    main, metadata = folder / "data" / "main_data.hdf5", folder / "data" / "metadata.json"
    whole, table = main.read_bytes(), json.loads(metadata.read_text())
    damaged = ("damaged or half-written Minari dataset", "delete it and generate or download it again")

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
    metadata.write_text(json.dumps({**table, "total_episodes": 0}))
    with user_error("the dataset is empty"):
        read_minari(NAME)
    metadata.unlink()
    with user_error(*damaged, "metadata.json is missing"):
        read_minari(NAME)


@pytest.mark.parametrize(
    ("key", "value", "parts"),
    [
        ("rewards", np.zeros(3), ("episode 0 is damaged", "[3, 2, 3, 2] rows where T+1, T, T, T are needed")),
        ("observations", np.zeros((3, 5)), ("episode 1 has observations or actions of another size",)),
        ("rewards", np.array([0.0, np.nan]), ("rewards holds nan in row 1",)),
        ("rewards", np.float64(1.0), ("damaged or half-written",)),
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
