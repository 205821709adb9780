"""Nothing that is read runs code or reads other files: run folders and datasets from elsewhere are data."""

import ast
import json
import os
import pickle
from pathlib import Path

import gymnasium
import h5py
import numpy as np
import pytest

from experiments.cli.config_files import load_config
from ssar_jax.data.sources.d4rl import read_hdf5
from ssar_jax.data.sources.find import read_path
from ssar_jax.data.sources.minari import read_minari
from ssar_jax.data.tasks import get_task
from ssar_jax.envs.make import make_env
from ssar_jax.errors import UserError
from ssar_jax.files import open_npz
from ssar_jax.runs.load import load_policy
from ssar_jax.runs.pretraining.advantage import _read
from ssar_jax.runs.storage.checkpoints import Checkpoints
from tests.data.helpers import ten_rows, user_error, write_hdf5

ROOT = Path(__file__).parents[1]
SOURCES = [file for part in ("ssar_jax", "experiments", "configs") for file in sorted((ROOT / part).rglob("*.py"))]


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def mark(tmp_path):
    """The file that every attack would create; it must not exist at the end."""
    path = tmp_path / "mark"
    yield path
    assert not path.exists()


def objects(mark):
    array = np.empty(1, object)
    array[0] = Payload(mark)
    return array


def test_the_payload_works(tmp_path):
    """Otherwise the other tests say nothing."""
    np.save(tmp_path / "a.npy", objects(tmp_path / "mark"))
    np.load(tmp_path / "a.npy", allow_pickle=True)
    assert (tmp_path / "mark").exists()


@pytest.mark.parametrize("file", ["mine.npz", "mask.npy"])
def test_arrays_of_objects(tmp_path, mark, file):
    """Datasets, the preparation of a run, partial results and embedded policies; masks in the cache."""
    if file.endswith("npz"):
        np.savez(tmp_path / file, **(ten_rows() | {"observations": objects(mark)}))
        for read in (open_npz, lambda path: read_path(get_task("hopper-m"), path)):
            with user_error("holds Python objects; save arrays of numbers"):
                read(tmp_path / file)
    else:
        np.save(tmp_path / file, objects(mark))
        with user_error("truncated or damaged", "delete it to train again"):
            _read(tmp_path / file, 8)


def test_a_pickle_under_the_name_of_a_dataset(tmp_path, mark):
    (tmp_path / "mine.npz").write_bytes(pickle.dumps(Payload(mark)))
    with user_error("not a .npz file"):
        open_npz(tmp_path / "mine.npz")


def link_of_the_array(file, secret):
    file["rewards"] = h5py.ExternalLink(secret.name, "rewards")


def link_of_a_group_behind_a_soft_link(file, secret):
    file["behind"] = h5py.ExternalLink(str(secret), "/")
    file["rewards"] = h5py.SoftLink("/behind/rewards")


def virtual_array(file, secret):
    layout = h5py.VirtualLayout(shape=(10,), dtype="f4")
    layout[:] = h5py.VirtualSource(str(secret), "rewards", shape=(10,))
    file.create_virtual_dataset("rewards", layout)


def bytes_elsewhere(file, secret):
    file.create_dataset("rewards", (10,), "f4", external=[(str(secret), 0, 40)])


@pytest.mark.parametrize(
    "leave", [link_of_the_array, link_of_a_group_behind_a_soft_link, virtual_array, bytes_elsewhere]
)
@pytest.mark.parametrize("kind", ["hdf5", "minari"])
def test_hdf5_files_that_refer_to_others(tmp_path, leave, kind):
    secret, columns = write_hdf5(tmp_path / "secret.hdf5", ten_rows()), ten_rows(rewards=None)
    if kind == "hdf5":
        path = write_hdf5(tmp_path / "mine.hdf5", columns)
        with h5py.File(path, "a") as file:
            leave(file, secret)
        with user_error(str(path), "refers to another file, which is not read: copy the data into this file"):
            read_hdf5(path, horizon=1000)
        return
    data = tmp_path / "toy-v0" / "data"
    data.mkdir(parents=True)
    (data / "metadata.json").write_text(json.dumps({"total_episodes": 1, "data_format": "hdf5"}))
    with h5py.File(data / "main_data.hdf5", "w") as file:
        episode = file.create_group("episode_0")
        episode["observations"] = np.zeros((11, 2))
        episode["actions"], episode["terminations"] = columns["actions"], columns["terminals"]
        leave(episode, secret)
        if leave is link_of_a_group_behind_a_soft_link:  # its name starts at the root
            file["behind"] = h5py.ExternalLink(str(secret), "/")
    with user_error("main_data.hdf5", "refers to another file, which is not read"):
        read_minari(tmp_path / "toy-v0")


