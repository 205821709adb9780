"""Gradients taken block by block are those of the whole batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssar_jax.ops.blocks import blocked_value_and_grad

ROWS = 12


def loss(params, rows):
    """A sum over rows of something curved in both parameters; the auxiliary arrays number the rows."""
    hidden = jnp.tanh(rows["x"] @ params["kernel"] + params["bias"])
    errors = jnp.sum(hidden**2, axis=-1) * rows["weight"] - params["bias"][0]
    return jnp.sum(errors**2), {"row": rows["number"], "error": errors, "hidden": hidden}


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    params = {"kernel": rng.normal(size=(3, 2)), "bias": rng.normal(size=2)}
    rows = {"x": rng.normal(size=(ROWS, 3)), "weight": rng.normal(size=ROWS), "number": np.arange(ROWS)}
    return params, rows


def test_every_block_size_gives_the_same(problem):
    """Value, gradients and auxiliary arrays in their order, to 1e-12 in double precision."""
    params, rows = problem
    sizes = (1, 2, 3, 4, 6, 12)
    with jax.enable_x64(True):
        plain, *blocked = jax.jit(
            lambda: [
                jax.value_and_grad(loss, has_aux=True)(params, rows),
                *(blocked_value_and_grad(loss, params, rows, size) for size in sizes),
            ]
        )()
    for result in blocked:
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12), result, plain)
        np.testing.assert_array_equal(result[0][1]["row"], np.arange(ROWS))
        assert result[0][1]["hidden"].shape == (ROWS, 2)
    assert np.all(np.abs(np.asarray(plain[1]["kernel"])) > 1e-3)  # the gradients above are not zeros


def test_by_hand():
    """sum of (p x)^2 over x = 1, 2, 3, 4 at p = 3: 9 * 30 = 270, slope 2 * 3 * 30 = 180, in blocks of 2."""

    def squares(p, x):
        return jnp.sum((p * x) ** 2), p * x

    (value, products), slope = jax.jit(lambda: blocked_value_and_grad(squares, 3.0, jnp.arange(1.0, 5.0), 2))()
    assert (float(value), float(slope)) == (270.0, 180.0)
    np.testing.assert_array_equal(products, [3.0, 6.0, 9.0, 12.0])


def test_keeps_the_precision_of_its_input(problem):
    """In double precision no sum over blocks passes through float32."""
    with jax.enable_x64(True):
        (value, _), gradients = jax.eval_shape(lambda: blocked_value_and_grad(loss, *problem, 4))
    assert {leaf.dtype for leaf in (value, *jax.tree.leaves(gradients))} == {np.dtype(np.float64)}
