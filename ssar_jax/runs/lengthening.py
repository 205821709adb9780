"""Lengthening of an offline run: resuming it with more updates than it was started with."""

from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from ssar_jax.algorithms import registry
from ssar_jax.errors import UserError
from ssar_jax.run_format import read_json


def shorter_length(config: Any, path: Path) -> int | None:
    """Returns the number of updates of a run that is to be resumed with more.

    Args:
        config: the config to resume with.
        path: the run folder.

    Returns:
        The number in the folder; None if there is no run, or `config.num_updates` is not larger.

    Raises:
        UserError: if the algorithm depends on the number of updates.
    """
    if not (path / "config.json").exists():
        return None
    old = read_json(path / "config.json").get("num_updates")
    if not isinstance(old, int) or config.num_updates <= old:
        return None
    if _depends_on_length(config):
        raise UserError(
            f"cannot lengthen {path} from num_updates={old} to {config.num_updates}: a schedule of {config.algorithm} "
            "is over the whole of num_updates, such as a learning rate that decays to 0 at its end; start a new run "
            "with --workdir"
        )
    return old


def _depends_on_length(config: Any) -> bool:
    """Whether the algorithm cannot be built from a config without the number of updates."""
    rest = ConfigDict({name: value for name, value in config.items() if name != "num_updates"})
    try:
        registry.build(rest, action_size=1)
    except (AttributeError, KeyError) as error:
        if "num_updates" not in str(error):
            raise
        return True
    return False
