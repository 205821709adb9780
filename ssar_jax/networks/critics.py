"""Q-networks and the pair of them that clipped double Q-learning needs."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from ssar_jax.networks.backend import stack_critics
from ssar_jax.networks.mlp import MLP
from ssar_jax.types import Array, Key, Params


class Critic(nn.Module):
    """Q(s, a): an MLP over the concatenation of observation and action.

    Attributes:
        hidden_sizes: widths of the hidden layers.
        layer_norm: whether LayerNorm follows every hidden linear map.
        mlp_options: further arguments of `MLP`, such as initialisers.
    """

    hidden_sizes: Sequence[int]
    layer_norm: bool = False
    mlp_options: dict[str, Any] | None = None

    @nn.compact
    def __call__(self, observations: Array, actions: Array) -> Array:
        """Maps observations [..., O] and actions [..., A] to values [...]."""
        mlp = MLP(self.hidden_sizes, 1, self.layer_norm, **(self.mlp_options or {}))
        nn.share_scope(self, mlp)
        return jnp.squeeze(mlp(jnp.concatenate([observations, actions], axis=-1)), axis=-1)


class CriticEnsemble(NamedTuple):
    """Several critics as one record of pure functions, whatever the layout of their parameters.

    Attributes:
        init: (key, observations [B, O], actions [B, A]) -> params of all members.
        apply: (params, observations, actions) -> values [E, B].
        member: (params, index) -> the parameters of one member.
        apply_first: (params, observations, actions) -> values [B] of member 0 alone.
    """

    init: Callable[[Key, Array, Array], Params]
    apply: Callable[[Params, Array, Array], Array]
    member: Callable[[Params, int], Params]
    apply_first: Callable[[Params, Array, Array], Array]


def make_ensemble(critics: Sequence[Critic], stacked: bool | None = None) -> CriticEnsemble:
    """Builds an ensemble with independent members.

    Args:
        critics: the members; they may differ in depth unless stacked.
        stacked: whether parameters carry a leading [E] axis and one batched program serves all members,
            which is meant for accelerators. None chooses by
            the default backend and by whether the members are alike.
    """
    alike = all(critic == critics[0] for critic in critics)
    if stacked is None:
        stacked = alike and stack_critics()
    if stacked and not alike:
        raise ValueError("critics of different shapes cannot be stacked")
    return _stacked(critics[0], len(critics)) if stacked else _separate(critics)


def _separate(critics: Sequence[Critic]) -> CriticEnsemble:
    def init(key: Key, observations: Array, actions: Array) -> Params:
        keys = jax.random.split(key, len(critics))
        return tuple(critic.init(k, observations, actions)["params"] for critic, k in zip(critics, keys, strict=True))

    def apply(params: Params, observations: Array, actions: Array) -> Array:
        values = [critic.apply({"params": p}, observations, actions) for critic, p in zip(critics, params, strict=True)]
        return jnp.stack(values)  # pyright: ignore[reportArgumentType]  (apply is typed too widely)

    def apply_first(params: Params, observations: Array, actions: Array) -> Array:
        return critics[0].apply({"params": params[0]}, observations, actions)  # pyright: ignore[reportReturnType]

    return CriticEnsemble(init, apply, lambda params, index: params[index], apply_first)


def _stacked(critic: Critic, size: int) -> CriticEnsemble:
    def init(key: Key, observations: Array, actions: Array) -> Params:
        keys = jax.random.split(key, size)
        return jax.vmap(lambda k: critic.init(k, observations, actions)["params"])(keys)

    def apply_one(params: Params, observations: Array, actions: Array) -> Array:
        return critic.apply({"params": params}, observations, actions)  # pyright: ignore[reportReturnType]

    def member(params: Params, index: int) -> Params:
        return jax.tree.map(lambda leaf: leaf[index], params)

    return CriticEnsemble(
        init,
        jax.vmap(apply_one, in_axes=(0, None, None)),
        member,
        lambda params, observations, actions: apply_one(member(params, 0), observations, actions),
    )
