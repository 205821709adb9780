"""Checkpoints: everything needed to resume a run, written atomically."""

import contextlib
import functools
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from ssar_jax.errors import UserError
from ssar_jax.files import one_line

_REASON_LENGTH = 200
"""Maximum number of characters of an Orbax error in a message; the rest describes its storage."""

FORMAT_VERSION = 4
"""Version of the structure of checkpoints; those of other versions are refused."""


class Checkpoints:
    """The checkpoints of one run, in `<folder>/<step>/`.

    A checkpoint contains the states of all seeds, the step and the format version. It contains no random keys, which
    are functions of seed and step (see `ssar_jax.training.loop`).

    Args:
        folder: folder of the checkpoints; created if missing.
        keep: number of checkpoints to keep, the latest ones; None keeps all.
    """

    def __init__(self, folder: Path, keep: int | None) -> None:
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, enable_async_checkpointing=False)
        arrays = ocp.StandardCheckpointHandler
        json = ocp.JsonCheckpointHandler
        handlers = {"arrays": arrays(), "memory": arrays(), "host": json(), "format": json()}
        self._manager = ocp.CheckpointManager(folder.absolute(), options=options, item_handlers=handlers)

    @property
    def latest_step(self) -> int | None:
        """Step of the latest complete checkpoint; None if there is none."""
        return self._manager.latest_step()

    @property
    def steps(self) -> list[int]:
        """Steps of all complete checkpoints, ascending."""
        return sorted(self._manager.all_steps())

    def save(self, step: int, states: Any, *, memory: Any = None, host: Any = None) -> None:
        """Writes a checkpoint under a temporary name and renames it when it is complete.

        Does nothing if the step already has a checkpoint.

        Args:
            step: step of the checkpoint.
            states: a tree of arrays, leaves [S, ...].
            memory: a second tree of arrays, such as the replay buffers.
            host: data for JSON, such as the episodes in progress.

        Raises:
            UserError: if the folder is not writable, such as on a full disk.
        """
        if step in self._manager.all_steps():
            return
        tree = {"step": np.int64(step), "states": states}
        items: dict[str, Any] = {
            "arrays": ocp.args.StandardSave(tree),
            "format": ocp.args.JsonSave({"version": FORMAT_VERSION}),
        }
        if memory is not None:
            items["memory"] = ocp.args.StandardSave(memory)
        if host is not None:
            items["host"] = ocp.args.JsonSave({"data": host})
        try:
            with _without_orbax_tracebacks():
                self._manager.save(step, args=ocp.args.Composite(**items))
        except (OSError, ValueError) as error:
            message = one_line(error)
            if not isinstance(error, OSError) and "os_error_code" not in message:
                raise
            reason = message.partition(" [")[0].rpartition(": ")[2]  # the rest describes the storage
            raise UserError(
                f"cannot write checkpoint {step} to {self._manager.directory} ({reason}): free some space, then "
                "continue from the previous checkpoint with --resume"
            ) from error

    def restore(self, step: int, like: Any) -> Any:
        """Reads the states of a checkpoint.

        Args:
            step: step of the checkpoint.
            like: states, or shapes and types, with the structure and placement of those to read.

        Returns:
            The states, leaves [S, ...].

        Raises:
            UserError: if the checkpoint is missing or damaged, has another format, or does not fit `like`.
        """
        self._require_format(step)
        target = {"step": np.int64(0), "states": like}
        try:
            wanted = ocp.args.StandardRestore(jax.tree.map(_abstract, target))
            tree = self._manager.restore(step, args=ocp.args.Composite(arrays=wanted))["arrays"]
        except (ValueError, KeyError, FileNotFoundError) as error:
            raise self._misfit(step, error) from error
        self._require_fit(step, like)
        return tree["states"]

    def restore_memory(self, step: int, like: Any) -> Any:
        """Reads the memory of a checkpoint.

        Args:
            step: step of the checkpoint.
            like: a tree with the structure, shapes and types of the memory.

        Returns:
            The memory as it was saved.
        """
        wanted = ocp.args.StandardRestore(jax.tree.map(_abstract, like))
        return self._manager.restore(step, args=ocp.args.Composite(memory=wanted))["memory"]

    def restore_host(self, step: int) -> Any:
        """Reads the JSON data of a checkpoint.

        Args:
            step: step of the checkpoint.

        Returns:
            The data as they were saved.

        Raises:
            UserError: if it is missing or damaged, or the checkpoint has another format.
        """
        self._require_format(step)
        try:
            entries = self._manager.restore(step, args=ocp.args.Composite(host=ocp.args.JsonRestore()))["host"]["data"]
            if not isinstance(entries, list):
                raise ValueError("its host item has no list of entries")
            return entries
        except (ValueError, KeyError, TypeError, FileNotFoundError) as error:
            raise self._misfit(step, error) from error

    def _require_format(self, step: int) -> None:
        """Requires a checkpoint to have the current format."""
        folder = Path(self._manager.directory) / str(step)
        version: Any = "2 or older"  # these have no item `format`
        if not folder.is_dir() or (folder / "format").is_dir():
            try:
                version = self._manager.restore(step, args=ocp.args.Composite(format=ocp.args.JsonRestore()))["format"]
                version = version["version"]
            except (ValueError, KeyError, FileNotFoundError) as error:
                raise self._misfit(step, error) from error
        if version != FORMAT_VERSION:
            raise UserError(
                f"checkpoint {step} of {self._manager.directory} has format {version}, this version reads "
                f"{FORMAT_VERSION}: train again, or use the version named in versions.json"
            )

    def _misfit(self, step: int, error: Exception) -> UserError:
        return UserError(
            f"checkpoint {step} of {self._manager.directory} is damaged or does not fit this configuration "
            f"({one_line(error)[:_REASON_LENGTH]}): use the config and version that wrote it, or an earlier checkpoint"
        )

    def _require_fit(self, step: int, like: Any) -> None:
        """Requires the stored shapes and types to be those of `like`, because Orbax would load others and cast them."""
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
        """Waits until everything is written."""
        self._manager.close()


@contextlib.contextmanager
def _without_orbax_tracebacks() -> Iterator[None]:
    """Suppresses the tracebacks that Orbax and TensorStore print in addition to raising the error."""
    _ignore_late_results()
    logger = logging.getLogger("absl")
    logger.addFilter(_is_not_from_thread)
    try:
        yield
    finally:
        logger.removeFilter(_is_not_from_thread)


@functools.cache  # once in a process
def _ignore_late_results() -> None:
    """Suppresses the traceback of every array that TensorStore finishes after another one has failed.

    Orbax has then closed the event loop that waits for them, perhaps long before.
    """
    show = sys.unraisablehook

    def show_others(unraisable: "sys.UnraisableHookArgs") -> None:
        if str(unraisable.exc_value) != "Event loop is closed":
            show(unraisable)

    sys.unraisablehook = show_others


def _is_not_from_thread(record: logging.LogRecord) -> bool:
    return "_SignalingThread" not in record.getMessage()


def _abstract(leaf: Any) -> Any:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=getattr(leaf, "sharding", None))
