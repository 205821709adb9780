"""Lengthening of a run: resuming it with more updates or environment steps than it was started with."""

from pathlib import Path
from typing import Any, Literal

from ssar_jax.algorithms import registry
from ssar_jax.errors import UserError
from ssar_jax.nested import flatten
from ssar_jax.run_format import read_json
from ssar_jax.runs.storage.folder import RunFolder

LengthField = Literal["num_updates", "online.num_steps"]


def shorter_config(config: Any, path: Path, field: LengthField) -> dict[str, Any] | None:
    """Returns the config of a run that is to be resumed with a larger length.

    An online run can always be lengthened: its schedules count from its start, or from that of the offline run.

    Args:
        config: the config to resume with.
        path: the run folder.
        field: the field with the length of the run's phase.

    Returns:
        The config with the length in the folder; None if there is no run, or the length is not larger.

    Raises:
        UserError: if an update depends on the length.
    """
    if not (path / "config.json").exists():
        return None
    now = config.to_dict()
    old, new = flatten(read_json(path / "config.json")).get(field), flatten(now)[field]
    if not isinstance(old, int) or new <= old:
        return None
    if field == "num_updates" and registry.get_entry(config.algorithm).length_matters(config):
        raise UserError(
            f"cannot lengthen {path} from num_updates={old} to {new}: the updates of {config.algorithm} depend on "
            "num_updates, as through a learning rate that decays to 0 at the end, or the algorithm does not say that "
            "they don't (Entry.length_matters); start a new run with --workdir"
        )
    return now | ({"num_updates": old} if field == "num_updates" else {"online": now["online"] | {"num_steps": old}})


def begin_lengthening(folder: RunFolder, config: dict[str, Any]) -> None:
    """Turns the folder of a run into that of the longer one, which is not finished.

    Args:
        folder: the folder.
        config: the config of the longer run.
    """
    folder.file("summary.json").unlink(missing_ok=True)  # first: a folder with a summary is finished
    folder.write_json("config.json", config)
