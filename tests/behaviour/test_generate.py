"""Embedded datasets: exactly the rows asked for, the same everywhere, remade when they are not what they should be."""

import contextlib
import dataclasses
import json
import logging
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from ssar_jax.behaviour import generate
from ssar_jax.behaviour.generate import load_or_generate
from ssar_jax.behaviour.policies import GaussianPolicy
from ssar_jax.behaviour.recipes import Segment
from ssar_jax.data.sources.embedded import SUITE
from ssar_jax.data.sources.minari import has_minari, minari_directory, read_minari_metadata
from ssar_jax.data.tasks import get_task
from ssar_jax.episodes import Episode
from tests.data.helpers import deny, user_error

HOPPER = get_task("hopper-m")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder for the datasets of this module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(tmp_path_factory.mktemp("minari")))
        yield minari_directory()


@pytest.fixture(scope="module")
def hopper(root):
    """2,000 transitions of the real policy in the real environment."""
    return load_or_generate(HOPPER, 2000)


def test_a_set_has_exactly_the_rows_asked_for_and_says_what_it_is(hopper):
    """4 pieces of 500 rows in 8 environments each: 62 or 63 steps, and a medium hopper stays up that long."""
    assert len(hopper) == 2000
    assert (hopper.source.kind, hopper.source.name) == ("embedded", "ssar-embedded/hopper/medium-2000-v0")
    np.testing.assert_array_equal(np.unique(hopper.episode_lengths(), return_counts=True), [[62, 63], [16, 16]])
    metadata = read_minari_metadata("ssar-embedded/hopper/medium-2000-v0")
    assert metadata["description"].startswith("NOT D4RL. 2,000 transitions")
    assert (metadata["physics"], metadata["seed"], metadata["total_steps"]) == ("d4rl-v2", 0, 2000)
    assert (metadata["ref_min_score"], metadata["ref_max_score"]) == (-20.272305, 3234.3)


def test_it_looks_like_a_medium_hopper(hopper):
    """One for being alive and about a meter per second while it speeds up; stochastic actions."""
    assert 1.5 < hopper.rewards.mean() < 2.5
    assert (hopper.masks == 1.0).all()
    assert ((hopper.actions.std(axis=0) > 0.3) & (np.abs(hopper.actions).max(axis=0) <= 1.0)).all()
    starts = np.flatnonzero(np.r_[True, hopper.episode_ends[:-1]])
    assert len(np.unique(hopper.observations[starts], axis=0)) == 32  # no two episodes start alike
    np.testing.assert_allclose(hopper.observations[starts, 0], 1.25, atol=0.01)  # its height at a reset
    within = np.delete(np.arange(2000), np.flatnonzero(hopper.episode_ends))
    np.testing.assert_array_equal(hopper.next_observations[within], hopper.observations[within + 1])