def test_links_within_a_file_are_followed(tmp_path):
    path = write_hdf5(tmp_path / "mine.hdf5", ten_rows(rewards=None))
    with h5py.File(path, "a") as file:
        file["other/rewards"] = ten_rows()["rewards"]
        file["rewards"] = h5py.SoftLink("/other/rewards")
    assert read_hdf5(path, horizon=1000).rewards[0] == 1.0


def test_minari_metadata_that_name_an_environment(tmp_path, mark):
    """Without spaces Minari builds the environment: here a call of os.mkdir."""
    data = tmp_path / "toy-v0" / "data"
    data.mkdir(parents=True)
    spec = json.dumps({"id": "A-v0", "entry_point": "os:mkdir", "kwargs": {"path": str(mark)}})
    metadata = {"total_episodes": 1, "total_steps": 1, "data_format": "arrow", "env_spec": spec}
    (data / "metadata.json").write_text(json.dumps(metadata))
    with user_error("lacks observation_space or action_space"):
        read_minari(tmp_path / "toy-v0")


def module_in(folder, mark):
    """A run folder that contains a module; importing it leaves the mark."""
    (folder / "hostile_module.py").write_text(f"import os\nos.mkdir({str(mark)!r})\nENTRY = 1\n")
    return "hostile_module"


@pytest.mark.parametrize("field", ["algorithm", "environment"])
@pytest.mark.parametrize("load", [load_policy, lambda folder: load_config(str(folder / "config.json"))])
def test_a_config_does_not_choose_what_is_imported(tmp_path, mark, monkeypatch, field, load):
    monkeypatch.syspath_prepend(str(tmp_path))
    module = module_in(tmp_path, mark)
    config = {"algorithm": "td3_bc", "task": "custom", "variant": "base", "preset": "short", "seed": 0, "num_seeds": 1}
    config |= {"algorithm": f"{module}:ENTRY"} if field == "algorithm" else {"environment": {"id": f"{module}:Env-v0"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with user_error(f"names '{module}:", f"if you trust it, add --import={module} to the command"):
        load(tmp_path)


@pytest.mark.parametrize("host", [{"pickle": "gASVAAAAAA=="}, {"data": {"0": 1}}, [1], "text"])
def test_the_list_of_a_checkpoint_is_json(tmp_path, host):
    """Format 3 had a pickle there."""
    checkpoints = Checkpoints(tmp_path, keep=None)
    checkpoints.save(7, {"a": np.zeros(2)}, host=[])
    (file,) = [path for path in (tmp_path / "7" / "host").rglob("*") if path.is_file() and "data" in path.read_text()]
    file.write_text(json.dumps(host))
    with user_error("checkpoint 7 of", "is damaged"):
        checkpoints.restore_host(7)
    checkpoints.close()


def test_an_older_checkpoint_is_refused_in_one_line(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=None)
    checkpoints.save(7, {"a": np.zeros(2)}, host=[])
    (file,) = [
        path for path in (tmp_path / "7" / "format").rglob("*") if path.is_file() and "version" in path.read_text()
    ]
    file.write_text(json.dumps({"version": 3}))
    for read in (lambda: checkpoints.restore(7, {"a": np.zeros(2)}), lambda: checkpoints.restore_host(7)):
        with pytest.raises(UserError, match=r"checkpoint 7 of .* has format 3, this version reads 4: train again"):
            read()
    checkpoints.close()


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_can_unpickle(source):
    """No module for pickles is imported, and np.load says that it takes none."""
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
            assert not names & {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "yaml"}
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("np.load", "numpy.load"):
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert keywords.get("allow_pickle") == "False", ast.unparse(node)


@pytest.mark.parametrize(
    "hostile",
    [
        {"entry_point": "os:mkdir", "kwargs": {"path": "mark"}},
        {"entry_point": "gymnasium:make", "kwargs": {"id": "os:mark"}},
        {"additional_wrappers": [{"name": "Wrapper", "entry_point": "os:mkdir", "kwargs": {"path": "mark"}}]},
    ],
)
def test_a_datasets_environment_does_not_choose_what_is_called(tmp_path, mark, monkeypatch, hostile):
    """Its description names functions and their arguments; only Gymnasium's and registered ones are called."""
    monkeypatch.chdir(tmp_path)
    described = json.loads(gymnasium.spec("Pendulum-v1").to_json())
    make_env(json.dumps(described)).close()
    with user_error("the dataset's environment 'Pendulum-v2' is made by", "neither Gymnasium's nor an imported"):
        make_env(json.dumps(described | {"id": "Pendulum-v2"} | hostile))
