"""ReBRAC and, with a state-adaptive coefficient, ReBRAC(SA).

Tarasov et al., "Revisiting the Minimalist Approach to Offline Reinforcement Learning", 2023,
https://arxiv.org/abs/2305.09836. It is TD3+BC with larger networks and batches, LayerNorm in the critics, and two
separate penalties on the squared distance to the dataset's action: one in the actor's loss, one in the critics' target,
where the target policy's next action is compared with the dataset's next action.

Experimental and not published: a state-adaptive coefficient beta(s) as the weight of the actor's penalty and, by a
second switch, as a factor beta(s') / base on the critics' penalty. A constant coefficient is ReBRAC.
"""

from numbers import Real
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax

from ssar_jax.algorithms.base import Algorithm, Phase
from ssar_jax.algorithms.operations import forward, train
from ssar_jax.algorithms.td3_steps import critic_step, smoothed_target_actions, update_when
from ssar_jax.coefficients import build as build_coefficient
from ssar_jax.coefficients.base import Coefficient
from ssar_jax.coefficients.constant import constant
from ssar_jax.coefficients.trust_region import deterministic_slack
from ssar_jax.networks.actors import DeterministicActor
from ssar_jax.networks.critics import Critic, make_ensemble
from ssar_jax.networks.initializers import uniform
from ssar_jax.ops.gradients import create_train_state, gradient_step
from ssar_jax.ops.losses import td_target
from ssar_jax.ops.shapes import assert_batch
from ssar_jax.ops.trees import averages, copy_params, polyak
from ssar_jax.ranges import require_hyperparameters
from ssar_jax.transitions import EpisodeColumn, Transitions
from ssar_jax.types import Array, Batch, Key, Metrics, Params, TrainState


class ReBRACState(NamedTuple):
    """The training state of ReBRAC."""

    actor: TrainState
    target_actor: Params
    critics: TrainState
    target_critics: Params
    coefficient: Any


class ReBRACConfig(NamedTuple):
    """The hyperparameters of ReBRAC; the defaults are those published for hopper-medium.

    Attributes:
        discount: discount factor.
        tau: Polyak rate of the target networks.
        critic_hidden_sizes: widths of the critics' hidden layers.
        critic_layer_norm: whether LayerNorm follows the ReLU of every hidden layer of the critics.
        critic_learning_rate: Adam's learning rate for the critics.
        critic_penalty: weight of |pi'(s') - a'|^2 in the critics' target.
        adaptive_critic_penalty: whether the coefficient scales this weight by beta(s') / coefficient_base.
        online_critic_factor: factor on this weight in the online phase.
        actor_hidden_sizes: widths of the actor's hidden layers.
        actor_layer_norm: whether LayerNorm follows the ReLU of every hidden layer of the actor.
        actor_learning_rate: Adam's learning rate for the actor.
        coefficient_base: the coefficient at which `critic_penalty` has its full weight, in `adaptive_critic_penalty`.
        normalize_q: whether the actor's Q term is divided by the mean of |Q|.
        policy_freq: number of critic updates per update of actor, coefficient and targets.
        policy_noise: standard deviation of the target policy's smoothing noise.
        noise_clip: clip on the smoothing noise.
        delta: width of the trust region per unit of its size n.
    """

    discount: float = 0.99
    tau: float = 0.005
    critic_hidden_sizes: tuple[int, ...] = (256, 256, 256)
    critic_layer_norm: bool = True
    critic_learning_rate: float = 1e-3
    critic_penalty: float = 0.01
    adaptive_critic_penalty: bool = False
    online_critic_factor: float = 0.0
    actor_hidden_sizes: tuple[int, ...] = (256, 256, 256)
    actor_layer_norm: bool = False
    actor_learning_rate: float = 1e-3
    coefficient_base: float = 0.01
    normalize_q: bool = True
    policy_freq: int = 2
    policy_noise: float = 0.2
    noise_clip: float = 0.5
    delta: float = 0.1


PUBLISHED = ReBRACConfig()
"""The defaults."""

PUBLISHED_COEFFICIENT = constant(0.01)
"""The published weight of the actor's penalty on hopper-medium; `configs/rebrac.py` has that of every task."""


def next_actions(transitions: Transitions[np.ndarray], ends: np.ndarray) -> np.ndarray:
    """Returns the action that the dataset takes at each next observation.

    Args:
        transitions: rows of whole episodes in their order, [T, ...].
        ends: whether a row is the last one of its episode, [T] bool.

    Returns:
        Actions, [T, A]; NaN in the last row of an episode, which has no next action.
    """
    following = np.roll(transitions.actions, -1, axis=0)
    following[ends] = np.nan
    following[-1:] = np.nan
    return following


NEXT_ACTIONS = EpisodeColumn("next_actions", next_actions, unknown=float("nan"))
"""The column of the dataset's next actions; a row without one has no penalty."""


