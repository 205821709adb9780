"""Config files: found, loaded, saved and restored."""

import json
from pathlib import Path

import pytest

from configs import td3_bc
from configs.common import PRESETS
from experiments.cli.config_files import load_config
from ssar_jax.errors import UserError
from tests.configs.helpers import assert_round_trip, save_config


@pytest.fixture(autouse=True)
def _in_the_repository_root(monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[3])


@pytest.mark.parametrize("folder", ["", "./"])
def test_load_by_path(folder):
    config = load_config(f"{folder}configs/td3_bc.py:hopper-m,preset=short")
    assert config == td3_bc.get_config("hopper-m,preset=short")


@pytest.mark.parametrize("name", ["td3_bc", "configs/td3_bc.py", "./configs/td3_bc.py"])
def test_a_shipped_config_is_found_from_every_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_config(f"{name}:hopper-m") == td3_bc.get_config("hopper-m")


def test_a_file_in_the_current_folder_comes_before_a_shipped_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("configs").mkdir()
    Path("configs/td3_bc.py").write_text("from configs import cql\nget_config = cql.get_config\n")
    assert load_config("configs/td3_bc.py:hopper-m").algorithm == "cql"
    assert load_config("td3_bc:hopper-m").algorithm == "td3_bc"


def test_a_config_file_may_be_anywhere(tmp_path):
    mine = tmp_path / "a:b" / "mine.py"
    mine.parent.mkdir()
    mine.write_text("from configs import td3_bc\ndef get_config(arg):\n    return td3_bc.get_config(arg)\n")
    assert load_config(f"{mine}:hopper-m") == td3_bc.get_config("hopper-m")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("configs/td3_bk.py:hopper-m", "no config file 'configs/td3_bk.py'; did you mean configs/td3_bc.py"),
        ("td3_bk:hopper-m", "no config file 'td3_bk'; did you mean configs/td3_bc.py"),
        ("checks:hopper-m", "no config file 'checks'; "),
        ("config/td3_bc.py:hopper-m", "no config file 'config/td3_bc.py'; did you mean configs/td3_bc.py"),
        ("elsewhere/zzz.py", "no config file 'elsewhere/zzz.py'; the shipped ones are configs/"),
        ("README.md", "config file 'README.md' must end in .py, or be the config.json of a run"),
        ("configs/td3_bc.py", "no task: write configs/td3_bc.py:<task>"),
        ("configs/td3_bc.py:", "no task: write configs/td3_bc.py:<task>"),
        ("configs/checks.py:hopper-m", "configs/checks.py is not a config file: it has no function get_config"),
    ],
)
def test_what_cannot_be_loaded(source, message):
    with pytest.raises(UserError) as caught:
        load_config(source)
    assert str(caught.value).startswith(message)


def test_a_config_file_must_return_a_config(tmp_path):
    (tmp_path / "mine.py").write_text("def get_config(arg):\n    pass\n")
    with pytest.raises(UserError, match=r"mine.py: get_config must return a config, .*, not None"):
        load_config(f"{tmp_path / 'mine.py'}:hopper-m")


def test_a_syntax_error_is_reported_with_its_line(tmp_path):
    (tmp_path / "broken.py").write_text("def get_config(arg):\n    return (\n")
    with pytest.raises(UserError, match=r"broken\.py has a syntax error in line 2"):
        load_config(f"{tmp_path / 'broken.py'}:hopper-m")


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("variant", td3_bc.VARIANTS)
@pytest.mark.parametrize("task", ["hopper-m", "antmaze-ld", "custom"])
def test_json_round_trip_is_exact(task, variant, preset, tmp_path):
    config = td3_bc.get_config(f"{task},variant={variant},preset={preset}")
    config.actor.learning_rate = 0.1 + 0.2  # 0.30000000000000004
    config.actor.hidden_sizes = (64,)
    config.dataset.path = "data/ä b.npz"
    config.dataset.action_low = (-1.0, 2)
    config.selection.threshold = None
    assert_round_trip(config, tmp_path / "config.json")


@pytest.fixture
def saved(tmp_path):
    """Returns a function that saves a config with changes and gives its path."""

    def save(change):
        path = tmp_path / "config.json"
        save_config(td3_bc.get_config("hopper-m"), path)
        tree = json.loads(path.read_text())
        change(tree)
        path.write_text(json.dumps(tree))
        return str(path)

    return save


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tree: tree["actor"].update(lr=1.0), r"actor\.lr; did you mean actor\.learning_rate\?"),
        (lambda tree: tree.update(num_updates=2.5), r"num_updates=2\.5 is not an integer"),
        (lambda tree: tree.update(num_updates="many"), "num_updates='many' is not an integer"),
        (lambda tree: tree.update(seed=None), "seed=None is not an integer"),
        (lambda tree: tree.update(actor=3), "unknown field actor"),
        (
            lambda tree: tree.update(algorithm="td3bc"),
            r"there is no configs/td3bc.py to build the config with; did you mean td3_bc\?",
        ),
        (
            lambda tree: tree.update(algorithm="../setup"),
            r"setup.py to build the config with; for a custom config file write",
        ),
        (lambda tree: tree.update(task="hoper-m"), "config.json: .*'hoper-m'.*hopper-m"),
        (lambda tree: tree.update(preset="fast"), "config.json: unknown preset 'fast'"),
        (
            lambda tree: tree.pop("variant"),
            "is not a saved config: it must name algorithm, task, variant, preset",
        ),
    ],
)
def test_a_damaged_config_json_is_refused(saved, change, message):
    with pytest.raises(UserError, match=message):
        load_config(saved(change))


def test_a_newer_field_takes_its_default_with_a_warning(saved, caplog):
    config = load_config(saved(lambda tree: tree["online"].pop("noise")))
    assert config == td3_bc.get_config("hopper-m")
    assert "lacks online.noise: using the defaults" in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "is not a readable JSON file"), ("[]", "is not a saved config"), ("\x80", "is not")],
)
def test_a_file_that_is_not_a_saved_config_is_refused(tmp_path, text, message):
    path = tmp_path / "config.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=message):
        load_config(str(path))


def test_a_run_folder_points_at_its_config(tmp_path):
    save_config(td3_bc.get_config("hopper-m"), tmp_path / "config.json")
    with pytest.raises(UserError, match=r"did you mean .*/config\.json\?"):
        load_config(str(tmp_path))
    with pytest.raises(UserError, match="takes nothing after a colon, got 'hopper-e'"):
        load_config(f"{tmp_path}/config.json:hopper-e")


def test_an_old_name_in_a_saved_config_is_accepted_with_a_warning(saved, caplog):
    def rename(tree):
        assert tree["coefficient"].pop("mask_regularizer")
        tree["coefficient"]["mask_regulariser"] = False

    path = saved(rename)
    assert load_config(path).coefficient.mask_regularizer is False
    (record,) = caplog.records
    message = f"{path}: coefficient.mask_regulariser is the old name of coefficient.mask_regularizer"
    assert record.getMessage() == message
