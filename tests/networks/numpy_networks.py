"""Networks, exact derivatives and Adam in NumPy, independent of JAX, Flax and Optax.

Parameters are trees as the library keeps them, {"layer0": {"kernel": [I, H], "bias": [H]}, ...}, in float64.
"""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

Tree = Any


def as_numpy(tree: Tree) -> Tree:
    """A float64 copy of a tree of arrays."""
    return jax.tree.map(lambda leaf: np.array(leaf, np.float64), tree)


def mlp(params: Tree, inputs: np.ndarray) -> np.ndarray:
    """Linear, ReLU, ..., linear, without LayerNorm."""
    x = inputs
    for i in itertools.count():
        x = x @ params[f"layer{i}"]["kernel"] + params[f"layer{i}"]["bias"]
        if f"layer{i + 1}" not in params:
            return x
        x = np.where(x.real > 0.0, x, 0.0)


def critic(params: Tree, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Q(s, a), [B]."""
    return mlp(params, np.concatenate([observations, actions], axis=-1))[..., 0]


def gradient(loss: Callable[[Tree], Any], params: Tree) -> Tree:
    """The derivative by complex steps, Im loss(x + ih) / h: no difference of close numbers, hence exact."""
    leaves, structure = jax.tree.flatten(params)
    gradients = []
    for position, leaf in enumerate(leaves):
        partial = np.zeros(np.shape(leaf))
        for index in np.ndindex(np.shape(leaf)):
            shifted = [np.array(array, complex) for array in leaves]
            shifted[position][index] += 1e-30j
            partial[index] = loss(jax.tree.unflatten(structure, shifted)).imag / 1e-30
        gradients.append(partial)
    return jax.tree.unflatten(structure, gradients)


def norm(tree: Tree) -> float:
    """The Euclidean norm over all leaves."""
    return float(np.sqrt(sum(np.sum(leaf**2) for leaf in jax.tree.leaves(tree))))


def polyak(target: Tree, online: Tree, rate: float) -> Tree:
    """(1 - rate) * target + rate * online."""
    return jax.tree.map(lambda t, o: (1.0 - rate) * t + rate * o, target, online)


class Adam:
    """Kingma and Ba, algorithm 1, with the published constants; the epsilon is added after the root."""

    def __init__(self, params: Tree, rate: float) -> None:
        self._rate = rate
        self._count = 0
        self._first = self._second = jax.tree.map(np.zeros_like, params)

    def step(self, params: Tree, gradients: Tree) -> Tree:
        """The parameters after one step."""
        self._count += 1
        self._first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, self._first, gradients)
        self._second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g**2, self._second, gradients)
        first_scale, second_scale = 1.0 - 0.9**self._count, 1.0 - 0.999**self._count
        return jax.tree.map(
            lambda p, m, v: p - self._rate * (m / first_scale) / (np.sqrt(v / second_scale) + 1e-8),
            params,
            self._first,
            self._second,
        )
