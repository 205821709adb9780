"""SPOT, supported policy optimisation: TD3 whose actor pays for actions that the data's density does not support.

Wu et al., "Supported Policy Optimization for Offline Reinforcement Learning", 2022, https://arxiv.org/abs/2202.06239.
The density model is trained first (`density_algorithm`) and then frozen: it is a part of SPOT's state, so that it is
saved, mapped over seeds and resumed with it, and no update changes it.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from ssar_jax.algorithms import td3
from ssar_jax.algorithms.base import Algorithm, Phase
from ssar_jax.coefficients import build as build_coefficient
from ssar_jax.coefficients.base import Coefficient
from ssar_jax.networks.vae import VAE
from ssar_jax.ops.trees import averages, gradient_step
from ssar_jax.types import Array, Batch, Key, Metrics, Params

# The published forms that a config switches on.
DROPOUT = 0.1
ACTOR_OUTPUT_BOUND, CRITIC_OUTPUT_BOUND = 1e-3, 3e-3


class SPOTState(NamedTuple):
    """Everything that training changes, and the density model, which it does not change."""

    skeleton: td3.TD3State
    density: Params


class DensityState(NamedTuple):
    """What training the density model changes."""

    params: Params
    opt_state: optax.OptState


class Draws(NamedTuple):
    """The random arrays of an update.

    Attributes:
        smoothing: noise of the target policy, standard normal [B, A].
        latent: noise of the density model's latent, standard normal [B, 2 A].
        dropout: factors on the actor's hidden linear maps by layer, 0 or 1 / (1 - rate), [B, H]; none without dropout.
        target_dropout: the same of the target actor.
    """

    smoothing: Array
    latent: Array
    dropout: dict[str, Array]
    target_dropout: dict[str, Array]


class Hyperparameters(NamedTuple):
    """The numbers of SPOT; the defaults are those of locomotion, without the dropout of the authors' program.

    Attributes:
        skeleton: those of TD3.
        density_hidden_sizes: widths of the density model's hidden layers.
        dropout: rate at which the actor and the target actor drop hidden units while training; never when acting.
        actor_output_bound: the actor's output layer starts uniform within it; None for PyTorch's default.
        critic_output_bound: the same of the critics.
    """

    skeleton: td3.Hyperparameters = td3.Hyperparameters(critic_layer_norm=False)
    density_hidden_sizes: tuple[int, ...] = (750, 750)
    dropout: float = 0.0
    actor_output_bound: float | None = None
    critic_output_bound: float | None = None


PUBLISHED = Hyperparameters()
"""The defaults."""


def density_algorithm(network: VAE, learning_rate: float) -> Algorithm:
    """The density model as an algorithm without a policy, so that the ordinary loop trains it.

    Its loss is the mean score of the data's own actions.
    """
    optimiser = optax.adam(learning_rate)

    def init(key: Key, observations: Array, actions: Array) -> DensityState:
        params = initial_density(network, key, observations, actions)
        return DensityState(params, optimiser.init(params))

    def loss(params: Params, batch: Batch, noise: Array) -> tuple[Array, None]:
        return jnp.mean(score(network, params, batch.observations, batch.actions, noise)), None

    def update(
        state: DensityState, batch: Batch, draws: Array, *, step: Array, annealing: Array | float, phase: Phase
    ) -> tuple[DensityState, Metrics]:
        del step, annealing, phase
        params, opt_state, value, _, _ = gradient_step(loss, optimiser, state.params, state.opt_state, batch, draws)
        return DensityState(params, opt_state), averages({"density/loss": value})

    def act(params: Params, observations: Array, key: Key | None) -> Array:
        raise TypeError("a density model has no policy")

    return Algorithm(init, latent_noise, update, lambda state: (), act)


def initial_density(network: VAE, key: Key, observations: Array, actions: Array) -> Params:
    """Parameters of an untrained density model."""
    noise = jnp.zeros((len(actions), 2 * network.action_size), actions.dtype)
    return network.init(key, observations, actions, noise)["params"]


def score(network: VAE, params: Params, observations: Array, actions: Array, noise: Array) -> Array:
    """The score [B] of `VAE`: how little the model expects the actions."""
    return network.apply({"params": params}, observations, actions, noise)  # pyright: ignore[reportReturnType]


def latent_noise(key: Key, batch: Batch) -> Array:
    """The noise of the latent, standard normal [B, 2 A]."""
    rows, action_size = batch.actions.shape
    return jax.random.normal(key, (rows, 2 * action_size), batch.actions.dtype)


def make(action_size: int, coefficient: Coefficient, hyperparameters: Hyperparameters = PUBLISHED) -> Algorithm:
    """Builds SPOT around a coefficient.

    Its initial state has no density model yet, NaN stands there: `training.density` puts a trained one in.

    Args:
        action_size: A.
        coefficient: `constant.make(value)` with the published value of the task; experimental, and in no paper:
            `state_adaptive.make(...)`, which then scales the penalty state by state.
        hyperparameters: everything else.
    """
    hp = hyperparameters
    skeleton = td3.make(action_size, coefficient, hp.skeleton, penalty_name="density_score")
    density = VAE(hp.density_hidden_sizes, action_size)

    def init(key: Key, observations: Array, actions: Array) -> SPOTState:
        state = skeleton.init(key, observations, actions)
        for names, sizes, bound in (
            (("actor", "target_actor"), hp.skeleton.actor_hidden_sizes, hp.actor_output_bound),
            (("critics", "target_critics"), hp.skeleton.critic_hidden_sizes, hp.critic_output_bound),
        ):
            if bound is not None:
                state = state._replace(**{name: bound_output(getattr(state, name), sizes, bound) for name in names})
        shapes = jax.eval_shape(partial(initial_density, density), key, observations, actions)
        return SPOTState(state, jax.tree.map(lambda leaf: jnp.full(leaf.shape, jnp.nan, leaf.dtype), shapes))

    def draw(key: Key, batch: Batch) -> Draws:
        smoothing_key, latent_key, dropout_key, target_key = jax.random.split(key, 4)
        smoothing = jax.random.normal(smoothing_key, batch.actions.shape, batch.actions.dtype)
        return Draws(
            smoothing, latent_noise(latent_key, batch), *(factors(k, len(smoothing)) for k in (dropout_key, target_key))
        )

    def factors(key: Key, rows: int) -> dict[str, Array]:
        if hp.dropout == 0.0:
            return {}
        keys, keep = jax.random.split(key, len(hp.skeleton.actor_hidden_sizes)), 1.0 - hp.dropout
        return {
            f"layer{i}": jax.random.bernoulli(keys[i], keep, (rows, width)) / keep
            for i, width in enumerate(hp.skeleton.actor_hidden_sizes)
        }

    def update(
        state: SPOTState, batch: Batch, draws: Draws, *, step: Array, annealing: Array | float, phase: Phase
    ) -> tuple[SPOTState, Metrics]:
        def density_score(actions: Array) -> Array:
            return score(density, state.density, batch.observations, actions, draws.latent)[:, None]

        inner, metrics = skeleton.update(
            state.skeleton,
            batch,
            draws.smoothing,
            density_score,
            step=step,
            annealing=annealing,
            phase=phase,
            train_policy=with_factors(skeleton.policy, draws.dropout),
            target_policy=with_factors(skeleton.policy, draws.target_dropout),
        )
        return state._replace(skeleton=inner), metrics

    return Algorithm(
        init,
        draw,
        update,
        lambda state: state.skeleton.actor,
        skeleton.act,
        lambda state, observations: skeleton.diagnose(state.skeleton, observations),
    )


def with_factors(policy: td3.Policy, factors: dict[str, Array]) -> td3.Policy:
    """The policy with factors [B, H] on the outputs of the linear maps of these names, before their ReLU."""

    def multiply(linear: Any, args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
        outputs = linear(*args, **kwargs)
        return outputs * factors[context.module.name] if context.module.name in factors else outputs

    def multiplied(params: Params, observations: Array) -> Array:
        with nn.intercept_methods(multiply):  # the MLP has no place for factors of its own
            return policy(params, observations)

    return multiplied


def bound_output(params: Params, hidden_sizes: tuple[int, ...], bound: float) -> Params:
    """Shrinks an output layer that starts uniform within 1 / sqrt(H), PyTorch's default, to start within `bound`.

    Args:
        params: of one network or of several.
        hidden_sizes: of each.
        bound: the new bound.
    """
    output, factor = jax.tree_util.DictKey(f"layer{len(hidden_sizes)}"), bound * hidden_sizes[-1] ** 0.5
    return jax.tree_util.tree_map_with_path(lambda path, leaf: factor * leaf if output in path else leaf, params)


def from_config(config: Any, action_size: int) -> Algorithm:
    """Builds SPOT from a config of `configs/spot.py`."""
    coefficient = build_coefficient.from_config(config.coefficient)
    return make(action_size, coefficient, hyperparameters_from_config(config))


def hyperparameters_from_config(config: Any) -> Hyperparameters:
    """Collects the hyperparameters from a config's groups."""
    return Hyperparameters(
        skeleton=td3.hyperparameters_from_config(config)._replace(online_discount=config.online.discount),
        density_hidden_sizes=tuple(config.density.hidden_sizes),
        dropout=DROPOUT if config.actor.dropout else 0.0,
        actor_output_bound=ACTOR_OUTPUT_BOUND if config.actor.small_output else None,
        critic_output_bound=CRITIC_OUTPUT_BOUND if config.critic.small_output else None,
    )
