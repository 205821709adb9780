"""Supported policy optimization (SPOT), TD3 with a penalty on actions of low density under the dataset.

Wu et al., "Supported Policy Optimization for Offline Reinforcement Learning", 2022, https://arxiv.org/abs/2202.06239.
The density model, a conditional VAE, is trained first (`density_algorithm`) and then frozen. It is a part of SPOT's
state, so that it is saved, vmapped over seeds and resumed with the state.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from ssar_jax.algorithms import td3_bc
from ssar_jax.algorithms.base import Algorithm, Phase, Pretraining
from ssar_jax.algorithms.operations import forward
from ssar_jax.algorithms.td3_steps import critic_step, smoothed_target_actions, update_when
from ssar_jax.coefficients import build as build_coefficient
from ssar_jax.coefficients.base import Coefficient
from ssar_jax.coefficients.constant import constant
from ssar_jax.coefficients.trust_region import deterministic_slack
from ssar_jax.networks.actors import DeterministicActor
from ssar_jax.networks.critics import Critic, make_ensemble
from ssar_jax.networks.initializers import uniform
from ssar_jax.networks.vae import VAE
from ssar_jax.ops.gradients import create_train_state, gradient_step
from ssar_jax.ops.losses import td_target
from ssar_jax.ops.shapes import assert_batch
from ssar_jax.ops.trees import averages, copy_params, polyak
from ssar_jax.ranges import require_hyperparameters
from ssar_jax.types import Array, Batch, Key, Metrics, Params, TrainState

# The published values that the config fields `dropout` and `small_output` switch on.
DROPOUT = 0.1
ACTOR_OUTPUT_BOUND, CRITIC_OUTPUT_BOUND = 1e-3, 3e-3


class SPOTState(NamedTuple):
    """The training state of SPOT, and the parameters of the frozen density model."""

    actor: TrainState
    target_actor: Params
    critics: TrainState
    target_critics: Params
    coefficient: Any
    density: Params


class SPOTDraws(NamedTuple):
    """The random arrays of one update.

    Attributes:
        smoothing: noise of the target policy, standard normal [B, A].
        latent: noise of the density model's latent, standard normal [B, 2 A].
        dropout: factors on the outputs of the actor's hidden linear layers, 0 or 1 / (1 - rate), one [B, H] per layer;
            empty without dropout.
        target_dropout: the same for the target actor.
    """

    smoothing: Array
    latent: Array
    dropout: tuple[Array, ...]
    target_dropout: tuple[Array, ...]


class SPOTConfig(NamedTuple):
    """The hyperparameters of SPOT; the defaults are those of locomotion, without the dropout of the authors' program.

    Attributes:
        discount: discount factor.
        online_discount: discount factor of the online phase; None for `discount`.
        tau: Polyak rate of the target networks.
        critic_hidden_sizes: widths of the critics' hidden layers.
        critic_layer_norm: whether LayerNorm follows every hidden linear layer of the critics.
        critic_learning_rate: Adam's learning rate for the critics.
        critic_output_bound: bound of the uniform initializer of the critics' output layers; None for PyTorch's default.
        actor_hidden_sizes: widths of the actor's hidden layers.
        actor_learning_rate: Adam's learning rate for the actor.
        actor_output_bound: bound of the uniform initializer of the actor's output layer; None for PyTorch's default.
        dropout: dropout rate of the actor and the target actor in training; acting uses no dropout.
        policy_freq: number of critic updates per update of actor, coefficient and targets in the offline phase.
        online_policy_freq: the same number in the online phase.
        decouple_online_targets: whether the targets move every `policy_freq` updates in the online phase too.
        policy_noise: standard deviation of the target policy's smoothing noise.
        noise_clip: clip on the smoothing noise.
        delta: width of the trust region per unit of its size n.
        density_hidden_sizes: widths of the density model's hidden layers.
        density_learning_rate: Adam's learning rate for the density model.
        density_batch_size: minibatch size of the density model.
        density_num_updates: number of updates of the density model.
    """

    discount: float = 0.99
    online_discount: float | None = None
    tau: float = 0.005
    critic_hidden_sizes: tuple[int, ...] = (256, 256)
    critic_layer_norm: bool = False
    critic_learning_rate: float = 3e-4
    critic_output_bound: float | None = None
    actor_hidden_sizes: tuple[int, ...] = (256, 256)
    actor_learning_rate: float = 3e-4
    actor_output_bound: float | None = None
    dropout: float = 0.0
    policy_freq: int = 2
    online_policy_freq: int = 2
    decouple_online_targets: bool = False
    policy_noise: float = 0.2
    noise_clip: float = 0.5
    delta: float = 0.1
    density_hidden_sizes: tuple[int, ...] = (750, 750)
    density_learning_rate: float = 1e-3
    density_batch_size: int = 256
    density_num_updates: int = 100_000


PUBLISHED = SPOTConfig()
"""The defaults."""

PUBLISHED_COEFFICIENT = constant(0.1)
"""The published coefficient of hopper-medium; `configs/spot.py` has the value of every task."""


def spot(
    action_size: int, coefficient: Coefficient = PUBLISHED_COEFFICIENT, config: SPOTConfig = PUBLISHED
) -> Algorithm:
    """Builds SPOT with a given coefficient.

    The density model is NaN in the initial state; `Algorithm.pretraining` describes how to train and install it.

    Args:
        action_size: number of action dimensions A.
        coefficient: weight of the density penalty: `constant(value)` with the published value of the task, or
            `state_adaptive(value)`, which is experimental and not published.
        config: the other hyperparameters.

    Raises:
        UserError: if a hyperparameter is out of its range, such as `tau=7`.
    """
    require_hyperparameters(config)
    actor = DeterministicActor(config.actor_hidden_sizes, action_size, bounded_output(config.actor_output_bound))
    critic = Critic(config.critic_hidden_sizes, config.critic_layer_norm, bounded_output(config.critic_output_bound))
    critics = make_ensemble([critic] * 2)
    density = VAE(config.density_hidden_sizes, action_size)
    actor_optimizer = optax.adam(config.actor_learning_rate)
    critic_optimizer = optax.adam(config.critic_learning_rate)

    def init(key: Key, observations: Array, actions: Array) -> SPOTState:
        actor_key, critics_key, coefficient_key = jax.random.split(key, 3)
        actor_params = actor.init(actor_key, observations)["params"]
        critics_params = critics.init(critics_key, observations, actions)
        density_shapes = jax.eval_shape(partial(initial_density, density), key, observations, actions)
        return SPOTState(
            actor=create_train_state(actor_params, actor_optimizer),
            target_actor=copy_params(actor_params),
            critics=create_train_state(critics_params, critic_optimizer),
            target_critics=copy_params(critics_params),
            coefficient=coefficient.init(coefficient_key, observations),
            density=jax.tree.map(lambda leaf: jnp.full(leaf.shape, jnp.nan, leaf.dtype), density_shapes),
        )

    def draw(key: Key, batch: Batch) -> SPOTDraws:
        smoothing_key, latent_key, dropout_key, target_key = jax.random.split(key, 4)
        return SPOTDraws(
            smoothing=jax.random.normal(smoothing_key, batch.actions.shape, batch.actions.dtype),
            latent=latent_noise(latent_key, batch),
            dropout=dropout_factors(dropout_key, len(batch.actions)),
            target_dropout=dropout_factors(target_key, len(batch.actions)),
        )

    def dropout_factors(key: Key, rows: int) -> tuple[Array, ...]:
        if config.dropout == 0.0:
            return ()
        keys, keep = jax.random.split(key, len(config.actor_hidden_sizes)), 1.0 - config.dropout
        return tuple(
            jax.random.bernoulli(key, keep, (rows, width)) / keep
            for key, width in zip(keys, config.actor_hidden_sizes, strict=True)
        )

    def policy(params: Params, observations: Array, dropout: tuple[Array, ...] = ()) -> Array:
        return actor.apply({"params": params}, observations, dropout)  # pyright: ignore[reportReturnType]

    def actor_loss(
        params: Params, critics_params: Params, density_params: Params, weight: Array, batch: Batch, draws: SPOTDraws
    ) -> tuple[Array, Any]:
        """-lambda E[Q_1(s, pi(s))] + E[beta score(s, pi(s))], lambda = 1 / E|Q_1|; Wu et al., 2022.

        The score estimates the negative evidence lower bound of the density model, an upper bound on -log of the
        behavior policy's density.
        """
        actions = policy(params, batch.observations, draws.dropout)
        values = critics.apply_first(critics_params, batch.observations, actions)
        scale = 1.0 / jax.lax.stop_gradient(jnp.mean(jnp.abs(values)))
        cost = score(density, density_params, batch.observations, actions, draws.latent)
        loss = -scale * jnp.mean(values) + jnp.mean(weight * cost)
        return loss, (actions, scale, jnp.mean(cost))

    def update_critics(state: SPOTState, batch: Batch, draws: SPOTDraws, discount: float) -> tuple[SPOTState, Metrics]:
        """Takes a step of clipped double Q-learning with a smoothed target policy."""
        next_actions = smoothed_target_actions(
            policy(state.target_actor, batch.next_observations, draws.target_dropout),
            draws.smoothing,
            config.policy_noise,
            config.noise_clip,
        )
        next_values = critics.apply(state.target_critics, batch.next_observations, next_actions)
        target = td_target(batch.rewards, batch.masks, next_values, discount)
        critics_state, metrics = critic_step(critics, critic_optimizer, state.critics, batch, target)
        return state._replace(critics=critics_state), metrics

    def update_actor(
        state: SPOTState, batch: Batch, draws: SPOTDraws, step: Array, annealing: Array | float, phase: Phase
    ) -> tuple[SPOTState, Metrics]:
        """Takes a step of the actor and, offline, one of the coefficient."""
        weight = coefficient.weight(state.coefficient, batch.observations, batch.trusted, annealing)
        actor_state, loss, (actions, scale, cost), gradients = gradient_step(
            actor_loss, actor_optimizer, state.actor, state.critics.params, state.density, weight, batch, draws
        )
        metrics = averages(
            {
                "actor/loss": loss,
                "actor/q_scale": scale,
                "actor/density_score": cost,
                "actor/grad_norm": optax.tree.norm(gradients),
                "actor/regulariser_weight": jnp.mean(weight),
            }
        )
        state = state._replace(actor=actor_state)
        if phase == "offline":
            # The trust region is that of the policy before its step, which gave `actions` in the actor loss.
            coefficient_state, coefficient_metrics = coefficient.update(
                state.coefficient,
                batch.observations,
                lambda n: (deterministic_slack(actions, batch.actions, n, config.delta), {}),
                batch.trusted,
                step,
            )
            state, metrics = state._replace(coefficient=coefficient_state), metrics | coefficient_metrics
        return state, metrics

    def update_targets(state: SPOTState) -> SPOTState:
        return state._replace(
            target_actor=polyak(state.target_actor, state.actor.params, config.tau),
            target_critics=polyak(state.target_critics, state.critics.params, config.tau),
        )

    def update(
        state: SPOTState, batch: Batch, draws: SPOTDraws, *, step: Array, annealing: Array | float, phase: Phase
    ) -> tuple[SPOTState, Metrics]:
        assert_batch(batch, action_size)
        online = phase == "online"
        discount = config.online_discount if online and config.online_discount is not None else config.discount
        decoupled = online and config.decouple_online_targets
        frequency = config.online_policy_freq if online else config.policy_freq
        state, metrics = update_critics(state, batch, draws, discount)

        def delayed(state: SPOTState) -> tuple[SPOTState, Metrics]:
            state, metrics = update_actor(state, batch, draws, step, annealing, phase)
            return state if decoupled else update_targets(state), metrics

        state, delayed_metrics = update_when(step % frequency == 0, delayed, state)
        if decoupled:
            state = jax.lax.cond(step % config.policy_freq == 0, update_targets, lambda state: state, state)
        return state, metrics | delayed_metrics

    def act(params: Params, observations: Array, key: Key | None) -> Array:
        del key  # the policy is deterministic
        return policy(params, observations)

    def diagnose(state: SPOTState, observations: Array) -> dict[str, Array]:
        return {"beta": coefficient.apply(state.coefficient, observations)}

    return Algorithm(
        init=init,
        draw=draw,
        update=update,
        policy_params=lambda state: state.actor.params,
        act=act,
        diagnose=diagnose,
        coefficient_period=config.policy_freq,
        pretraining=density_pretraining(density, config),
    )


def bounded_output(bound: float | None) -> dict[str, Any] | None:
    """Returns the options of an `MLP` whose output layer is initialized from U(-bound, bound); None for the default."""
    return None if bound is None else {"output_kernel_init": uniform(bound), "output_bias_init": uniform(bound)}


# The density model.


class DensityState(NamedTuple):
    """The training state of the density model."""

    network: TrainState


def initial_density(network: VAE, key: Key, observations: Array, actions: Array) -> Params:
    """Initializes the parameters of the density model.

    Args:
        network: the density model.
        key: random key of the initial parameters.
        observations: [B, O]; only the shape matters.
        actions: [B, A]; only shape and type matter.
    """
    noise = jnp.zeros((len(actions), 2 * network.action_size), actions.dtype)
    return network.init(key, observations, actions, noise)["params"]


def score(network: VAE, params: Params, observations: Array, actions: Array, noise: Array) -> Array:
    """Computes the score of actions under the density model, see `VAE`; it is low where their density is high.

    Args:
        network: the density model.
        params: its parameters.
        observations: [B, O].
        actions: [B, A].
        noise: standard normal, [B, 2 A].

    Returns:
        Scores, [B].
    """
    return network.apply({"params": params}, observations, actions, noise)  # pyright: ignore[reportReturnType]


def latent_noise(key: Key, batch: Batch) -> Array:
    """Draws the noise of the density model's latent, standard normal [B, 2 A]."""
    rows, action_size = batch.actions.shape
    return jax.random.normal(key, (rows, 2 * action_size), batch.actions.dtype)


