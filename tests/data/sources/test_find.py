"""Finding the dataset of a task, and the errors when there is none."""

import dataclasses
import hashlib
import json
import logging
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from ssar_jax.data.actions import ActionScaling
from ssar_jax.data.d4rl_files import D4RLFile
from ssar_jax.data.dataset import DataSource, OfflineDataset
from ssar_jax.data.sources.find import load_dataset
from ssar_jax.data.sources.minari_writing import write_minari
from ssar_jax.data.tasks import Task, custom_task, get_task
from ssar_jax.episodes import Episode
from tests.data.helpers import ten_rows, trajectories, user_error, write_hdf5
from tests.data.minari_sets import STEPS, write_set
from tests.envs.point_goal import goal_space

TOY = custom_task(2, 1, horizon=1000)


def generate(task: Task) -> OfflineDataset:
    """Stand in for the generator of embedded datasets."""
    rows = np.zeros((3, task.observation_size))
    return OfflineDataset.from_arrays(
        observations=rows,
        actions=np.zeros((3, task.action_size)),
        rewards=np.zeros(3),
        masks=np.ones(3),
        next_observations=rows,
        source=DataSource("embedded", f"embedded {task.name}"),
    )


def never(task: Task) -> OfflineDataset:
    """Fail if anything is generated."""
    raise AssertionError(f"generated {task.name}")


@pytest.fixture(autouse=True)
def empty_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("D4RL_DATASET_DIR", str(tmp_path / "d4rl"))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    (tmp_path / "d4rl").mkdir()
    return tmp_path


@pytest.fixture
def cached_task(tmp_path: Path) -> Task:
    """Return a task of the toy's sizes whose official file is in the cache."""
    path = write_hdf5(tmp_path / "d4rl" / "toy.hdf5", ten_rows())
    content = path.read_bytes()
    record = D4RLFile("toys/toy.hdf5", len(content), hashlib.sha256(content).hexdigest())
    return dataclasses.replace(TOY, name="toy", d4rl_name="toy-medium-v2", file=record)


@pytest.mark.parametrize("source", ["auto", "d4rl"])
def test_a_verified_file_is_taken(cached_task: Task, source: str, caplog: pytest.LogCaptureFixture) -> None:
    dataset = load_dataset(cached_task, source=source, embedded=never)
    assert (dataset.source.kind, dataset.source.name, len(dataset)) == ("d4rl", "toy-medium-v2", 8)
    assert caplog.records == []


def test_an_official_file_is_d4rl_in_any_folder(cached_task: Task, tmp_path: Path) -> None:
    """Another file of the same size is not, and neither is one of another task."""
    content = (tmp_path / "d4rl" / "toy.hdf5").read_bytes()
    (tmp_path / "mine.hdf5").write_bytes(content)
    dataset = load_dataset(cached_task, path=tmp_path / "mine.hdf5", embedded=never)
    assert dataset.source == DataSource("d4rl", "toy-medium-v2", str(tmp_path / "mine.hdf5"))
    assert load_dataset(TOY, path=tmp_path / "mine.hdf5", embedded=never).source.kind == "path"
    assert cached_task.file is not None
    other = dataclasses.replace(cached_task, file=dataclasses.replace(cached_task.file, sha256="0" * 64))
    assert load_dataset(other, path=tmp_path / "mine.hdf5", embedded=never).source.kind == "path"


@pytest.mark.parametrize("source", ["auto", "d4rl"])
def test_a_damaged_file_is_never_replaced_silently(cached_task: Task, source: str, tmp_path: Path) -> None:
    path = tmp_path / "d4rl" / "toy.hdf5"
    path.write_bytes(path.read_bytes()[:-1])
    with user_error(str(path), "truncated", "download it again"):
        load_dataset(cached_task, source=source, embedded=never)