def test_the_number_of_processes_does_not_matter(hopper, tmp_path, monkeypatch):
    """One process instead of one per core, and another time: the same bytes."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    monkeypatch.setattr(generate.os, "cpu_count", lambda: 1)
    assert load_or_generate(HOPPER, 2000).content_hash == hopper.content_hash


def test_a_replay_starts_with_uniform_actions_and_has_every_snapshot(root):
    """A two-hundredth of 2,000 rows is uniform: standard deviation 1 / sqrt 3 = 0.577, no preferred side.

    Each of the 4 pieces is one environment whose episodes, of at most 1,000 steps, go on when the policy changes.
    """
    dataset = load_or_generate(get_task("halfcheetah-mr"), 2000)
    assert (len(dataset), len(dataset.episodes)) == (2000, 4)
    uniform, later = dataset.actions[:10], dataset.actions[10:]
    np.testing.assert_allclose(uniform.std(), 0.577, atol=4 * 0.577 / np.sqrt(2 * 60))
    np.testing.assert_allclose(uniform.mean(), 0.0, atol=4 * 0.577 / np.sqrt(60))
    assert np.mean(np.abs(uniform) > 0.9) < 0.2 < np.mean(np.abs(later) > 0.9)  # a tenth against trained policies
    assert np.abs(dataset.actions).max() <= 1.0


def test_a_replay_changes_policies_where_its_recipe_says(root):
    """The policy of a piece's second segment acts from its first row on, in the same episode."""

    def constant(value):
        return GaussianPolicy(
            [(np.zeros((11, 6), np.float32), np.r_[[value] * 3, [-20.0] * 3].astype(np.float32))], 1, 0
        )

    first, second = constant(0.3), constant(-0.3)
    piece = generate._Piece(get_task("hopper-mr"), (Segment(first, 3), Segment(None, 2), Segment(second, 4)), 1, (0, 0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generate, "_count", lambda steps: None)
        (episode,) = generate._play_piece(piece)
    np.testing.assert_allclose(episode.actions[:3], np.tanh(0.3), atol=1e-6)
    assert len(np.unique(episode.actions[3:5])) == 6
    np.testing.assert_allclose(episode.actions[5:], np.tanh(-0.3), atol=1e-6)


def test_errors_of_the_players_come_through(root):
    """Raised in a worker process, reported in this one."""
    with user_error("environment 'NoSuch-v0' cannot be made"):
        load_or_generate(dataclasses.replace(HOPPER, environment="NoSuch-v0"), 100)
    assert not has_minari("ssar-embedded/hopper/medium-100-v0")


def die(piece):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_player_is_one_line(root, monkeypatch):
    """As the system kills a process when memory is short."""
    monkeypatch.setattr(generate, "_play_piece", die)
    with user_error(
        "a worker that generates hopper-m died", "memory probably ran out", "--config.dataset.embedded.num_steps"
    ):
        load_or_generate(HOPPER, 100)
    assert not has_minari("ssar-embedded/hopper/medium-100-v0")


def test_a_set_that_another_process_makes_meanwhile_is_taken(tmp_path, monkeypatch):
    """It starts while this one generates, and is faster."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    report, others = generate._report, []

    def slow_report(*arguments):
        monkeypatch.setattr(generate, "_report", report)
        others.append(load_or_generate(HOPPER, 20))
        report(*arguments)

    monkeypatch.setattr(generate, "_report", slow_report)
    assert load_or_generate(HOPPER, 20).content_hash == others[0].content_hash
    assert os.listdir(tmp_path / "ssar-embedded" / "hopper") == ["medium-20-v0"]


# The following tests are about when data are generated, so nothing is simulated.


@pytest.fixture
def plays(tmp_path, monkeypatch):
    """An empty folder and a quick substitute for `play`; the sizes generated so far."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    sizes = []

    def play(task, num_steps, seed):
        sizes.append(num_steps)
        rng = np.random.default_rng(seed)
        flags = np.arange(num_steps) == num_steps - 1
        return [
            Episode(
                rng.normal(size=(num_steps + 1, task.observation_size)),
                rng.uniform(-1.0, 1.0, (num_steps, task.action_size)),
                rng.normal(size=num_steps),
                np.zeros(num_steps, bool),
                flags,
            )
        ]

    monkeypatch.setattr(generate, "play", play)
    return sizes


def test_a_second_load_reads_from_disk(plays):
    first, second = load_or_generate(HOPPER, 20), load_or_generate(HOPPER, 20)
    assert plays == [20]
    assert first.content_hash == second.content_hash


def test_two_sizes_never_mix(plays):
    sizes = [len(load_or_generate(HOPPER, size)) for size in (20, 30, 20, 30)]
    assert sizes == [20, 30, 20, 30]
    assert plays == [20, 30]


def test_a_set_of_another_recipe_is_made_again(plays, caplog):
    first = load_or_generate(HOPPER, 20)
    with caplog.at_level(logging.WARNING):
        other = load_or_generate(HOPPER, 20, seed=1)
    assert plays == [20, 20]
    assert "ssar-embedded/hopper/medium-20-v0 is from another recipe" in caplog.text
    assert other.content_hash != first.content_hash
    assert load_or_generate(HOPPER, 20, seed=1).content_hash == other.content_hash
    assert plays == [20, 20]


def test_a_set_of_an_older_suite_is_made_again(plays, caplog):
    """Sets of the first suite have no entry for it."""
    load_or_generate(HOPPER, 20)
    file = minari_directory() / "ssar-embedded/hopper/medium-20-v0/data/metadata.json"
    metadata = json.loads(file.read_text())
    assert metadata.pop("suite") == SUITE
    file.write_text(json.dumps(metadata | {"recipe": "that of suite 1"}))
    with caplog.at_level(logging.WARNING):
        load_or_generate(HOPPER, 20)
    assert f"medium-20-v0 is from suite 1, now {SUITE}: generating it again" in caplog.text
    assert read_minari_metadata("ssar-embedded/hopper/medium-20-v0")["suite"] == SUITE


def test_a_set_that_another_process_makes_meanwhile_by_another_recipe_is_refused(plays, monkeypatch):
    play = generate.play

    def slow_play(task, num_steps, seed):
        monkeypatch.setattr(generate, "play", play)
        load_or_generate(task, num_steps, seed=1)
        yield from play(task, num_steps, seed)

    monkeypatch.setattr(generate, "play", slow_play)
    with user_error("another process has meanwhile written a dataset with other metadata"):
        load_or_generate(HOPPER, 20)
    assert read_minari_metadata("ssar-embedded/hopper/medium-20-v0")["seed"] == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [("metadata.json", None), ("metadata.json", b"{"), ("main_data.hdf5", b""), ("main_data.hdf5", b"\x89HDF")],
)
def test_a_damaged_set_is_made_again(plays, caplog, name, content):
    original = load_or_generate(HOPPER, 20)
    file = minari_directory() / original.source.name / "data" / name
    file.unlink() if content is None else file.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert load_or_generate(HOPPER, 20).content_hash == original.content_hash
    assert plays == [20, 20]
    assert "damaged or half-written" in caplog.text
    assert "generating it again" in caplog.text


