"""Many small arrays as one: a call takes the host microseconds for every array that it hands over."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from ssar_jax.types import Array

LIMIT = 10_000
"""Arrays with more numbers stay by themselves, for what is bundled is copied in and out."""


class Bundle(NamedTuple):
    """A tree whose small float32 leaves lie end to end.

    Attributes:
        small: [P].
        others: the other leaves, in the order of the tree.
    """

    small: Array
    others: list[Array]


class Bundling(NamedTuple):
    """Two functions that undo each other, for trees of one structure.

    Attributes:
        bundle: tree -> bundle.
        unbundle: bundle -> tree.
    """

    bundle: Callable[[Any], Bundle]
    unbundle: Callable[[Bundle], Any]


def make_bundling(like: Any) -> Bundling:
    """Builds them for trees with these shapes and types."""
    leaves, structure = jax.tree.flatten(like)
    is_small = [leaf.dtype == jnp.float32 and leaf.size <= LIMIT for leaf in leaves]

    def split(leaves: list[Any]) -> tuple[list[Any], list[Any]]:
        pairs = list(zip(leaves, is_small, strict=True))
        return [leaf for leaf, small in pairs if small], [leaf for leaf, small in pairs if not small]

    unravel = ravel_pytree([np.zeros(leaf.shape, np.float32) for leaf in split(leaves)[0]])[1]

    def bundle(tree: Any) -> Bundle:
        small, others = split(jax.tree.leaves(tree))
        return Bundle(ravel_pytree(small)[0], others)

    def unbundle(bundle: Bundle) -> Any:
        small, others = iter(unravel(bundle.small)), iter(bundle.others)
        return jax.tree.unflatten(structure, [next(small if chosen else others) for chosen in is_small])

    return Bundling(bundle, unbundle)