def test_auto_falls_back_to_embedded_data_with_a_warning(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    with caplog.at_level(logging.WARNING, logger="ssar_jax"):
        dataset = load_dataset(get_task("hopper-m"), embedded=generate)
    assert dataset.source.kind == "embedded"
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    message = record.getMessage()
    assert message.count("\n") >= 5
    for part in (
        "THIS IS NOT D4RL",
        "hopper-medium-v2",
        str(tmp_path / "d4rl"),
        "NOT comparable with published ones",
        "ssar-jax download hopper-m",
    ):
        assert part in message


def test_embedded_on_request_needs_no_warning(cached_task: Task, caplog: pytest.LogCaptureFixture) -> None:
    assert load_dataset(cached_task, source="embedded", embedded=generate).source.kind == "embedded"
    assert caplog.records == []


def test_d4rl_without_the_file_names_its_url(tmp_path: Path) -> None:
    record = get_task("hopper-m").file
    with user_error(
        str(tmp_path / "d4rl" / "hopper_medium-v2.hdf5"),
        "http://rail.eecs.berkeley.edu/datasets/offline_rl/gym_mujoco_v2/hopper_medium-v2.hdf5",
        "152,756,557 bytes",
        record.sha256,
        "ssar-jax download hopper-m",
    ):
        load_dataset(get_task("hopper-m"), source="d4rl", embedded=never)


@pytest.mark.parametrize("source", ["auto", "path"])
def test_paths_of_every_kind(tmp_path: Path, source: str) -> None:
    write_hdf5(tmp_path / "a.hdf5", ten_rows())
    write_hdf5(tmp_path / "a.h5", ten_rows())
    flags = np.zeros(4, bool)
    episode = Episode(np.zeros((5, 2)), np.zeros((4, 1)), np.ones(4), flags, flags)
    folder = write_minari("toy/medium-v0", [episode], description="")
    load_dataset(TOY, path=tmp_path / "a.h5", embedded=never).save_npz(tmp_path / "a.npz")
    sizes = {
        tmp_path / "a.hdf5": 8,
        tmp_path / "a.h5": 8,
        tmp_path / "a.npz": 8,
        folder: 4,
        "toy/medium-v0": 4,
    }
    for path, size in sizes.items():
        dataset = load_dataset(TOY, source=source, path=path, embedded=never)
        assert len(dataset) == size
        assert dataset.source.kind == ("minari" if size == 4 else "path")


def test_paths_of_no_kind(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2")
    for path, parts in {
        tmp_path / "b.hdf5": ("b.hdf5: no such file",),
        tmp_path / "a.csv": ("a.csv: unknown kind of file", ".hdf5, .h5, .npz"),
        tmp_path / "b.csv": ("b.csv: no such file",),
        "toy/other-v0": ("'toy/other-v0' is not on this machine",),
        tmp_path: ("holds no Minari dataset",),
    }.items():
        with user_error(*parts):
            load_dataset(TOY, source="path", path=path, embedded=never)


def test_actions_are_scaled_from_their_bounds(tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "a.hdf5", ten_rows(actions=np.arange(10.0)[:, None]))
    scaling = ActionScaling.from_bounds(0.0, 10.0, action_size=1)
    dataset = load_dataset(TOY, path=path, embedded=never, action_scaling=scaling)
    # kept rows 0 1 2 3 4 5 7 8: a / 5 - 1
    np.testing.assert_allclose(dataset.actions[:, 0], [-1.0, -0.8, -0.6, -0.4, -0.2, 0.0, 0.4, 0.6], atol=1e-7)


def test_data_that_do_not_fit_the_task(tmp_path: Path) -> None:
    trajectories([1.0, 2.0]).save_npz(tmp_path / "a.npz")
    with user_error(str(tmp_path / "a.npz"), "observations have size 1, but task hopper-m has 11"):
        load_dataset(get_task("hopper-m"), path=tmp_path / "a.npz", embedded=never)


@pytest.mark.parametrize(
    ("task", "options", "parts"),
    [
        (TOY, {"source": "web"}, ("unknown dataset.source 'web'", "auto, d4rl, minari, embedded, path")),
        (TOY, {}, ("task custom", "needs dataset.path")),
        (TOY, {"source": "embedded"}, ("task custom", "needs dataset.path")),
        (get_task("hopper-m"), {"source": "path"}, ("needs dataset.path, such as my_data.hdf5",)),
        (get_task("hopper-m"), {"source": "minari"}, ("such as mujoco/hopper/medium-v0",)),
        (get_task("hopper-m"), {"source": "d4rl", "path": "a.hdf5"}, ("use dataset.source=path",)),
        (get_task("hopper-m"), {"source": "minari", "path": "a/b-v0"}, ("not on this machine",)),
    ],
)
def test_refused_requests(task: Task, options: dict[str, str], parts: tuple[str, ...]) -> None:
    with user_error(*parts):
        load_dataset(task, embedded=never, **options)


@pytest.mark.parametrize(
    ("task", "dataset_id", "environment", "accepted"),
    [
        ("hopper-m", "mine/hops-v0", "Hopper-v5", True),
        ("hopper-m", "mine/hops-v0", "hopper-expert-v2", True),  # another quality, the same environment
        ("hopper-m", "mine/hops-v0", None, True),
        ("hopper-m", "ssar-embedded/hopper/expert-v0", None, True),
        ("halfcheetah-m", "mine/runs-v0", "Walker2d-v5", False),  # of the same sizes
        ("halfcheetah-m", "ssar-embedded/walker2d/medium-v0", None, False),
        ("antmaze-u", "D4RL/antmaze/umaze-v1", "AntMaze_UMaze-v4", False),  # Minari's, in other coordinates
        ("antmaze-u", "mine/ants-v0", "antmaze-umaze-diverse-v2", True),
        ("antmaze-u", "mine/ants-v0", "antmaze-large-play-v2", False),
        ("antmaze-u", "ssar-embedded/antmaze/umaze-v0", None, True),
        ("antmaze-mp", "ssar-embedded/antmaze/umaze-v0", None, False),
    ],
)
@pytest.mark.parametrize("source", ["auto", "minari", "path"])
def test_a_minari_dataset_is_from_the_environment_of_the_task(
    task: str, dataset_id: str, environment: str | None, *, accepted: bool, source: str
) -> None:
    chosen = get_task(task)
    write_zeros(dataset_id, chosen, environment)
    if accepted:
        assert len(load_dataset(chosen, source=source, path=dataset_id, embedded=never)) == 3
        return
    with user_error(f"but task {task} evaluates in D4RL's {chosen.environment}: choose task custom"):
        load_dataset(chosen, source=source, path=dataset_id, embedded=never)


def write_zeros(dataset_id: str, task: Task, environment: str | None) -> None:
    """Write three rows of a task's sizes that name an environment."""
    states, actions = np.zeros((4, task.observation_size)), np.zeros((3, task.action_size))
    episode = Episode(states, actions, np.zeros(3), terminations=np.zeros(3, bool), truncations=np.arange(3) == 2)
    spec = {} if environment is None else {"env_spec": json.dumps({"id": environment})}
    write_minari(dataset_id, [episode], description="", metadata=spec)


def test_goals_without_an_environment_are_not_d4rls_antmaze() -> None:
    sizes = {"achieved_goal": 2, "desired_goal": 2, "observation": 27}
    columns = {name: np.zeros((STEPS + 1, size)) for name, size in sizes.items()}
    actions, space = np.zeros((STEPS, 8), np.float32), gymnasium.spaces.Box(-1.0, 1.0, (8,))
    write_set("D4RL/antmaze/umaze-v1", [columns], goal_space(**sizes), actions=[actions], action_space=space)
    with user_error("observations achieved_goal (2), observation (27)", "choose task custom"):
        load_dataset(get_task("antmaze-u"), path="D4RL/antmaze/umaze-v1", embedded=never)