def density_algorithm(network: VAE, learning_rate: float) -> Algorithm:
    """Builds the training of the density model as an algorithm without a policy, for the training loop.

    Its loss is the mean score of the dataset's actions.

    Args:
        network: the density model.
        learning_rate: Adam's learning rate.
    """
    optimizer = optax.adam(learning_rate)

    def init(key: Key, observations: Array, actions: Array) -> DensityState:
        return DensityState(create_train_state(initial_density(network, key, observations, actions), optimizer))

    def loss(params: Params, batch: Batch, noise: Array) -> tuple[Array, None]:
        return jnp.mean(score(network, params, batch.observations, batch.actions, noise)), None

    def update(
        state: DensityState, batch: Batch, draws: Array, *, step: Array, annealing: Array | float, phase: Phase
    ) -> tuple[DensityState, Metrics]:
        del step, annealing, phase
        network_state, value, _, _ = gradient_step(loss, optimizer, state.network, batch, draws)
        return DensityState(network_state), averages({"density/loss": value})

    def act(params: Params, observations: Array, key: Key | None) -> Array:
        raise TypeError("a density model has no policy")

    return Algorithm(init, latent_noise, update, lambda state: (), act)


def density_pretraining(network: VAE, config: SPOTConfig) -> Pretraining:
    """Describes how the density model is trained and installed in SPOT's state."""
    recipe = {
        "hidden_sizes": tuple(config.density_hidden_sizes),
        "learning_rate": config.density_learning_rate,
        "batch_size": config.density_batch_size,
        "num_updates": config.density_num_updates,
    }
    return Pretraining(
        name="density",
        algorithm=density_algorithm(network, config.density_learning_rate),
        batch_size=config.density_batch_size,
        num_updates=config.density_num_updates,
        loss="density/loss",
        title=f"density model: {config.density_num_updates:,} updates of the conditional VAE",
        remedy="choose a lower --config.density.learning_rate, or look for huge values in the dataset",
        recipe=recipe,
        extract=lambda state: state.network.params,
        install=lambda state, params: state._replace(density=params),
        installed=lambda state: state.density,
    )


