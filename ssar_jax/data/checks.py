"""Checks of user data; every failure is one line that names the origin, the key and the row."""

import numpy as np

from ssar_jax.data.actions import ActionScaling
from ssar_jax.errors import UserError

# Rounding may carry a tanh-squashed action this far outside [-1, 1]. Such actions are clipped, larger ones refused.
ACTION_OVERSHOOT = 1e-5

# On request actions this far outside are clipped. Farther ones show that the bounds are not those of the data.
SLIGHT_OVERSHOOT = 0.1


def numbers(value: object, key: str, where: str, *, ndim: int) -> np.ndarray:
    """Return `value` as an array of finite numbers with `ndim` dimensions; [N, 1] is accepted for [N].

    Args:
        value: Anything that NumPy can turn into an array.
        key: Name of the array, for messages.
        where: File or other origin, for messages.
        ndim: 1 for [N], 2 for [N, D].

    Returns:
        The array, [N] or [N, D], not necessarily a copy.

    Raises:
        UserError: The dtype is not numeric, the shape is wrong, or a value is NaN or infinite.
    """
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        raise UserError(f"{where}: {key} is ragged; all its rows must have the same length") from None
    if array.dtype.kind not in "fiub":
        raise UserError(f"{where}: {key} has dtype {array.dtype}; numbers are needed")
    if ndim == 1 and array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != ndim or (ndim == 2 and array.shape[1] == 0):
        needed = "[N]" if ndim == 1 else "[N, D] with D at least 1"
        raise UserError(f"{where}: {key} has shape {array.shape}; {needed} is needed")
    _require_finite(array, key, where)
    return array


def as_float(
    array: np.ndarray, key: str, where: str, dtype: type[np.float32] | type[np.float64] = np.float32
) -> np.ndarray:
    """Copy a numeric array as C-ordered floats.

    An array of this dtype that owns its memory and is read-only is returned without a copy, since nobody can change
    it. Readers mark the arrays they build as read-only, which halves the time to load a million rows.

    Args:
        array: Numbers of any shape.
        key: Name of the array, for messages.
        where: File or other origin, for messages.
        dtype: float32 or float64.

    Returns:
        The array, of the same shape.

    Raises:
        UserError: A value is too large for float32, in which training computes.
    """
    if not np.can_cast(array.dtype, np.float32):
        limit = float(np.finfo(np.float32).max)
        if array.size and (array.max() > limit or array.min() < -limit):
            index = tuple(np.argwhere((array > limit) | (array < -limit))[0])
            raise UserError(f"{where}: {key} holds {array[index]} in row {index[0]}, which is too large for float32")
    flags = array.flags
    if array.dtype == dtype and flags.c_contiguous and flags.owndata and not flags.writeable:
        return array
    return np.array(array, dtype=dtype, order="C")


def require_rows(arrays: dict[str, np.ndarray], where: str) -> None:
    """Require that all arrays have the same number of rows, at least one.

    Args:
        arrays: Arrays [N, ...] by name.
        where: File or other origin, for messages.

    Raises:
        UserError: The numbers differ or are zero.
    """
    (first_key, first), *others = arrays.items()
    for key, array in others:
        if len(array) != len(first):
            raise UserError(f"{where}: {key} has {len(array)} rows, but {first_key} has {len(first)}")
    if len(first) == 0:
        raise UserError(f"{where}: the dataset is empty; at least one transition is needed")


def require_same_width(observations: np.ndarray, next_observations: np.ndarray, where: str) -> None:
    """Require that observations and next observations, both [N, O], have the same shape.

    Raises:
        UserError: The shapes differ.
    """
    now, after = observations.shape, next_observations.shape
    if now != after:
        raise UserError(f"{where}: observations has shape {now}, but next_observations has {after}")


def require_flags(array: np.ndarray, key: str, where: str) -> np.ndarray:
    """Return 0/1 values [N] as bool.

    Args:
        array: Numbers [N].
        key: Name of the array, for messages.
        where: File or other origin, for messages.

    Raises:
        UserError: A value is neither 0 nor 1.
    """
    flags = array.astype(bool)
    if not np.array_equal(flags, array):
        row = int(np.flatnonzero(flags != array)[0])
        raise UserError(f"{where}: {key} holds {array[row]} in row {row}; only 0 and 1 are allowed")
    return flags


