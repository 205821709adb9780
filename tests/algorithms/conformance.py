"""Reads the golden vectors of an algorithm: nested parameters, batches, scalars, comparison."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

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

    def check_tree(self, actual: Any, call: int, net: str, limit: float | None = None, slack: Any = None) -> None:
        """Compares a whole tree where the file has it; `slack` is a tree of further errors, entry by entry."""
        expected = self.expected_tree(call, net)
        if not expected:
            return
        actual, wanted, extra = flat(actual), flat(expected), {} if slack is None else flat(slack)
        assert actual.keys() == wanted.keys()
        for leaf in wanted:
            allowed = (limit or LIMITS[self.dtype]) + np.asarray(extra.get(leaf, 0.0))
            assert_close(actual[leaf], wanted[leaf], allowed, f"call {call} {net}{leaf}")
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


def assert_close(actual: Any, expected: np.ndarray, limit: Any, what: str) -> None:
    actual = np.asarray(actual, np.float64).reshape(np.shape(expected))
    error = np.abs(actual - expected) / (1.0 + np.abs(expected))
    excess = np.max(error / limit, initial=0.0)
    assert excess <= 1.0, f"{what}: error {np.max(error):.2e}, {excess:.1f} times the limit"


def rounding_of_adam(second_moments: Any, learning_rate: float) -> Any:
    """How far float32 rounding of the gradients can move parameters in one step of Adam, entry by entry.

    Adam divides by the gradient's size. Where terms cancel to a gradient far below the network's largest, what
    is left is rounding (relative to the largest about 1e-6), and the step, up to the learning rate long, goes
    anywhere. Where the gradient is not small this adds next to nothing. In float64 there is no such allowance.
    """
    sizes = jax.tree.map(lambda v: np.sqrt(np.asarray(v, np.float64)), second_moments)
    noise = 1e-6 * max(np.max(size) for size in jax.tree.leaves(sizes))
    return jax.tree.map(lambda size: 2.0 * learning_rate * np.minimum(1.0, noise / (size + 1e-30)), sizes)


def cases(files, slow=()):
    """Every file in both precisions.

    Single precision is slow, since it compiles all programs once more, and so are the files whose stems `slow` names:
    each differs from another file in one option that is also tested elsewhere.
    """
    return [
        pytest.param(
            path,
            dtype,
            id=f"{dtype.__name__}-{path.stem}",
            marks=[pytest.mark.slow] * (dtype == np.float32 or path.stem in slow),
        )
        for path in files
        for dtype in (np.float32, np.float64)
    ]
