"""What is trained first goes on where it was broken off, to the same numbers bit for bit."""

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
from ssar_jax.runs.pretraining.partial_results import Unfinished
from ssar_jax.training.trainer import OfflineTrainer
from tests.data.helpers import user_error

ALGORITHM = density_algorithm(VAE((4,), 2), 1e-3)


@pytest.fixture
def unfinished(tmp_path):
    return Unfinished(tmp_path / "folder" / "half.npz")


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(cache, "_CHUNK", 5)
    monkeypatch.setattr(cache, "_KEEP_EVERY", 10)


def train(data, unfinished, seeds=(0, 1), interruption=None):
    return cache.train(
        ALGORITHM, data, seeds, batch_size=4, num_updates=30, unfinished=unfinished,
        interruption=interruption or Interruption(),
        title="a model", loss="density/loss", remedy="give up",
    )  # fmt: skip


def break_off(data, unfinished, monkeypatch, at):
    """Trains until the chunk that would begin at an update."""
    advance = OfflineTrainer.advance

    def killed(trainer, num_updates):
        if trainer.step == at:
            raise KeyboardInterrupt
        return advance(trainer, num_updates)

    with monkeypatch.context() as patch:
        patch.setattr(OfflineTrainer, "advance", killed)
        with pytest.raises(KeyboardInterrupt):
            train(data, unfinished)


def test_it_goes_on_where_it_was_kept(rows, unfinished, tmp_path, monkeypatch, capsys):
    whole = train(rows, Unfinished(tmp_path / "other.npz"))
    break_off(rows, unfinished, monkeypatch, at=25)
    capsys.readouterr()
    resumed = train(rows, unfinished)
    assert capsys.readouterr().out.startswith("a model, seeds [0, 1], going on at 20\n30 of 30 updates, ")
    jax.tree.map(np.testing.assert_array_equal, resumed, whole)


def test_before_it_was_first_kept_there_is_nothing_to_go_on_with(rows, unfinished, monkeypatch, capsys, tmp_path):
    break_off(rows, unfinished, monkeypatch, at=5)
    assert capsys.readouterr().out == "a model, seeds [0, 1]\n"
    assert not list(tmp_path.rglob("*.npz"))


def test_one_that_diverges_is_not_gone_on_with(rows, unfinished, tmp_path, monkeypatch):
    break_off(rows, unfinished, monkeypatch, at=25)
    observations = np.full_like(rows.transitions.observations, np.inf)
    broken = dataclasses.replace(rows, transitions=rows.transitions._replace(observations=observations))
    with user_error("density/loss of seeds [0, 1] is no number by update 25", "give up"):
        train(broken, unfinished)
    assert not list(tmp_path.rglob("*.npz"))


def test_a_signal_keeps_it_and_says_how_to_go_on(rows, unfinished, tmp_path, monkeypatch):
    """It comes within a chunk, which is finished; the exit status is that of the signal."""
    whole = train(rows, Unfinished(tmp_path / "other.npz"))
    interruption, advance = Interruption(), OfflineTrainer.advance

    def signalled(trainer, num_updates):
        interruption.signal_number = signal.SIGTERM
        return advance(trainer, num_updates)

    with monkeypatch.context() as patch:
        patch.setattr(OfflineTrainer, "advance", signalled)
        with pytest.raises(Interrupted, match=r"stopped at update 5 of 30.* repeat the command") as stopped:
            train(rows, unfinished, interruption=interruption)
    assert stopped.value.exit_status == 143
    jax.tree.map(np.testing.assert_array_equal, train(rows, unfinished), whole)


def test_a_signal_in_the_last_chunk_is_not_lost(tmp_path, monkeypatch):
    """The result is there, and what would come next does not begin."""
    monkeypatch.setenv("SSAR_CACHE_DIR", str(tmp_path))

    def signalled(seeds, unfinished, interruption):
        os.kill(os.getpid(), signal.SIGINT)
        return dict.fromkeys(seeds, np.zeros(1))

    with pytest.raises(Interrupted, match=r"kind of seeds \[0\] is in the cache.* repeat the command") as stopped:
        cache.cached_files("kind", ".npy", {}, [0], train=signalled, save=np.save)
    assert stopped.value.exit_status == 130
    (file,) = cache.cached_files("kind", ".npy", {}, [0], train=None, save=np.save)
    assert file.exists()


def test_a_damaged_file_is_one_line(rows, unfinished, tmp_path):
    file = tmp_path / "folder" / "half.npz"
    file.parent.mkdir()
    for content in (b"", b"half of a file"):
        file.write_bytes(content)
        with user_error(str(file), "delete it, it is trained again"):
            train(rows, unfinished)


def test_a_file_of_another_version_is_one_line(rows, unfinished, tmp_path):
    file = tmp_path / "folder" / "half.npz"
    file.parent.mkdir()
    np.savez(file, step=10)
    with user_error(str(file), "lacks 'states/", "delete it"):
        train(rows, unfinished)


def test_the_file_goes_when_the_result_is_there(tmp_path, monkeypatch):
    """One device trains one seed at a time; that of the second stays as long as it is not through."""
    monkeypatch.setenv("SSAR_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(jax, "devices", lambda: jax.local_devices()[:1])
    broken_off = []

    def fake(seeds, unfinished, interruption):
        unfinished._file.parent.mkdir(parents=True, exist_ok=True)
        unfinished._file.touch()
        if seeds == [1] and not broken_off:
            broken_off.append(unfinished._file)
            raise KeyboardInterrupt
        return dict.fromkeys(seeds, np.zeros(1))

    def files():
        return cache.cached_files("kind", ".npy", {"version": 1}, [0, 1], train=fake, save=np.save)

    with pytest.raises(KeyboardInterrupt):
        files()
    assert list((tmp_path / "kind" / "unfinished").iterdir()) == broken_off
    assert [file.parent for file in files()] == [tmp_path / "kind"] * 2
    assert not list((tmp_path / "kind" / "unfinished").iterdir())
