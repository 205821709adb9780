"""Gradients of a sum over rows, taken block by block."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ssar_jax.types import Array, Params


def blocked_value_and_grad(
    loss: Callable[[Params, Any], tuple[Array, Any]], params: Params, rows: Any, block_size: int
) -> tuple[tuple[Array, Any], Params]:
    """Value and gradients of a loss that is a sum over rows, exact whatever the block size.

    Forward and backward pass run block after block, so that activations stay in the caches.

    Args:
        loss: (params, block of rows) -> (sum over the rows, auxiliary arrays with the rows first).
        params: what to differentiate by.
        rows: a pytree of arrays [B, ...].
        block_size: rows per block; divides B.

    Returns:
        ((sum over all rows, auxiliary arrays [B, ...]), gradients).
    """
    differentiate = jax.value_and_grad(loss, has_aux=True)
    batch_size = jax.tree.leaves(rows)[0].shape[0]
    if block_size == batch_size:
        return differentiate(params, rows)
    blocks = jax.tree.map(lambda x: x.reshape(batch_size // block_size, block_size, *x.shape[1:]), rows)

    def add_block(sums: tuple[Array, Params], block: Any) -> tuple[tuple[Array, Params], Any]:
        (value, auxiliary), gradients = differentiate(params, block)
        return (sums[0] + value, jax.tree.map(jnp.add, sums[1], gradients)), auxiliary

    first = jax.tree.map(lambda x: x[0], blocks)
    value_shape = jax.eval_shape(loss, params, first)[0]
    zeros = jnp.zeros(value_shape.shape, value_shape.dtype), jax.tree.map(jnp.zeros_like, params)
    (value, gradients), auxiliary = jax.lax.scan(add_block, zeros, blocks)
    return (value, jax.tree.map(lambda x: x.reshape(batch_size, *x.shape[2:]), auxiliary)), gradients
