"""Packs the small arrays of a tree into one, because a call costs the host microseconds for every array passed."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from ssar_jax.types import Array

LIMIT = 10_000
"""Maximum number of elements of a packed array; packing copies arrays, which costs more for larger ones."""


class Packed(NamedTuple):
    """A tree whose small float32 leaves are concatenated.

    Attributes:
        small: the small float32 leaves, [P].
        others: the other leaves, in the order of the tree.
    """

    small: Array
    others: list[Array]


class Packing(NamedTuple):
    """A pair of inverse functions for trees of one structure.

    Attributes:
        pack: function of a tree that returns it packed.
        unpack: function of a packed tree that returns the tree.
    """

    pack: Callable[[Any], Packed]
    unpack: Callable[[Packed], Any]


def make_packing(like: Any) -> Packing:
    """Builds the functions that pack and unpack trees.

    Args:
        like: a tree with the structure, shapes and types of the trees to pack.

    Returns:
        The two functions.
    """
    leaves, structure = jax.tree.flatten(like)
    is_small = [leaf.dtype == jnp.float32 and leaf.size <= LIMIT for leaf in leaves]

    def split(leaves: list[Any]) -> tuple[list[Any], list[Any]]:
        pairs = list(zip(leaves, is_small, strict=True))
        return [leaf for leaf, small in pairs if small], [leaf for leaf, small in pairs if not small]

    unravel = ravel_pytree([np.zeros(leaf.shape, np.float32) for leaf in split(leaves)[0]])[1]

    def pack(tree: Any) -> Packed:
        small, others = split(jax.tree.leaves(tree))
        return Packed(small=ravel_pytree(small)[0], others=others)

    def unpack(packed: Packed) -> Any:
        small, others = iter(unravel(packed.small)), iter(packed.others)
        return jax.tree.unflatten(structure, [next(small if is_packed else others) for is_packed in is_small])

    return Packing(pack=pack, unpack=unpack)