def require_complement(masks: np.ndarray, expected: np.ndarray, where: str) -> None:
    """Require that the masks [N] of a file that has both are `expected` = 1 - terminals, [N].

    Raises:
        UserError: They differ.
    """
    if masks.size != expected.size:
        raise UserError(f"{where}: masks has {masks.size} values, but terminals has {expected.size}")
    differ = np.flatnonzero(masks.ravel() != expected)
    if differ.size:
        raise UserError(f"{where}: masks is not 1 - terminals in row {differ[0]}; leave one of them out")


def clip_rounding(actions: np.ndarray, where: str) -> np.ndarray:
    """Return actions [N, A], clipped to [-1, 1] where only rounding carried them outside.

    Raises:
        UserError: An action is farther outside.
    """
    if max(actions.max(), -actions.min()) <= 1.0:
        return actions
    require_inside(actions, None, where)
    return np.clip(actions, -1.0, 1.0)


def require_inside(actions: np.ndarray, scaling: ActionScaling | None, where: str) -> None:
    """Require actions [N, A] to be within their bounds, up to rounding.

    Args:
        actions: The actions, as given.
        scaling: Their bounds; None stands for [-1, 1].
        where: File or other origin, for the message.

    Raises:
        UserError: An action is outside.
    """
    unit = actions if scaling is None else scaling.to_unit(actions)
    outside = np.abs(unit) > 1.0 + ACTION_OVERSHOOT
    if not outside.any():
        return
    row, column = np.argwhere(outside)[0]
    problem = f"{where}: actions holds {actions[row, column]:g} in row {row}, column {column}, "
    if scaling is None:
        problem += "not in [-1, 1]; task custom scales actions by the bounds of its environment or "
    else:
        low, high = (np.broadcast_to(bound, actions.shape[1:])[column] for bound in (scaling.low, scaling.high))
        problem += f"outside the bounds [{low:g}, {high:g}]; they come from the environment or "
    problem += "dataset.action_low and action_high"
    if np.abs(unit).max() <= 1.0 + SLIGHT_OVERSHOOT:
        problem += ", and dataset.clip_actions=1.0 clips what is slightly outside"
    raise UserError(problem)


def clip_slight(actions: np.ndarray, scaling: ActionScaling | None, where: str) -> tuple[np.ndarray, str | None]:
    """Return actions [N, A], clipped to their bounds where they are slightly outside, and what was done.

    Args:
        actions: The actions, as given.
        scaling: Their bounds; None stands for [-1, 1].
        where: File or other origin, for the message.

    Returns:
        The actions, and a line about how many were clipped and how far outside they were; None if none was.

    Raises:
        UserError: An action is outside by more than a tenth of the half of its range. Such data were recorded with
            other bounds.
    """
    unit = actions if scaling is None else scaling.to_unit(actions)
    overshoot = np.abs(unit) - 1.0
    outside = overshoot > ACTION_OVERSHOOT
    if not outside.any():
        return actions, None
    row, column = np.unravel_index(overshoot.argmax(), overshoot.shape)
    if overshoot[row, column] > SLIGHT_OVERSHOOT:
        raise UserError(
            f"{where}: actions holds {actions[row, column]:g} in row {row}, column {column}, too far outside for "
            f"dataset.clip_actions, which clips up to {1.0 + SLIGHT_OVERSHOOT:g} in units of [-1, 1]; set "
            "dataset.action_low and action_high to the real bounds, or clip the actions in the data"
        )
    low, high = (-1.0, 1.0) if scaling is None else (scaling.low, scaling.high)
    note = (
        f"{np.count_nonzero(outside):,} of {actions.size:,} action values were outside their bounds and are clipped; "
        f"the farthest was {actions[row, column]:g} in row {row}, column {column}"
    )
    return np.clip(actions, low, high), note


def _require_finite(array: np.ndarray, key: str, where: str) -> None:
    """Raise a UserError that names the first row with a NaN or an infinity."""
    finite = np.isfinite(array)
    if not finite.all():
        row = int(np.argwhere(~finite)[0][0])
        value = array[row][~finite[row]].flat[0]
        raise UserError(f"{where}: {key} holds {value} in row {row}; repair or remove the affected rows")
