"""What is half trained before a run begins, kept in one file: a killed run goes on where it was, bit for bit."""

from pathlib import Path

import jax
import numpy as np

from ssar_jax.data.files import open_npz, way_out, write_atomically
from ssar_jax.errors import UserError
from ssar_jax.training.trainer import OfflineTrainer


class Unfinished:
    """The states of a trainer on their way to a result, until that is there.

    Processes that train the same thing at once may share the file: each finds states that it would have reached.

    Args:
        file: a `.npz` whose name stands for everything that decides the states.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def keep(self, trainer: OfflineTrainer) -> None:
        """Writes the states and the update they are at."""
        leaves = jax.tree_util.tree_leaves_with_path(trainer.states())
        arrays = {_name(path): leaf for path, leaf in leaves}
        write_atomically(self._file, lambda stream: np.savez(stream, step=trainer.step, **arrays))

    def restore(self, trainer: OfflineTrainer) -> None:
        """Takes a new trainer to where the file is, if there is one.

        Raises:
            UserError: where the file is damaged or lacks an array.
        """
        if not self._file.exists():
            return
        with way_out("delete it, it is trained again"):
            arrays, like = open_npz(self._file), trainer.states()
        try:
            states = jax.tree_util.tree_map_with_path(lambda path, _: arrays[_name(path)], like)
            trainer.load(states, int(arrays["step"]))
        except KeyError as missing:
            raise UserError(f"{self._file} lacks {missing}: delete it, it is of another version") from missing

    def remove(self) -> None:
        """Deletes the file; there need not be one."""
        self._file.unlink(missing_ok=True)


def _name(path: tuple) -> str:
    return "states/" + jax.tree_util.keystr(path, simple=True, separator="/")
