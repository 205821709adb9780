"""Which numbers are kept in float64, and which columns float32, in which networks compute, does not resolve."""

from typing import NamedTuple

import numpy as np

_ROWS = 65_536  # rows that are looked at together, so that no second copy of a large array is made

FEW_STEPS = 4.0
"""A column whose standard deviation is below this number of float32's steps is not resolved."""

COARSE = 0.01
"""A step of float32, as a share of the standard deviation, from which rounding counts as a loss."""

_FINE = 1e-5  # below this share, values that become equal differ by little

_SOME, _NEARLY_ALL = 0.01, 0.9
"""Share of the changes from an observation to the next one that may vanish, in coarse columns and in fine ones.

In a fine column the smallest changes vanish, such as those of a robot at rest, and do not matter. If nearly all do,
an outlier has taken the digits.
"""


def storage_dtype(*arrays: np.ndarray) -> type[np.float32] | type[np.float64]:
    """Return the dtype in which arrays that are compared with each other are stored.

    Args:
        *arrays: Numbers of any shape.

    Returns:
        float64 if float32 would change a value; float32 otherwise, and wherever one of the arrays is float32 or
        float16 already, since the others cannot be more precise than it where they are compared.
    """
    if any(array.dtype.kind == "f" and array.dtype.itemsize <= 4 for array in arrays):
        return np.float32
    return np.float32 if all(map(is_exact, arrays)) else np.float64


def is_exact(array: np.ndarray) -> bool:
    """Whether float32 holds every value of a numeric array [N, ...] exactly."""
    if np.can_cast(array.dtype, np.float32):
        return True
    with np.errstate(over="ignore"):
        parts = (array[start : start + _ROWS] for start in range(0, len(array), _ROWS))
        return all(np.array_equal(part.astype(np.float32), part) for part in parts)


class Columns(NamedTuple):
    """Statistics of the columns of an array, in float64.

    Attributes:
        low: Smallest value of each column, [D].
        high: Largest value of each column, [D].
        mean: Mean of each column, [D].
        std: Population standard deviation of each column, [D].
    """

    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def of(cls, array: np.ndarray) -> "Columns":
        """Return the statistics of `array` [N, D].

        Deviations are taken from the first row, so that an offset costs no digits.
        """
        first = array[0].astype(np.float64)
        total, squares = np.zeros_like(first), np.zeros_like(first)
        for start in range(0, len(array), _ROWS):
            part = array[start : start + _ROWS] - first
            total += part.sum(axis=0)
            squares += np.einsum("nd,nd->d", part, part)
        offset = total / len(array)
        variance = np.maximum(squares / len(array) - offset**2, 0.0)
        low, high = (bound.astype(np.float64) for bound in (array.min(axis=0), array.max(axis=0)))
        return cls(low, high, first + offset, np.sqrt(variance))

    def scaled(self, mean: np.ndarray, std: np.ndarray) -> "Columns":
        """Return the statistics of `(array - mean) / std`."""
        low, high, center = ((value - mean) / std for value in (self.low, self.high, self.mean))
        return Columns(low, high, center, self.std / std)

    @property
    def steps(self) -> np.ndarray:
        """The distance of neighboring float32 numbers at the largest absolute value of each column, [D]."""
        return np.spacing(np.maximum(np.abs(self.low), np.abs(self.high)).astype(np.float32)).astype(np.float64)

    @property
    def is_constant(self) -> np.ndarray:
        """Whether all values of a column are equal, [D] bool."""
        return self.low == self.high


def unresolved(columns: Columns, epsilon: float) -> np.ndarray:
    """Return the numbers of the columns whose spread is below what float32 resolves at their size.

    An environment that returns float32, or a file that was written in it, has rounded them: a column that varies by
    less than `FEW_STEPS` steps is mostly rounding, and a constant that is not an integer may be off by more than
    `epsilon`.

    Args:
        columns: Statistics of the raw columns, [D].
        epsilon: What is added to a standard deviation before it divides.
    """
    constant, steps = columns.is_constant, columns.steps
    few = ~constant & (columns.std < FEW_STEPS * steps)
    rounded = constant & (columns.low != np.round(columns.low)) & (0.5 * steps > epsilon)
    return np.flatnonzero(few | rounded)


def is_coarse(columns: Columns) -> np.ndarray:
    """Whether a step of float32 is more than `COARSE` standard deviations of a column that varies, [D] bool."""
    return ~columns.is_constant & (columns.steps > COARSE * columns.std)


def merged(columns: Columns, before: tuple[np.ndarray, np.ndarray], after: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Return the numbers of the columns in which the conversion to float32 made different values equal.

    Args:
        columns: Statistics of the columns after scaling and before rounding, [D].
        before: Raw observations and next observations, both [N, D].
        after: The same after scaling and rounding to float32, both [N, D].
    """
    if before[0].dtype == np.float32:  # the cast changes nothing
        return np.zeros(0, int)
    found = []
    coarse = is_coarse(columns)
    limits = np.where(columns.steps > _FINE * columns.std, _SOME, _NEARLY_ALL)
    for column in np.flatnonzero(~columns.is_constant):
        raw, raw_next = (array[:, column] for array in before)
        kept, kept_next = (array[:, column] for array in after)
        changed = raw != raw_next
        vanished = changed & (kept == kept_next)
        if vanished.sum() > limits[column] * changed.sum() or (coarse[column] and not is_exact(raw)):
            found.append(column)
    return np.array(found, int)
