"""Checkpoints: everything a killed run needs to go on, written whole or not at all."""

import base64
import contextlib
import logging
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from ssar_jax.data.files import one_line
from ssar_jax.errors import UserError

_REASON_LENGTH = 200
"""Characters of Orbax's reasons that are worth reading; the rest describes its storage."""

FORMAT_VERSION = 2
"""Raised when the layout of a checkpoint changes; others are refused."""


class Checkpoints:
    """The checkpoints of one run, in `<folder>/<step>/`.

    A checkpoint holds the states of all seeds, the step and the format version. Random keys are not state: they
    follow from seed and step (see `ssar_jax.training.loop`).

    Args:
        folder: made if missing.
        keep: how many of the latest to keep; None keeps all.
    """

    def __init__(self, folder: Path, keep: int | None) -> None:
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, enable_async_checkpointing=False)
        arrays = ocp.StandardCheckpointHandler
        handlers = {"arrays": arrays(), "memory": arrays(), "host": ocp.JsonCheckpointHandler()}
        self._manager = ocp.CheckpointManager(folder.absolute(), options=options, item_handlers=handlers)

    @property
    def latest_step(self) -> int | None:
        """The step of the latest complete checkpoint."""
        return self._manager.latest_step()

    @property
    def steps(self) -> list[int]:
        """The steps of all complete checkpoints, ascending."""
        return sorted(self._manager.all_steps())

    def save(self, step: int, states: Any, *, memory: Any = None, host: Any = None) -> None:
        """Writes a checkpoint under a temporary name and renames it when complete.

        Args:
            step: its number.
            states: a tree of arrays.
            memory: another tree of arrays.
            host: anything that can be pickled.

        Raises:
            UserError: where the folder cannot be written to, such as on a full disk.
        """
        if step in self._manager.all_steps():
            return
        tree = {"format_version": np.int32(FORMAT_VERSION), "step": np.int64(step), "states": states}
        items: dict[str, Any] = {"arrays": ocp.args.StandardSave(tree)}
        if memory is not None:
            items["memory"] = ocp.args.StandardSave(memory)
        if host is not None:
            items["host"] = ocp.args.JsonSave({"pickle": base64.b64encode(pickle.dumps(host)).decode()})
        try:
            with _orbax_keeps_quiet():
                self._manager.save(step, args=ocp.args.Composite(**items))
        except (OSError, ValueError) as error:
            reason = one_line(error).rpartition(": ")[2]
            if not isinstance(error, OSError) and "os_error_code" not in reason:
                raise
            raise UserError(
                f"cannot write checkpoint {step} to {self._manager.directory} ({reason}): make room there, then go on "
                "from the checkpoint before by --resume"
            ) from error

    def restore(self, step: int, like: Any) -> Any:
        """Reads the states of a checkpoint.

        Args:
            step: which one.
            like: states of the same structure, shapes and placement; only these are looked at.

        Raises:
            UserError: where the checkpoint is of another format or does not fit.
        """
        target = {"format_version": np.int32(0), "step": np.int64(0), "states": like}
        try:
            wanted = ocp.args.StandardRestore(jax.tree.map(_abstract, target))
            tree = self._manager.restore(step, args=ocp.args.Composite(arrays=wanted))["arrays"]
        except (ValueError, KeyError, FileNotFoundError) as error:
            raise UserError(
                f"checkpoint {step} of {self._manager.directory} is damaged or does not fit this configuration "
                f"({one_line(error)[:_REASON_LENGTH]}): take the config and version it was made with, or an earlier one"
            ) from error
        if tree["format_version"] != FORMAT_VERSION:
            raise UserError(
                f"checkpoint {step} of {self._manager.directory} has format {tree['format_version']}, this version "
                f"reads {FORMAT_VERSION}: train again, or use the version named in versions.json"
            )
        self._require_fit(step, like)
        return tree["states"]

    def restore_memory(self, step: int, like: Any) -> Any:
        """Reads the second tree of a checkpoint.

        Args:
            step: which one.
            like: a tree of the same structure, shapes and types.
        """
        wanted = ocp.args.StandardRestore(jax.tree.map(_abstract, like))
        return self._manager.restore(step, args=ocp.args.Composite(memory=wanted))["memory"]

    def restore_host(self, step: int) -> Any:
        """Reads what else was pickled into a checkpoint."""
        host = self._manager.restore(step, args=ocp.args.Composite(host=ocp.args.JsonRestore()))["host"]
        return pickle.loads(base64.b64decode(host["pickle"]))

    def _require_fit(self, step: int, like: Any) -> None:
        """Requires the stored shapes and types to be those of `like`; Orbax would load others, and cast."""
        stored = {leaf.name: leaf for leaf in jax.tree.leaves(self._manager.item_metadata(step)["arrays"]["states"])}
        for path, wanted in jax.tree_util.tree_leaves_with_path(like):
            name = jax.tree_util.keystr(path, simple=True, separator=".")
            found = stored[f"states.{name}"]
            if (tuple(found.shape), found.dtype) != (tuple(wanted.shape), wanted.dtype):
                raise UserError(
                    f"checkpoint {step} of {self._manager.directory} does not fit this configuration: {name} is "
                    f"{found.dtype}{list(found.shape)}, not {wanted.dtype}{list(wanted.shape)}"
                )

    def close(self) -> None:
        """Waits for what is being written."""
        self._manager.close()


@contextlib.contextmanager
def _orbax_keeps_quiet() -> Iterator[None]:
    """Its threads log the traceback of an error that it raises as well, which says everything."""
    logger = logging.getLogger("absl")
    logger.addFilter(_is_no_thread)
    try:
        yield
    finally:
        logger.removeFilter(_is_no_thread)


def _is_no_thread(record: logging.LogRecord) -> bool:
    return "_SignalingThread" not in record.getMessage()


def _abstract(leaf: Any) -> Any:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=getattr(leaf, "sharding", None))
