"""Layer normalization (Ba, Kiros, Hinton 2016, https://arxiv.org/abs/1607.06450) with its derivative written out."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ssar_jax.types import Array


class _Saved(NamedTuple):
    centered: Array
    inverse_std: Array
    scale: Array


@partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def layer_norm(inputs: Array, scale: Array, bias: Array, epsilon: float, means_as_products: bool) -> Array:
    """Normalizes the last axis to mean 0 and variance 1, then scales and shifts it.

    The derivative that JAX finds by itself runs over the arrays more often; docs/benchmarks.md says what it cost. The
    normalized array itself is never written: what is saved for the derivative is the centered one.

    Args:
        inputs: [..., H].
        scale: [H].
        bias: [H].
        epsilon: added to the variance, the mean squared distance from the mean.
        means_as_products: whether means and sums are matrix products with a constant vector, which XLA runs faster than
            reductions on a CPU.

    Returns:
        [..., H].
    """
    return _forward(inputs, scale, bias, epsilon, means_as_products)[0]


def _forward(inputs: Array, scale: Array, bias: Array, epsilon: float, means_as_products: bool) -> tuple[Array, _Saved]:
    centered = inputs - _mean(inputs, means_as_products)
    inverse_std = jax.lax.rsqrt(_mean(centered * centered, means_as_products) + epsilon)
    return centered * inverse_std * scale + bias, _Saved(centered, inverse_std, scale)


def _backward(epsilon: float, means_as_products: bool, saved: _Saved, gradient: Array) -> tuple[Array, Array, Array]:
    del epsilon  # it is part of the saved deviation
    centered, inverse_std, scale = saved
    along = gradient * centered
    shift = _mean(gradient, means_as_products, scale)
    share = inverse_std * inverse_std * _mean(along, means_as_products, scale)
    inputs = inverse_std * (gradient * scale - shift - centered * share)
    return inputs, _sum(along, means_as_products, inverse_std), _sum(gradient, means_as_products)


layer_norm.defvjp(_forward, _backward)


def _mean(values: Array, as_product: bool, weights: Array | None = None) -> Array:
    """The mean over the last axis, [..., 1], of the values times weights [H]."""
    if not as_product:
        return jnp.mean(values if weights is None else values * weights, axis=-1, keepdims=True)
    width = values.shape[-1]
    share = jnp.full(width, 1.0 / width, values.dtype) if weights is None else weights / width
    return (values @ share)[..., None]


def _sum(values: Array, as_product: bool, weights: Array | None = None) -> Array:
    """The sum over all axes but the last, [H], of the values times weights [..., 1]."""
    if not as_product:
        return (values if weights is None else values * weights).reshape(-1, values.shape[-1]).sum(axis=0)
    rows = values.reshape(-1, values.shape[-1])
    return (jnp.ones(len(rows), values.dtype) if weights is None else weights.reshape(-1)) @ rows
