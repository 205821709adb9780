"""From a config to an algorithm: one line per algorithm."""

from collections.abc import Callable
from typing import Any

from ssar_jax.algorithms import cql, fam_cql, iql, spot, td3_bc
from ssar_jax.algorithms.base import Algorithm
from ssar_jax.errors import UserError

_BUILDERS: dict[str, Callable[[Any, int], Algorithm]] = {
    "td3_bc": td3_bc.from_config,
    "cql": cql.from_config,
    "iql": iql.from_config,
    "spot": spot.from_config,
    "fam_cql": fam_cql.from_config,
}


def require(algorithm: str) -> None:
    """Requires an algorithm to be here.

    Raises:
        UserError: it is not.
    """
    if algorithm not in _BUILDERS:
        raise UserError(
            f"algorithm {algorithm!r} is unknown: choose one of {', '.join(_BUILDERS)}; one of your own is a line in "
            "ssar_jax/algorithms/registry.py"
        )


def build(config: Any, action_size: int) -> Algorithm:
    """Builds the algorithm that a config describes.

    Args:
        config: a config of `configs/`, read by attribute.
        action_size: A.

    Raises:
        UserError: for an unknown algorithm.
    """
    require(config.algorithm)
    return _BUILDERS[config.algorithm](config, action_size)
