"""Entry points run as processes: their output and exit status."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from configs import td3_bc
from tests.configs.helpers import save_config

ROOT = Path(__file__).parents[3]

WITH_CONFIG = '''
"""A tiny experiment."""
import json, sys
from absl import flags
from experiments.cli import command
from ssar_jax.errors import Interrupted, UserError

_WORKDIR = flags.DEFINE_string("workdir", None, "Where the run goes.")

def main(config):
    assert "jax" not in sys.modules
    if _WORKDIR.value == "full":
        raise UserError("no space left\\nin full")
    if _WORKDIR.value == "forbidden":
        raise PermissionError(13, "Permission denied", "/secret/config.json")
    if _WORKDIR.value == "spent":
        raise OSError(28, "No space left on device", "/full/curve.csv")
    if _WORKDIR.value == "bug":
        raise KeyError("bug")
    if _WORKDIR.value == "interrupt":
        raise KeyboardInterrupt
    if _WORKDIR.value == "kept":
        raise Interrupted("stopped at update 5; repeat the command", 143)
    print(json.dumps({**config.to_dict(), "workdir": _WORKDIR.value}))
    return 143 if _WORKDIR.value == "terminated" else None

if __name__ == "__main__":
    command.run(main, needs_config=True)
'''
WITHOUT_CONFIG = """
from absl import flags
from experiments.cli import command

flags.DEFINE_boolean("force", False, "Whether to overwrite.")

if __name__ == "__main__":
    command.run(lambda arguments: print(arguments, flags.FLAGS.force))