@pytest.mark.parametrize("name", ["metadata.json", "main_data.hdf5"])
def test_a_set_that_cannot_be_read_is_kept(plays, monkeypatch, name):
    """A missing permission or a lock says nothing about the data, so they are not deleted."""
    original = load_or_generate(HOPPER, 20)
    with monkeypatch.context() as patch:
        deny(patch, minari_directory() / original.source.name / "data" / name)
        with user_error("cannot be read (Permission denied)"):
            load_or_generate(HOPPER, 20)
    assert load_or_generate(HOPPER, 20).content_hash == original.content_hash
    assert plays == [20]


def test_rows_missing_from_a_set_are_noticed(plays):
    """The metadata count the episodes; a set that lacks one is damaged."""
    original = load_or_generate(HOPPER, 20)
    file = minari_directory() / original.source.name / "data" / "metadata.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"total_episodes": 2}))
    assert load_or_generate(HOPPER, 20).content_hash == original.content_hash
    assert plays == [20, 20]


def test_an_interruption_leaves_nothing_behind(plays, monkeypatch):
    def interrupted(task, num_steps, seed):
        zeros = np.zeros(1)
        yield Episode(np.zeros((2, 11)), np.zeros((1, 3)), zeros, zeros.astype(bool), np.ones(1, bool))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(generate, "play", interrupted)
        with pytest.raises(KeyboardInterrupt):
            load_or_generate(HOPPER, 20)
    assert not has_minari("ssar-embedded/hopper/medium-20-v0")
    assert [path for path in minari_directory().rglob("*") if path.is_file()] == []
    assert len(load_or_generate(HOPPER, 20)) == 20


def test_missing_policies_and_unwritable_folders_are_one_line(plays, tmp_path, monkeypatch):
    with user_error("no behavior policy 'hopper-nope-expert' ships"):
        load_or_generate(dataclasses.replace(HOPPER, tier="expert", agent="hopper-nope", d4rl_name="x"), 20)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "file"))
    with user_error("cannot write Minari dataset", "Not a directory"):
        load_or_generate(HOPPER, 20)
    assert os.listdir(tmp_path) == ["file"]


# A shell that starts the tests in the background has SIGINT ignored, and children inherit that.
GENERATE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from ssar_jax.behaviour.generate import load_or_generate
from ssar_jax.data.tasks import get_task

if __name__ == "__main__":
    load_or_generate(get_task("hopper-m"), 400_000)
"""


def anybody_of_group(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        signal.SIGTERM,
        pytest.param(signal.SIGKILL, marks=pytest.mark.slow),
    ],
)
def test_whoever_stops_a_generation_stops_its_workers(tmp_path, number):
    """Within seconds of a minute's work, and no process of the group survives."""
    (tmp_path / "program.py").write_text(GENERATE)
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "program.py")],
        start_new_session=True,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.getcwd(), "MINARI_DATASETS_PATH": str(tmp_path / "minari")},
    )
    try:
        time.sleep(4.0)  # by now the workers run
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as Ctrl-C does
        else:
            process.send_signal(number)
        assert process.wait(timeout=60.0) == -number
        deadline = time.monotonic() + 10.0
        while anybody_of_group(process.pid):
            assert time.monotonic() < deadline, "workers live on"
            time.sleep(0.05)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert not any((tmp_path / "minari").rglob("*.hdf5"))
