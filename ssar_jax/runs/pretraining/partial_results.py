"""Partial results of a pretraining, saved in one file, so that a killed run resumes it bit for bit."""

from pathlib import Path

import jax
import numpy as np

from ssar_jax.errors import UserError
from ssar_jax.files import add_hint, open_npz, write_atomically
from ssar_jax.training.trainer import OfflineTrainer


class PartialResult:
    """The file with the states of an unfinished pretraining.

    Processes that train the same models at the same time may share the file: the states at an update are the same in
    all of them.

    Args:
        file: a `.npz` file whose name depends on everything that determines the states.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def save(self, trainer: OfflineTrainer) -> None:
        """Writes the current states and their update.

        Args:
            trainer: the trainer.
        """
        leaves = jax.tree_util.tree_leaves_with_path(trainer.states())
        arrays = {_name(path): leaf for path, leaf in leaves}
        write_atomically(self._file, lambda stream: np.savez(stream, step=trainer.step, **arrays))

    def restore(self, trainer: OfflineTrainer) -> None:
        """Loads the states into a trainer if the file exists.

        Args:
            trainer: a trainer of the same algorithm and seeds.

        Raises:
            UserError: if the file is damaged or lacks an array.
        """
        if not self._file.exists():
            return
        with add_hint("delete it to train again"):
            arrays, like = open_npz(self._file), trainer.states()
        try:
            states = jax.tree_util.tree_map_with_path(lambda path, _: arrays[_name(path)], like)
            trainer.load(states, int(arrays["step"]))
        except KeyError as missing:
            raise UserError(f"{self._file} lacks {missing}: delete it, another version wrote it") from missing

    def remove(self) -> None:
        """Deletes the file if it exists."""
        self._file.unlink(missing_ok=True)


def _name(path: tuple) -> str:
    return "states/" + jax.tree_util.keystr(path, simple=True, separator="/")