def from_config(config: Any, action_size: int) -> Algorithm:
    """Builds SPOT from a config.

    Args:
        config: a config of `configs/spot.py`, read by attribute.
        action_size: number of action dimensions A.
    """
    return spot(
        action_size,
        build_coefficient.from_config(config.coefficient),
        SPOTConfig(
            discount=config.discount,
            online_discount=config.online.discount,
            tau=config.critic.tau,
            critic_hidden_sizes=tuple(config.critic.hidden_sizes),
            critic_layer_norm=config.critic.layer_norm,
            critic_learning_rate=config.critic.learning_rate,
            critic_output_bound=CRITIC_OUTPUT_BOUND if config.critic.small_output else None,
            actor_hidden_sizes=tuple(config.actor.hidden_sizes),
            actor_learning_rate=config.actor.learning_rate,
            actor_output_bound=ACTOR_OUTPUT_BOUND if config.actor.small_output else None,
            dropout=DROPOUT if config.actor.dropout else 0.0,
            policy_freq=config.actor.policy_freq,
            online_policy_freq=config.online.policy_freq,
            decouple_online_targets=config.online.decouple_targets,
            policy_noise=config.actor.policy_noise,
            noise_clip=config.actor.noise_clip,
            delta=config.coefficient.delta,
            density_hidden_sizes=tuple(config.density.hidden_sizes),
            density_learning_rate=config.density.learning_rate,
            density_batch_size=config.density.batch_size,
            density_num_updates=config.density.num_updates,
        ),
    )


def operations(config: Any, observation_size: int, action_size: int) -> float:
    """Counts the floating-point operations per update, see `algorithms.operations`.

    They are those of TD3+BC and the actor's gradient through the density model.

    Args:
        config: a config of `configs/spot.py`.
        observation_size: observation size O.
        action_size: number of action dimensions A.
    """
    hidden, latent = config.density.hidden_sizes, 2 * action_size
    encoder = forward(config.batch_size, observation_size + action_size, *hidden, 2 * latent)
    decoder = forward(config.batch_size, observation_size + latent, *hidden, action_size)
    through_density = 2 * (encoder + decoder) / config.actor.policy_freq
    return td3_bc.operations(config, observation_size, action_size) + through_density