"""


@pytest.fixture
def start(tmp_path):
    """Returns a function that runs an entry point with some arguments."""

    def run(*arguments: str, program: str = WITH_CONFIG, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
        script = tmp_path / "tiny.py"
        script.write_text(program)
        return subprocess.run(
            [sys.executable, "-W", "error", str(script), *arguments],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


def assert_one_line(result: subprocess.CompletedProcess[str], message: str) -> None:
    """Requires one line on stderr that begins with the message, nothing on stdout, and exit status 2."""
    assert result.stderr.startswith(f"error: {message}"), result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
    assert result.returncode == 2


def test_config_and_overrides_reach_main(start):
    result = start(
        *("--config=configs/td3_bc.py:hopper-m,preset=short", "--config.num_seeds=5", "--workdir=w"),
        *(
            "--config.num_updates",
            "2e4",
            "--config.actor.hidden_sizes=(64, 64)",
            "--noconfig.critic.layer_norm",
        ),
    )
    assert result.returncode == 0, result.stderr
    given = json.loads(result.stdout)
    assert (given["task"], given["preset"], given["workdir"]) == ("hopper-m", "short", "w")
    assert (given["num_seeds"], given["num_updates"]) == (5, 20_000)
    assert given["actor"]["hidden_sizes"] == [64, 64]
    assert given["critic"]["layer_norm"] is False


def test_a_saved_config_repeats_a_run_with_overrides_on_top(start, tmp_path):
    config = td3_bc.get_config("walker2d-m,variant=base,preset=library")
    config.num_updates = 7
    save_config(config, tmp_path / "config.json")
    result = start("--config.seed=3", "--config", str(tmp_path / "config.json"))
    assert result.returncode == 0, result.stderr
    given = json.loads(result.stdout)
    assert (given["task"], given["variant"], given["num_updates"], given["seed"]) == (
        "walker2d-m",
        "base",
        7,
        3,
    )


HOPPER = "--config=configs/td3_bc.py:hopper-m"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no --config: write for example --config=configs/td3_bc.py:hopper-m,preset=short"),
        (["--config"], "Missing value for flag --config"),
        (["--config="], "no --config"),
        (["--config=configs/td3_bc.py"], "no task: write configs/td3_bc.py:<task>"),
        (["--config=configs/td3_bc.py:hoper-m"], "unknown task 'hoper-m'"),
        (["--config=td3_bc.py:hopper-m"], "no config file 'td3_bc.py'; did you mean configs/td3_bc.py"),
        ([HOPPER, "--config.lr=3"], "unknown field --config.lr; did you mean --config.actor.learning_rate, "),
        ([HOPPER, "--config.num_updates=2.5"], "--config.num_updates=2.5 is not an integer"),
        ([HOPPER, "--config.discount=2"], "discount=2.0 must be between 0 and 1"),
        ([HOPPER, "--workdri=w"], "unknown flag --workdri; did you mean --workdir?"),
        ([HOPPER, "--num_updates=3"], "unknown flag --num_updates; did you mean --config.num_updates, "),
        ([HOPPER, "--zzzz"], "unknown flag --zzzz; --help lists the flags"),
        ([HOPPER, "--flagfile=nowhere.txt"], "Unable to open flagfile"),
        ([HOPPER, "preset=short"], "unexpected argument 'preset=short'"),
        ([HOPPER, "--workdir=full"], "no space left in full"),
    ],
)
def test_a_user_error_is_one_line_and_status_2(start, arguments, message):
    assert_one_line(start(*arguments), message)


def test_flags_can_come_from_a_file(start, tmp_path):
    (tmp_path / "flags.txt").write_text(f"{HOPPER}\n--config.seed=4\n")
    result = start(f"--flagfile={tmp_path / 'flags.txt'}")
    assert json.loads(result.stdout)["seed"] == 4


def test_outside_the_repository_root(start, tmp_path):
    """The shipped configs are found from every folder."""
    assert json.loads(start("--config=td3_bc:hopper-m", cwd=tmp_path).stdout)["task"] == "hopper-m"


def test_a_missing_permission_is_one_line(start):
    result = start("--config=configs/td3_bc.py:hopper-m", "--workdir=forbidden")
    assert_one_line(result, "/secret/config.json cannot be read (Permission denied): check its permissions")
    assert result.returncode == 2


def test_a_full_disk_is_one_line(start):
    """Wherever the file was written."""
    result = start("--config=configs/td3_bc.py:hopper-m", "--workdir=spent")
    assert_one_line(result, "/full/curve.csv cannot be written or read (No space left on device): free some space")
    assert result.returncode == 2


def test_the_path_of_a_dataset_is_absolute(start, tmp_path):
    """So config.json names the same file from every folder; the id of a Minari dataset stays."""
    for written, stored in (
        ("here.npz", str(ROOT / "here.npz")),
        ("mujoco/hopper/medium-v0", "mujoco/hopper/medium-v0"),
    ):
        result = start("--config=configs/td3_bc.py:custom", f"--config.dataset.path={written}")
        assert json.loads(result.stdout)["dataset"]["path"] == stored, result.stderr


def test_a_bug_keeps_its_traceback(start):
    result = start(HOPPER, "--workdir=bug")
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert "KeyError: 'bug'" in result.stderr


@pytest.mark.parametrize(("workdir", "status"), [("interrupt", 130), ("terminated", 143)])
def test_other_statuses(start, workdir, status):
    result = start(HOPPER, f"--workdir={workdir}")
    assert result.returncode == status
    assert "Traceback" not in result.stderr


def test_an_interruption_prints_how_to_continue(start):
    result = start(HOPPER, "--workdir=kept")
    assert (result.returncode, result.stderr) == (143, "stopped at update 5; repeat the command\n")


def test_help_succeeds_and_shows_the_flags(start):
    result = start("--help")
    assert result.returncode == 0, result.stderr
    assert "A tiny experiment." in result.stdout
    assert "--config: " in result.stdout
    assert "--workdir: " in result.stdout


def test_without_config_main_gets_the_arguments(start):
    result = start("hopper-m", "--force", "walker2d-m", program=WITHOUT_CONFIG)
    assert (result.stdout, result.returncode) == ("['hopper-m', 'walker2d-m'] True\n", 0)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--forse", "unknown flag --forse; did you mean --force"),
        ("--force=perhaps", "flag --force=perhaps"),
        (HOPPER, "unknown flag --config; --help lists the flags"),
    ],
)
def test_without_config_flags_are_checked_too(start, argument, message):
    assert_one_line(start(argument, program=WITHOUT_CONFIG), message)
