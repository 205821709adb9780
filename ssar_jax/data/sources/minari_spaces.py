"""What the metadata of a Minari dataset say about its observations, actions and environment."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ssar_jax.data.memory import Header
from ssar_jax.data.sources.embedded import EMBEDDED_NAMESPACE
from ssar_jax.errors import UserError
from ssar_jax.observations import Entry, Layout, arrange

_CONVERT = (
    "read it with Minari, turn every observation and action into a vector of numbers, and save the columns as an .npz "
    "file (docs/data.md)"
)
_MIN_IMAGE = 32  # Minari stores 8-bit pictures of at least this height and width as JPEG


class MinariDescription(NamedTuple):
    """Observations, actions and environment of a dataset.

    Attributes:
        layout: Which entries of a dictionary observation become the vector; None for vectors, and if the metadata do
            not describe the observations.
        observation_size: Number of values of an observation; None if the metadata do not describe the observations.
        action_size: Number of values of an action; None if they do not describe the actions.
        action_low: Lower bounds of the actions, [A]; None if they are unknown or infinite.
        action_high: Upper bounds, [A].
        environment: The environment for evaluation, or else the one that the data are from, in Gymnasium's JSON; None
            if the dataset names none.
        environment_id: Its Gymnasium id.
    """

    layout: Layout | None
    observation_size: int | None
    action_size: int | None
    action_low: np.ndarray | None
    action_high: np.ndarray | None
    environment: str | None
    environment_id: str | None


def describe(metadata: Mapping[str, Any], where: str) -> MinariDescription:
    """Read the spaces and the environment in a dataset's metadata.

    Args:
        metadata: The metadata by name.
        where: The dataset's folder, for messages.

    Returns:
        The description.

    Raises:
        UserError: Observations or actions are not numbers of a fixed size, or an entry has another form than Minari
            gives it.
    """
    environment, environment_id = _environment(metadata, where)
    observations = _read_json(metadata, "observation_space", where)
    actions = _read_json(metadata, "action_space", where)
    layout = observation_size = action_size = None
    if observations is not None:
        _require_numbers(observations, "observations", where)
        if observations["type"] == "Dict":
            layout = arrange(_entries(observations, where), environment_id or _guess(metadata))
        elif len(observations["shape"]) != 1:
            raise _unsupported(f"observations have shape {tuple(observations['shape'])}", "vectors", where)
        observation_size = observations["shape"][0] if layout is None else sum(each.size for each in layout.entries)
    bounds = None, None
    if actions is not None:
        _require_numbers(actions, "actions", where)
        if actions["type"] == "Dict" or len(actions["shape"]) != 1:
            shape = "dictionaries" if actions["type"] == "Dict" else f"arrays of shape {tuple(actions['shape'])}"
            raise _unsupported(f"actions are {shape}", "vectors", where)
        bounds, action_size = _bounds(actions), actions["shape"][0]
    return MinariDescription(layout, observation_size, action_size, *bounds, environment, environment_id)


def described_headers(metadata: Mapping[str, Any]) -> dict[str, Header]:
    """Return the headers of all steps together, as the metadata tell; none if they do not.

    Args:
        metadata: The metadata by name.
    """
    try:
        steps = int(metadata["total_steps"])
        spaces = {key: json.loads(metadata[f"{key[:-1]}_space"]) for key in ("observations", "actions")}
        headers = {key: Header((steps, _width(space)), np.dtype(_dtype(space))) for key, space in spaces.items()}
    except (KeyError, TypeError, ValueError):
        return {}
    return {**headers, "rewards": Header((steps,), np.dtype(np.float64))}


def _width(space: Mapping[str, Any]) -> int:
    """Return the number of values of one element of a serialized space."""
    parts = space.get("subspaces")
    if parts is None:
        return math.prod(space.get("shape", ()))
    return sum(map(_width, parts.values() if isinstance(parts, Mapping) else parts))


def _dtype(space: Mapping[str, Any]) -> str:
    """Return the dtype of a serialized space; of a dictionary the largest of its parts."""
    parts = space.get("subspaces")
    if parts is None:
        return space["dtype"]
    return max(map(_dtype, parts.values() if isinstance(parts, Mapping) else parts), key=lambda x: np.dtype(x).itemsize)


def _environment(metadata: Mapping[str, Any], where: str) -> tuple[str | None, str | None]:
    """Return the environment's description and its id."""
    for key in ("eval_env_spec", "env_spec"):
        spec = _read_json(metadata, key, where)
        if spec is not None:
            if not isinstance(spec.get("id"), str):
                raise UserError(f"{where}: {key} of metadata.json names no environment id; set --config.environment.id")
            return json.dumps(spec), spec["id"]
    return None, None


def _guess(metadata: Mapping[str, Any]) -> str | None:
    """Return AntMaze's id for a dataset without an environment whose own id is in an `antmaze` namespace."""
    parts = str(metadata.get("dataset_id", "")).split("/")
    return "AntMaze" if "antmaze" in parts[:-1] and parts[0] != EMBEDDED_NAMESPACE else None


def _read_json(metadata: Mapping[str, Any], key: str, where: str) -> dict[str, Any] | None:
    """Return an entry that Minari stores as JSON within the JSON of the metadata."""
    text = metadata.get(key)
    if text is None:
        return None
    try:
        content = json.loads(text) if isinstance(text, str) else text
    except ValueError as error:
        raise UserError(f"{where}: {key} of metadata.json is not JSON ({error}); copy the dataset again") from error
    if not isinstance(content, dict):
        raise UserError(f"{where}: {key} of metadata.json is not an object; copy the dataset again")
    return content


def _require_numbers(space: Mapping[str, Any], name: str, where: str) -> None:
    """Require a Minari space of arrays of numbers, in nested dictionaries or not."""
    kind = space.get("type")
    if kind == "Dict" and isinstance(space.get("subspaces"), dict):
        for key, inner in space["subspaces"].items():
            _require_numbers(inner, f"{name}.{key}", where)
    elif kind != "Box" or not isinstance(space.get("shape"), list):
        raise _unsupported(f"{name} are of type {kind}", "arrays of numbers (Box) and dictionaries of them", where)
    elif _is_image(space):
        raise _unsupported(f"{name} are pictures of shape {tuple(space['shape'])}", "vectors of numbers", where)


def _entries(space: Mapping[str, Any], where: str, path: tuple[str, ...] = ()) -> Iterator[Entry]:
    """Yield the arrays of a dictionary space."""
    for key, inner in space["subspaces"].items():
        if inner["type"] == "Dict":
            yield from _entries(inner, where, (*path, key))
        else:
            yield Entry((*path, key), tuple(inner["shape"]))


def _is_image(space: Mapping[str, Any]) -> bool:
    """Whether Minari may store a space as JPEG."""
    shape = space["shape"]
    return space.get("dtype") == "uint8" and len(shape) in (2, 3) and min(shape[:2]) >= _MIN_IMAGE


def _bounds(space: Mapping[str, Any]) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return the bounds of a Box, or None if one is infinite or missing."""
    size = math.prod(space["shape"])
    bounds = [np.asarray(space.get(key, math.nan), np.float64).reshape(-1) for key in ("low", "high")]
    low, high = (np.broadcast_to(bound, size) for bound in bounds)
    return (low, high) if np.isfinite(low).all() and np.isfinite(high).all() else (None, None)


def _unsupported(what: str, supported: str, where: str) -> UserError:
    """Return the error of a dataset that is intact but of a kind that the library does not read."""
    return UserError(f"{where}: unsupported Minari dataset: its {what}, and only {supported} can be read; {_CONVERT}")
