"""Reads and replaces networks in the states of algorithms."""

from ssar_jax.types import TrainState


def with_params(state, **networks):
    """The state with other parameters in the networks named; their optimizer states stay."""
    fields = {
        name: getattr(state, name)._replace(params=params) if isinstance(getattr(state, name), TrainState) else params
        for name, params in networks.items()
    }
    return state._replace(**fields)
