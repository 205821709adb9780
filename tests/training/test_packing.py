"""Small arrays end to end, and back."""

import jax
import jax.numpy as jnp
import numpy as np

from ssar_jax.training.packing import LIMIT, make_bundling


def tree(factor):
    return {
        "bias": factor * jnp.arange(3.0),
        "kernel": factor * jnp.arange(4.0).reshape(2, 2),
        "scalar": jnp.float32(factor),
        "large": jnp.full((LIMIT + 1,), factor, jnp.float32),
        "count": jnp.int32(7),
        "active": jnp.asarray(True),
    }


def test_small_numbers_lie_end_to_end_and_the_rest_stays():
    """In the order of the keys: bias, kernel, scalar."""
    bundle = make_bundling(jax.eval_shape(lambda: tree(0.0))).bundle(tree(2.0))
    np.testing.assert_array_equal(bundle.small, [0, 2, 4, 0, 2, 4, 6, 2])
    assert [(leaf.shape, leaf.dtype.name) for leaf in bundle.others] == [
        ((), "bool"), ((), "int32"), ((LIMIT + 1,), "float32"),
    ]  # fmt: skip


def test_unbundling_gives_the_tree_back():
    bundling = make_bundling(tree(0.0))
    back = jax.jit(lambda tree: bundling.unbundle(bundling.bundle(tree)))(tree(3.0))
    jax.tree.map(np.testing.assert_array_equal, back, tree(3.0))
    assert jax.tree.map(lambda leaf: leaf.dtype, back) == jax.tree.map(lambda leaf: leaf.dtype, tree(3.0))


def test_a_tree_without_small_arrays_is_left_alone():
    bundling = make_bundling([jnp.int32(1)])
    bundle = bundling.bundle([jnp.int32(5)])
    assert (bundle.small.shape, bundling.unbundle(bundle)) == ((0,), [5])
