"""Operations on trees of parameters and of metrics."""

import jax
import jax.numpy as jnp

from ssar_jax.types import Array, Average, Metrics, Params


def polyak(target: Params, online: Params, rate: float) -> Params:
    """Moves a target network toward the online network: (1 - rate) * target + rate * online.

    Args:
        target: parameters of the target network.
        online: parameters of the network in training, of the same structure.
        rate: Polyak rate in (0, 1].
    """
    return jax.tree.map(lambda t, o: (1.0 - rate) * t + rate * o, target, online)


def copy_params(params: Params) -> Params:
    """Copies parameters into new buffers.

    A state whose leaves share a buffer, such as a critic and its target after initialization, could not be donated.
    """
    return jax.tree.map(jnp.copy, params)


def averages(metrics: dict[str, Array]) -> Metrics:
    """Gives each scalar metric of one update the weight 1."""
    return {name: Average(value, jnp.ones_like(value)) for name, value in metrics.items()}
