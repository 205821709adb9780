"""Q-networks, and ensembles of them for clipped double Q-learning."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from ssar_jax.networks.backend import is_batched
from ssar_jax.networks.mlp import MLP
from ssar_jax.types import Array, Key, Params


class Critic(nn.Module):
    """The Q-network Q(s, a), an MLP over the concatenation of observation and action.

    Attributes:
        hidden_sizes: widths of the hidden layers.
        layer_norm: whether LayerNorm follows every hidden linear layer.
        mlp_options: further arguments of `MLP`, such as initializers.
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
    """An ensemble of E critics as a record of pure functions.

    The parameters are a tuple with one entry per member on every backend, so that checkpoints can be moved between
    backends; only the execution differs.

    Attributes:
        init: (key, observations [B, O], actions [B, A]) -> params; only the shapes of the arrays matter.
        apply: (params, observations [B, O], actions [B, A]) -> values [E, B].
        apply_first: (params, observations [B, O], actions [B, A]) -> values [B] of the first member.
    """

    init: Callable[[Key, Array, Array], Params]
    apply: Callable[[Params, Array, Array], Array]
    apply_first: Callable[[Params, Array, Array], Array]


def make_ensemble(critics: Sequence[Critic], batched: bool | None = None) -> CriticEnsemble:
    """Builds an ensemble with independently initialized members.

    Args:
        critics: the E members; they may differ in depth unless `batched` is True.
        batched: True evaluates all members in one batched program, False one after the other. None batches members of
            equal shape on accelerators.

    Raises:
        ValueError: if `batched` is True and the members differ in shape.
    """
    alike = all(critic == critics[0] for critic in critics)
    if batched and not alike:
        raise ValueError("critics of different shapes cannot be batched")

    def init(key: Key, observations: Array, actions: Array) -> Params:
        keys = jax.random.split(key, len(critics))
        return tuple(critic.init(k, observations, actions)["params"] for critic, k in zip(critics, keys, strict=True))

    def apply_first(params: Params, observations: Array, actions: Array) -> Array:
        return critics[0].apply({"params": params[0]}, observations, actions)  # pyright: ignore[reportReturnType]

    def apply_in_turn(params: Params, observations: Array, actions: Array) -> Array:
        values = [critic.apply({"params": p}, observations, actions) for critic, p in zip(critics, params, strict=True)]
        return jnp.stack(values)  # pyright: ignore[reportArgumentType]  (apply is typed too widely)

    def apply_batched(params: Params, observations: Array, actions: Array) -> Array:
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *params)
        return jax.vmap(lambda p: critics[0].apply({"params": p}, observations, actions))(stacked)  # pyright: ignore[reportReturnType]

    def apply(params: Params, observations: Array, actions: Array) -> Array:
        # Asked at trace time, so that building an algorithm touches no device.
        in_batch = alike and is_batched() if batched is None else batched
        return (apply_batched if in_batch else apply_in_turn)(params, observations, actions)

    return CriticEnsemble(init, apply, apply_first)


class StackedCritics(NamedTuple):
    """An ensemble of E critics of one shape whose parameters are stacked, leaves [E, ...], as pure functions.

    The number of arrays and the time to compile do not depend on E. On accelerators all members are one batched
    program; on a CPU one member follows the other, so that the activations of one stay in the caches.

    Attributes:
        init: (key, observations [B, O], actions [B, A]) -> params; only the shapes of the arrays matter.
        apply: (params, observations [B, O], actions [B, A]) -> values [E, B].
        apply_with_slopes: (params, observations [B, O], actions [B, A]) -> values [E, B] and their gradients with
            respect to the actions, [E, B, A].
    """

    init: Callable[[Key, Array, Array], Params]
    apply: Callable[[Params, Array, Array], Array]
    apply_with_slopes: Callable[[Params, Array, Array], tuple[Array, Array]]


def make_stacked(critic: Critic, count: int, batched: bool | None = None) -> StackedCritics:
    """Builds an ensemble with stacked parameters and independently initialized members.

    Args:
        critic: the network of every member.
        count: number of members E.
        batched: True evaluates all members in one batched program, False one after the other; None chooses by backend.
    """

    def over_members(function: Callable[[Params], Any], params: Params) -> Any:
        in_batch = is_batched() if batched is None else batched
        return jax.vmap(function)(params) if in_batch else jax.lax.map(function, params)

    def values_of(params: Params, observations: Array, actions: Array) -> Array:
        return critic.apply({"params": params}, observations, actions)  # pyright: ignore[reportReturnType]

    def init(key: Key, observations: Array, actions: Array) -> Params:
        # In a loop on every backend: draws under vmap may round differently.
        return jax.lax.map(lambda k: critic.init(k, observations, actions)["params"], jax.random.split(key, count))

    def apply(params: Params, observations: Array, actions: Array) -> Array:
        return over_members(lambda member: values_of(member, observations, actions), params)

    def apply_with_slopes(params: Params, observations: Array, actions: Array) -> tuple[Array, Array]:
        def total(actions: Array, member: Params) -> tuple[Array, Array]:
            values = values_of(member, observations, actions)
            return jnp.sum(values), values  # the value of a row depends on the action of this row alone

        slopes, values = over_members(lambda member: jax.grad(total, has_aux=True)(actions, member), params)
        return values, slopes

    return StackedCritics(init, apply, apply_with_slopes)