def squared_distance(actions: Array, data_actions: Array) -> Array:
    """Computes |a - b|^2, summed over the action dimensions; 0 where the second action is unknown, that is NaN.

    Args:
        actions: [B, A].
        data_actions: [B, A].

    Returns:
        Squared distances, [B].
    """
    chex.assert_equal_shape([actions, data_actions])
    unknown = jnp.any(jnp.isnan(data_actions), axis=-1)
    return jnp.where(unknown, 0.0, jnp.sum((actions - data_actions) ** 2, axis=-1))


def rebrac(
    action_size: int, coefficient: Coefficient = PUBLISHED_COEFFICIENT, config: ReBRACConfig = PUBLISHED
) -> Algorithm:
    """Builds ReBRAC with a given coefficient.

    With a critic penalty it needs the dataset's next actions, `prepare(dataset, columns=algorithm.columns)`.

    Args:
        action_size: number of action dimensions A.
        coefficient: weight of the actor's penalty: `constant(value)` with the published value of the task, or
            `state_adaptive(value)`, which is experimental.
        config: the other hyperparameters.

    Raises:
        UserError: if a hyperparameter is out of its range, such as `tau=7`.
    """
    require_hyperparameters(config)
    actor = DeterministicActor(
        config.actor_hidden_sizes,
        action_size,
        {**_mlp_options(output_bound=1e-3), "layer_norm": config.actor_layer_norm},
    )
    critic = Critic(config.critic_hidden_sizes, config.critic_layer_norm, _mlp_options(output_bound=3e-3))
    critics = make_ensemble([critic] * 2)
    actor_optimizer = optax.adam(config.actor_learning_rate)
    critic_optimizer = optax.adam(config.critic_learning_rate)

    def init(key: Key, observations: Array, actions: Array) -> ReBRACState:
        actor_key, critics_key, coefficient_key = jax.random.split(key, 3)
        actor_params = actor.init(actor_key, observations)["params"]
        critics_params = critics.init(critics_key, observations, actions)
        return ReBRACState(
            actor=create_train_state(actor_params, actor_optimizer),
            target_actor=copy_params(actor_params),
            critics=create_train_state(critics_params, critic_optimizer),
            target_critics=copy_params(critics_params),
            coefficient=coefficient.init(coefficient_key, observations),
        )

    def draw(key: Key, batch: Batch) -> Array:
        """Draws the smoothing noise, standard normal [B, A]."""
        return jax.random.normal(key, batch.actions.shape, batch.actions.dtype)

    def policy(params: Params, observations: Array) -> Array:
        return actor.apply({"params": params}, observations)  # pyright: ignore[reportReturnType]

    def actor_loss(params: Params, critics_params: Params, weight: Array, batch: Batch) -> tuple[Array, Any]:
        """E[beta |pi(s) - a|^2 - lambda min_e Q_e(s, pi(s))], lambda = 1 / E|min_e Q_e|; Tarasov et al., 2023."""
        actions = policy(params, batch.observations)
        values = jnp.min(critics.apply(critics_params, batch.observations, actions), axis=0)
        scale = 1.0 / jax.lax.stop_gradient(jnp.mean(jnp.abs(values))) if config.normalize_q else jnp.ones(())
        distance = jnp.sum((actions - batch.actions) ** 2, axis=-1)
        return jnp.mean(weight * distance - scale * values), (actions, scale, jnp.mean(distance))

    def next_penalty(state: ReBRACState, actions: Array, batch: Batch, phase: Phase) -> Array:
        """Computes the penalty of the target, weight |pi'(s') - a'|^2, [B]; Tarasov et al., 2023, section 3."""
        weight = config.critic_penalty * (config.online_critic_factor if phase == "online" else 1.0)
        if _is_zero(weight):
            return jnp.zeros_like(batch.rewards)
        penalty = weight * squared_distance(actions, batch.extras[NEXT_ACTIONS.name])
        if not config.adaptive_critic_penalty:
            return penalty
        beta = coefficient.weight(state.coefficient, batch.next_observations, batch.trusted, 1.0)
        return penalty * (beta / config.coefficient_base)

    def update_critics(state: ReBRACState, batch: Batch, noise: Array, phase: Phase) -> tuple[ReBRACState, Metrics]:
        """Takes a step of clipped double Q-learning with a smoothed target policy and a penalized target."""
        actions = smoothed_target_actions(
            policy(state.target_actor, batch.next_observations), noise, config.policy_noise, config.noise_clip
        )
        next_values = critics.apply(state.target_critics, batch.next_observations, actions)
        penalty = next_penalty(state, actions, batch, phase)
        target = td_target(batch.rewards, batch.masks, next_values - penalty, config.discount)
        critics_state, metrics = critic_step(critics, critic_optimizer, state.critics, batch, target)
        return state._replace(critics=critics_state), metrics | averages({"critic/penalty": jnp.mean(penalty)})

    def update_actor(
        state: ReBRACState, batch: Batch, step: Array, annealing: Array | float, phase: Phase
    ) -> tuple[ReBRACState, Metrics]:
        """Takes a step of the actor and the targets and, offline, one of the coefficient."""
        weight = coefficient.weight(state.coefficient, batch.observations, batch.trusted, annealing)
        actor_state, loss, (actions, scale, distance), gradients = gradient_step(
            actor_loss, actor_optimizer, state.actor, state.critics.params, weight, batch
        )
        metrics = averages(
            {
                "actor/loss": loss,
                "actor/q_scale": scale,
                "actor/squared_distance": distance,
                "actor/grad_norm": optax.tree.norm(gradients),
                "actor/regulariser_weight": jnp.mean(weight),
            }
        )
        state = state._replace(
            actor=actor_state,
            # As in the authors' program, the target follows the actor from before its step.
            target_actor=polyak(state.target_actor, state.actor.params, config.tau),
            target_critics=polyak(state.target_critics, state.critics.params, config.tau),
        )
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

    def update(
        state: ReBRACState, batch: Batch, draws: Array, *, step: Array, annealing: Array | float, phase: Phase
    ) -> tuple[ReBRACState, Metrics]:
        assert_batch(batch, action_size)
        state, metrics = update_critics(state, batch, draws, phase)
        state, delayed_metrics = update_when(
            step % config.policy_freq == 0, lambda state: update_actor(state, batch, step, annealing, phase), state
        )
        return state, metrics | delayed_metrics

    def act(params: Params, observations: Array, key: Key | None) -> Array:
        del key  # the policy is deterministic
        return policy(params, observations)

    def diagnose(state: ReBRACState, observations: Array) -> dict[str, Array]:
        return {"beta": coefficient.apply(state.coefficient, observations)}

    return Algorithm(
        init=init,
        draw=draw,
        update=update,
        policy_params=lambda state: state.actor.params,
        act=act,
        diagnose=diagnose,
        coefficient_period=config.policy_freq,
        columns=() if _is_zero(config.critic_penalty) else (NEXT_ACTIONS,),
    )


