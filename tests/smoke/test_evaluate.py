"""Evaluation of a checkpoint: the numbers of the run, other physics, invalid arguments, and films."""

import csv
import json
import shutil
import subprocess
import sys

import imageio.v3 as imageio
import numpy as np
import pytest

from experiments.cli import films
from ssar_jax.runs.evaluate import evaluate_checkpoint
from ssar_jax.runs.load import load_policies
from tests.data.helpers import user_error
from tests.smoke import small_run
from tests.smoke.small_run import CHECKPOINTS, NUM_UPDATES


def evaluate(*arguments, **environment):
    return small_run.finish(small_run.start(*map(str, arguments), program="evaluate", **environment))


@pytest.fixture(scope="module")
def run(finished, tmp_path_factory):
    """A copy of the finished run, to write into."""
    return shutil.copytree(finished.path, tmp_path_factory.mktemp("evaluated") / "run")


def evaluations(run):
    with (run / "eval.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_last_checkpoint_has_the_scores_of_the_run(run):
    """To the last digit, because the cells of the table are exact representations."""
    status, output, messages = evaluate(run)
    assert (status, messages) == (0, "")
    path = run / "evaluations" / f"{NUM_UPDATES}-d4rl-v2-2.json"
    content = json.loads(path.read_text())
    assert {name: content[name] for name in ("algorithm", "task", "variant", "preset", "step", "episodes")} == {
        **{"algorithm": "td3_bc", "task": "hopper-m", "variant": "sa", "preset": "short"},
        **{"step": NUM_UPDATES, "episodes": 2},
    }
    assert (content["data_source"], content["physics"]) == ("path", "d4rl-v2")
    (row,), last = content["seeds"], evaluations(run)[-1]
    for name in ("seed", "return", "return_std", "score", "length"):
        assert str(row[name]) == last[name], name
    returns = [episode["return"] for episode in row["episodes"]]
    assert np.mean(returns) == row["return"]
    title, columns, line, written = output.splitlines()
    assert title == f"checkpoint {NUM_UPDATES:,} of {run}"
    assert columns.split() == ["seed", "return", "score", "length", "episodes", "data", "physics"]
    mean, spread, score, length = (f"{row[name]:.1f}" for name in ("return", "return_std", "score", "length"))
    assert line.split() == ["0", mean, "±", spread, score, length, "2", "path", "d4rl-v2"]
    assert written == f"wrote {path}"


def test_other_checkpoints_episodes_and_physics(run):
    """With more episodes the first ones stay the same, because every episode has its own seed."""
    earlier = NUM_UPDATES - CHECKPOINTS
    two = evaluate_checkpoint(run, step=earlier).content
    three = evaluate_checkpoint(run, step=earlier, episodes=3, seed=0).content
    assert (two["step"], len(three["seeds"][0]["episodes"])) == (earlier, 3)
    for now, before in zip(three["seeds"][0]["episodes"], two["seeds"][0]["episodes"], strict=False):
        assert now["length"] == before["length"]
        assert now["return"] == pytest.approx(before["return"], rel=1e-4)  # a larger batch may round differently
    other = evaluate_checkpoint(run, step=earlier, physics="gymnasium").content
    assert other["physics"] == "gymnasium"
    assert other["seeds"] != two["seeds"]


def test_what_was_not_stored_is_one_line(run, tmp_path):
    saved = f"{NUM_UPDATES - CHECKPOINTS}, {NUM_UPDATES}"
    with user_error(f"{run} has no checkpoint 17: choose one of {saved}"):
        load_policies(run, step=17)
    with user_error(f"{run} did not train seed 3: choose one of 0"):
        evaluate_checkpoint(run, seed=3)
    for name in ("config.json", "preparation.npz"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    with user_error(f"{tmp_path} has no checkpoint yet"):
        load_policies(tmp_path)
    config = json.loads((run / "config.json").read_text())
    for group, field in ((config["critic"], "hidden_sizes"), (config, "num_seeds")):
        del group[field]
        (tmp_path / "config.json").write_text(json.dumps(config))
        with user_error(f"{tmp_path / 'config.json'} lacks the field {field}", "versions.json"):
            load_policies(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give one run folder"),
        (("/nowhere",), "/nowhere is not a run: it contains no config.json"),
        (("run", "--physics=moon"), "flag --physics=moon"),
        (("run", "--episodes=0"), "flag --episodes=0"),
        (("run", "--video=film.avi"), "--video=film.avi must end in .gif or .mp4"),
        (("run", "--strip=film.gif"), "--strip=film.gif must end in .png"),
    ],
)
def test_what_cannot_be_done_is_one_line(arguments, message):
    assert_one_line(evaluate(*arguments), message)


def test_where_nothing_can_be_drawn_nothing_is_evaluated():
    result = evaluate("run", "--strip=film.png", MUJOCO_GL="chalk")
    assert_one_line(result, "MuJoCo cannot draw here with MUJOCO_GL=chalk (")


def assert_one_line(result, message):
    status, output, messages = result
    assert (status, output, messages.count("\n")) == (2, "", 1), messages
    assert messages.startswith(f"error: {message}")


@pytest.mark.slow
def test_the_filmed_episode_is_the_scored_one(run, tmp_path, drawing):
    """Hopper makes 125 steps a second, of which every fifth is drawn, besides the first and the last."""
    status, output, messages = evaluate(run, f"--video={tmp_path / 'film.gif'}", f"--strip={tmp_path / 'film.png'}")
    assert (status, messages) == (0, "")
    assert output.splitlines()[-2:] == [f"wrote {tmp_path / 'film.gif'}", f"wrote {tmp_path / 'film.png'}"]
    content = json.loads((run / "evaluations" / f"{NUM_UPDATES}-d4rl-v2-2.json").read_text())
    assert str(content["seeds"][0]["return"]) == evaluations(run)[-1]["return"]
    length = content["seeds"][0]["episodes"][0]["length"]
    pictures = imageio.imread(tmp_path / "film.gif", index=None)
    assert len(pictures) == 1 + length // 5 + (length % 5 > 0)
    assert pictures.shape[1:] == (320, 320, 3)
    assert imageio.immeta(tmp_path / "film.gif")["duration"] == 40  # milliseconds: five steps of 8
    strip = imageio.imread(tmp_path / "film.png")
    count = min(8, len(pictures))
    assert strip.shape == (320, 320 * count + 4 * (count - 1), 3)
    assert strip[:, :320].std() > 10.0  # something is seen


@pytest.mark.slow
def test_another_episode_can_be_filmed(run, tmp_path, drawing):
    """The second of two has its own length, and the scores are those of an evaluation that films nothing."""
    film = tmp_path / "film.gif"
    assert evaluate(run, f"--video={film}", "--film_episode=1")[0] == 0
    content = json.loads((run / "evaluations" / f"{NUM_UPDATES}-d4rl-v2-2.json").read_text())
    assert str(content["seeds"][0]["return"]) == evaluations(run)[-1]["return"]
    length = content["seeds"][0]["episodes"][1]["length"]
    assert len(imageio.imread(film, index=None)) == 1 + length // 5 + (length % 5 > 0)
    result = evaluate(run, f"--video={film}", "--film_episode=2")
    assert_one_line(result, "there is no episode 2 to film: the evaluation has episodes 0 to 1")


@pytest.mark.slow
def test_two_seeds_on_two_devices_are_scored_as_in_their_run(dataset, tmp_path):
    path = tmp_path / "run"
    arguments = small_run.flags(dataset, f"--workdir={path}", "--config.num_seeds=2")
    status, _, messages = small_run.finish(small_run.start(*arguments))
    assert status == 0, messages
    status, _, messages = evaluate(path)
    assert (status, messages) == (0, "")
    content = json.loads((path / "evaluations" / f"{NUM_UPDATES}-d4rl-v2-2.json").read_text())
    for row, last in zip(content["seeds"], evaluations(path)[-2:], strict=True):
        assert [str(row[name]) for name in ("seed", "return", "score")] == [
            last[name] for name in ("seed", "return", "score")
        ]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # imageio-ffmpeg leaves pipes open
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_an_mp4_can_be_read_back(tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    films.write_video(tmp_path / "film.mp4", [np.full((320, 320, 3), 8 * i, np.uint8) for i in range(30)], 20.0)
    assert imageio.imread(tmp_path / "film.mp4").shape == (30, 320, 320, 3)
    assert imageio.immeta(tmp_path / "film.mp4")["fps"] == 20.0


def test_a_strip_has_the_first_and_the_last_picture(tmp_path):
    """Three of five pictures, each of one grey, with four white columns between them."""
    pictures = [np.full((2, 3, 3), 10 * i, np.uint8) for i in range(5)]
    films.write_strip(tmp_path / "strip.png", pictures, count=3)
    white = [255] * 4
    assert imageio.imread(tmp_path / "strip.png")[0, :, 0].tolist() == [0] * 3 + white + [20] * 3 + white + [40] * 3


def test_an_encoder_that_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(films.importlib.util, "find_spec", lambda name: None)
    with user_error("film.mp4 needs the package imageio-ffmpeg: pip install -e '.[video]', or write a .gif"):
        films.require_video(tmp_path / "film.mp4")
    films.require_video(tmp_path / "film.gif")


def test_success_rates_are_printed_where_there_are_any():
    """In a process of its own, because every command defines flags."""
    row = {"seed": 0, "return": 2.0, "return_std": 1.0, "score": None, "length": 9.0}
    content = {"episodes": 4, "data_source": "path", "physics": "gymnasium"}
    printed = []
    for seeds in ([row], [row | {"success_rate": 0.75}]):
        code = f"from experiments.evaluate import _print_rows; _print_rows({content | {'seeds': seeds}})"
        command = [sys.executable, "-c", code]
        printed.append(subprocess.run(command, cwd=small_run.ROOT, capture_output=True, text=True, check=True).stdout)
    columns = ["seed", "return", "score", "length", "episodes", "data", "physics"]
    (title, line), (other_title, other_line) = (text.splitlines() for text in printed)
    assert (title.split(), line.split()) == (columns, ["0", "2.0", "±", "1.0", "-", "9.0", "4", "path", "gymnasium"])
    assert other_title.split() == [*columns, "success"]
    assert other_line == f"{line}  75 %"
