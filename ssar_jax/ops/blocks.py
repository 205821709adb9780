"""Gradients of a sum over rows, computed in blocks of rows."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ssar_jax.types import Array, Params


def blocked_value_and_grad(
    loss: Callable[[Params, Any], tuple[Array, Any]], params: Params, rows: Any, block_size: int
) -> tuple[tuple[Array, Any], Params]:
    """Computes value and gradients of a loss that is a sum over rows, one block of rows after the other.

    The result does not depend on the block size, except for rounding. Small blocks keep the activations of the forward
    and the backward pass in the CPU caches.

    Args:
        loss: (params, rows [b, ...]) -> (sum over the rows, auxiliary arrays [b, ...]).
        params: the parameters to differentiate with respect to.
        rows: a pytree of arrays [B, ...].
        block_size: number of rows per block, a divisor of B.

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