def _mlp_options(output_bound: float) -> dict[str, Any]:
    """Returns the options of an `MLP` as in the authors' program, whose LayerNorm is Flax's, after the ReLU."""
    return {
        "norm_last": True,
        "layer_norm_epsilon": 1e-6,
        "bias_init": jax.nn.initializers.constant(0.1),
        "output_kernel_init": uniform(output_bound),
        "output_bias_init": uniform(output_bound),
    }


def _is_zero(weight: Any) -> bool:
    """Whether a weight is the number 0, so that its term can be left out; a traced weight is not."""
    return isinstance(weight, Real) and float(weight) == 0.0


def from_config(config: Any, action_size: int) -> Algorithm:
    """Builds ReBRAC from a config.

    Args:
        config: a config of `configs/rebrac.py`, read by attribute.
        action_size: number of action dimensions A.
    """
    return rebrac(
        action_size,
        build_coefficient.from_config(config.coefficient),
        ReBRACConfig(
            discount=config.discount,
            tau=config.critic.tau,
            critic_hidden_sizes=tuple(config.critic.hidden_sizes),
            critic_layer_norm=config.critic.layer_norm,
            critic_learning_rate=config.critic.learning_rate,
            critic_penalty=config.critic.penalty,
            adaptive_critic_penalty=config.critic.adaptive_penalty,
            online_critic_factor=config.online.critic_factor,
            actor_hidden_sizes=tuple(config.actor.hidden_sizes),
            actor_layer_norm=config.actor.layer_norm,
            actor_learning_rate=config.actor.learning_rate,
            coefficient_base=config.coefficient.base,
            normalize_q=config.actor.normalize_q,
            policy_freq=config.actor.policy_freq,
            policy_noise=config.actor.policy_noise,
            noise_clip=config.actor.noise_clip,
            delta=config.coefficient.delta,
        ),
    )


def operations(config: Any, observation_size: int, action_size: int) -> float:
    """Counts the floating-point operations per update, averaged over the delayed steps; see `algorithms.operations`.

    Args:
        config: a config of `configs/rebrac.py`.
        observation_size: observation size O.
        action_size: number of action dimensions A.
    """
    batch = config.batch_size
    critic = (observation_size + action_size, *config.critic.hidden_sizes, 1)
    actor = (observation_size, *config.actor.hidden_sizes, action_size)
    every = 2 * train(batch, *critic) + 2 * forward(batch, *critic) + forward(batch, *actor)
    # The actor loss needs the gradients of both critics' inputs, not of their kernels.
    delayed = train(batch, *actor) + 2 * 2 * forward(batch, *critic)
    if config.coefficient.kind == "state_adaptive":
        coefficient = (observation_size, *config.coefficient.hidden_sizes, 1)
        delayed += train(batch, *coefficient)
        if config.critic.adaptive_penalty:
            every += forward(batch, *coefficient)
    return every + delayed / config.actor.policy_freq
