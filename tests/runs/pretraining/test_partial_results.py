"""Interrupted pretraining resumes from its partial result, bit for bit."""

import dataclasses
import os
import signal

import jax
import numpy as np
import pytest

from ssar_jax.algorithms.spot import density_algorithm
from ssar_jax.errors import Interrupted
from ssar_jax.networks.vae import VAE
from ssar_jax.runs.interruption import Interruption
from ssar_jax.runs.pretraining import cache
from ssar_jax.runs.pretraining.partial_results import PartialResult
from ssar_jax.training.trainer import OfflineTrainer
from tests.data.helpers import user_error

ALGORITHM = density_algorithm(VAE((4,), 2), 1e-3)


@pytest.fixture
def partial_result(tmp_path):
    return PartialResult(tmp_path / "folder" / "half.npz")


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(cache, "_CHUNK", 5)
    monkeypatch.setattr(cache, "_SAVE_EVERY", 10)


def train(data, partial_result, seeds=(0, 1), interruption=None):
    return cache.train(
        ALGORITHM, data, seeds, batch_size=4, num_updates=30, partial_result=partial_result,
        interruption=interruption or Interruption(),
        title="a model", loss="density/loss", remedy="give up",
    )  # fmt: skip


def interrupt(data, partial_result, monkeypatch, at):
    """Trains until the chunk that would begin at an update."""
    advance = OfflineTrainer.advance

    def killed(trainer, num_updates):
        if trainer.step == at:
            raise KeyboardInterrupt
        return advance(trainer, num_updates)

    with monkeypatch.context() as patch:
        patch.setattr(OfflineTrainer, "advance", killed)
        with pytest.raises(KeyboardInterrupt):
            train(data, partial_result)


def test_it_resumes_where_it_was_saved(rows, partial_result, tmp_path, monkeypatch, capsys):
    whole = train(rows, PartialResult(tmp_path / "other.npz"))
    interrupt(rows, partial_result, monkeypatch, at=25)
    capsys.readouterr()
    resumed = train(rows, partial_result)
    assert capsys.readouterr().out.startswith("a model, seeds [0, 1], resuming at update 20\n30 of 30 updates, ")
    jax.tree.map(np.testing.assert_array_equal, resumed, whole)


def test_before_it_was_first_saved_there_is_nothing_to_resume(rows, partial_result, monkeypatch, capsys, tmp_path):
    interrupt(rows, partial_result, monkeypatch, at=5)
    assert capsys.readouterr().out == "a model, seeds [0, 1]\n"
    assert not list(tmp_path.rglob("*.npz"))


def test_one_that_diverges_is_not_resumed(rows, partial_result, tmp_path, monkeypatch):
    interrupt(rows, partial_result, monkeypatch, at=25)
    observations = np.full_like(rows.transitions.observations, np.inf)
    broken = dataclasses.replace(rows, transitions=rows.transitions._replace(observations=observations))
    with user_error("density/loss of seeds [0, 1] is not finite at update 25", "give up"):
        train(broken, partial_result)
    assert not list(tmp_path.rglob("*.npz"))


def test_a_signal_saves_it_and_the_message_says_how_to_continue(rows, partial_result, tmp_path, monkeypatch):
    """The chunk in which it comes is finished; the exit status is that of the signal."""
    whole = train(rows, PartialResult(tmp_path / "other.npz"))
    interruption, advance = Interruption(), OfflineTrainer.advance

    def signalled(trainer, num_updates):
        interruption.signal_number = signal.SIGTERM
        return advance(trainer, num_updates)

    with monkeypatch.context() as patch:
        patch.setattr(OfflineTrainer, "advance", signalled)
        with pytest.raises(Interrupted, match=r"stopped at update 5 of 30.* rerun the command") as stopped:
            train(rows, partial_result, interruption=interruption)
    assert stopped.value.exit_status == 143
    jax.tree.map(np.testing.assert_array_equal, train(rows, partial_result), whole)


def test_a_signal_in_the_last_chunk_is_not_lost(tmp_path, monkeypatch):
    """The result is cached, and the next work does not begin."""
    monkeypatch.setenv("SSAR_CACHE_DIR", str(tmp_path))

    def signalled(seeds, partial_result, interruption):
        os.kill(os.getpid(), signal.SIGINT)
        return dict.fromkeys(seeds, np.zeros(1))

    with pytest.raises(Interrupted, match=r"kind of seeds \[0\] is in the cache.* rerun the command") as stopped:
        cache.cached_files("kind", ".npy", {}, [0], train=signalled, save=np.save)
    assert stopped.value.exit_status == 130
    (file,) = cache.cached_files("kind", ".npy", {}, [0], train=None, save=np.save)
    assert file.exists()


def test_a_damaged_file_is_one_line(rows, partial_result, tmp_path):
    file = tmp_path / "folder" / "half.npz"
    file.parent.mkdir()
    for content in (b"", b"half of a file"):
        file.write_bytes(content)
        with user_error(str(file), "delete it to train again"):
            train(rows, partial_result)


def test_a_file_of_another_version_is_one_line(rows, partial_result, tmp_path):
    file = tmp_path / "folder" / "half.npz"
    file.parent.mkdir()
    np.savez(file, step=10)
    with user_error(str(file), "lacks 'states/", "delete it"):
        train(rows, partial_result)


def test_the_file_is_deleted_when_the_result_is_cached(tmp_path, monkeypatch):
    """One device trains one seed at a time; the file of the second one stays until it is finished."""
    monkeypatch.setenv("SSAR_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(jax, "devices", lambda: jax.local_devices()[:1])
    interrupted = []

    def fake(seeds, partial_result, interruption):
        partial_result._file.parent.mkdir(parents=True, exist_ok=True)
        partial_result._file.touch()
        if seeds == [1] and not interrupted:
            interrupted.append(partial_result._file)
            raise KeyboardInterrupt
        return dict.fromkeys(seeds, np.zeros(1))

    def files():
        return cache.cached_files("kind", ".npy", {"version": 1}, [0, 1], train=fake, save=np.save)

    with pytest.raises(KeyboardInterrupt):
        files()
    assert list((tmp_path / "kind" / "unfinished").iterdir()) == interrupted
    assert [file.parent for file in files()] == [tmp_path / "kind"] * 2
    assert not list((tmp_path / "kind" / "unfinished").iterdir())
