"""Reads the golden vectors of an algorithm: nested parameters, batches, scalars, comparison."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ssar_jax.types import Batch
from tests.golden_vectors import load_golden

LIMITS = {np.float64: 1e-10, np.float32: 1e-5}
"""Largest |x - y| / (1 + |y|), the limits that come with the vectors."""


class Vectors:
    """One golden file at one precision.

    Args:
        path: the file.
        dtype: np.float32 compares with `expected`, np.float64 with `expected64`.
    """

    def __init__(self, path: Any, dtype: Any) -> None:
        self._arrays = load_golden(path)
        self.dtype = dtype
        self._expected = "expected64" if dtype == np.float64 else "expected"
        self.compared = 0

    def hyper(self, name: str) -> Any:
        return self._arrays[f"hyper/{name}"].item()

    def start(self, name: str) -> Any:
        return self._arrays[f"init/{name}"].item()

    def cast(self, key: str) -> jax.Array:
        array = self._arrays[key]
        return jnp.asarray(array.astype(self.dtype) if array.dtype.kind == "f" else array)

    def params(self, net: str) -> dict[str, Any]:
        """The starting parameters of a network as Flax keeps them."""
        return nested(
            {key: self.cast(key) for key in self._arrays if key.startswith(f"params/{net}/")}, f"params/{net}/"
        )

    def batch(self, call: int) -> Batch:
        call = call if f"batch/call{call}/observations" in self._arrays else 1
        columns = {name: self.cast(f"batch/call{call}/{name}") for name in BATCH_KEYS}
        return Batch(
            columns["observations"],
            columns["actions"],
            columns["rewards"][:, 0],
            1.0 - columns["dones"][:, 0],
            columns["next_observations"],
            columns["mask"][:, 0],
        )

    def draws(self, call: int, name: str) -> jax.Array:
        return self.cast(f"draws/call{call}/{name}")

    def expected(self, call: int, name: str) -> np.ndarray | None:
        return self._arrays.get(f"{self._expected}/call{call}/{name}")

    def expected_tree(self, call: int, net: str) -> dict[str, Any]:
        prefix = f"{self._expected}/call{call}/{net}/"
        return nested({key: value for key, value in self._arrays.items() if key.startswith(prefix)}, prefix)

    def check(self, actual: Any, call: int, name: str, limit: float | None = None) -> None:
        """Compares one value where the file has it."""
        expected = self.expected(call, name)
        if expected is not None:
            assert_close(actual, expected, limit or LIMITS[self.dtype], f"call {call} {name}")
            self.compared += 1

    def check_tree(self, actual: Any, call: int, net: str, limit: float | None = None) -> None:
        """Compares a whole tree where the file has it."""
        expected = self.expected_tree(call, net)
        if not expected:
            return
        actual = {key: value for key, value in flat(actual).items()}
        wanted = flat(expected)
        assert actual.keys() == wanted.keys()
        for leaf in wanted:
            assert_close(actual[leaf], wanted[leaf], limit or LIMITS[self.dtype], f"call {call} {net}{leaf}")
            self.compared += 1


BATCH_KEYS = ("observations", "actions", "rewards", "next_observations", "dones", "mask")


def nested(leaves: dict[str, Any], prefix: str) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in leaves.items():
        *path, leaf = key.removeprefix(prefix).split("/")
        node = tree
        for part in path:
            node = node.setdefault(part, {})
        node[leaf] = value
    return tree


def flat(tree: Any) -> dict[str, Any]:
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def assert_close(actual: Any, expected: np.ndarray, limit: float, what: str) -> None:
    actual = np.asarray(actual, np.float64).reshape(np.shape(expected))
    error = np.max(np.abs(actual - expected) / (1.0 + np.abs(expected)), initial=0.0)
    assert error <= limit, f"{what}: error {error:.2e} above {limit:.0e}"
