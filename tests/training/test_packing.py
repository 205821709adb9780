"""Packing the small arrays of a tree, and unpacking them."""

import jax
import jax.numpy as jnp
import numpy as np

from ssar_jax.training.packing import LIMIT, make_packing


def tree(factor):
    return {
        "bias": factor * jnp.arange(3.0),
        "kernel": factor * jnp.arange(4.0).reshape(2, 2),
        "scalar": jnp.float32(factor),
        "large": jnp.full((LIMIT + 1,), factor, jnp.float32),
        "count": jnp.int32(7),
        "active": jnp.asarray(True),
    }


def test_small_arrays_are_concatenated_and_the_others_stay():
    """In the order of the keys: bias, kernel, scalar."""
    packed = make_packing(jax.eval_shape(lambda: tree(0.0))).pack(tree(2.0))
    np.testing.assert_array_equal(packed.small, [0, 2, 4, 0, 2, 4, 6, 2])
    assert [(leaf.shape, leaf.dtype.name) for leaf in packed.others] == [
        ((), "bool"), ((), "int32"), ((LIMIT + 1,), "float32"),
    ]  # fmt: skip


def test_unpacking_returns_the_tree():
    packing = make_packing(tree(0.0))
    back = jax.jit(lambda tree: packing.unpack(packing.pack(tree)))(tree(3.0))
    jax.tree.map(np.testing.assert_array_equal, back, tree(3.0))
    assert jax.tree.map(lambda leaf: leaf.dtype, back) == jax.tree.map(lambda leaf: leaf.dtype, tree(3.0))


def test_a_tree_without_small_arrays_is_unchanged():
    packing = make_packing([jnp.int32(1)])
    packed = packing.pack([jnp.int32(5)])
    assert (packed.small.shape, packing.unpack(packed)) == ((0,), [5])
