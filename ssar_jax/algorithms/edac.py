"""EDAC and SAC-N: soft actor-critic with a large ensemble of critics, whose action gradients EDAC diversifies.

An et al., "Uncertainty-Based Offline Reinforcement Learning with Diversified Q-Ensemble", 2021,
https://arxiv.org/abs/2110.01548; SAC-N is EDAC with eta = 0.

The minimum over N critics is low wherever they disagree, outside the data, so no other penalty is needed. If the
critics' gradients with respect to the action point the same way, many are needed until one is low; EDAC's term turns
them apart. All losses of an update are evaluated at the parameters before the update, as in the authors' program.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from ssar_jax.algorithms import sac_steps
from ssar_jax.algorithms.base import Algorithm, Phase
from ssar_jax.algorithms.operations import forward, train
from ssar_jax.algorithms.sac import SACDraws, SACState
from ssar_jax.algorithms.sac_steps import smallest_value, temperature_step
from ssar_jax.errors import UserError
from ssar_jax.networks import initializers
from ssar_jax.networks.actors import TanhGaussianActor
from ssar_jax.networks.critics import Critic, StackedCritics, make_stacked
from ssar_jax.ops.distributions import TanhGaussian
from ssar_jax.ops.gradients import create_train_state, gradient_step
from ssar_jax.ops.losses import slope_similarity, soft_td_target
from ssar_jax.ops.shapes import assert_batch
from ssar_jax.ops.trees import averages, copy_params, polyak
from ssar_jax.ranges import require_hyperparameters
from ssar_jax.types import Array, Batch, Key, Metrics, Params

HIDDEN_BIAS = 0.1
"""Initial bias of all hidden layers, in the published program."""


class EDACConfig(NamedTuple):
    """The hyperparameters of EDAC; the defaults are those of halfcheetah-m and walker2d-m.

    Attributes:
        discount: discount factor.
        tau: Polyak rate of the target critics.
        actor_hidden_sizes: widths of the actor's hidden layers.
        actor_learning_rate: Adam's learning rate for the actor and the temperature.
        critic_hidden_sizes: widths of the hidden layers of every critic.
        critic_learning_rate: Adam's learning rate for the critics.
        num_critics: number N of critics.
        eta: weight of the similarity of the critics' action gradients; 0 for SAC-N.
    """

    discount: float = 0.99
    tau: float = 0.005
    actor_hidden_sizes: tuple[int, ...] = (256, 256, 256)
    actor_learning_rate: float = 3e-4
    critic_hidden_sizes: tuple[int, ...] = (256, 256, 256)
    critic_learning_rate: float = 3e-4
    num_critics: int = 10
    eta: float = 1.0


PUBLISHED = EDACConfig()
"""The defaults."""


def edac(action_size: int, config: EDACConfig = PUBLISHED) -> Algorithm:
    """Builds EDAC, or SAC-N if `eta` is 0.

    Args:
        action_size: number of action dimensions A.
        config: the hyperparameters.

    Raises:
        UserError: if a hyperparameter is out of its range, such as `tau=7`, or there is no pair of critics to
            diversify.
    """
    require_hyperparameters(config)
    is_diversified = config.eta > 0.0
    if is_diversified and config.num_critics < 2:
        raise UserError(
            f"num_critics={config.num_critics} must be at least 2 with eta={config.eta}, which compares pairs"
        )
    actor = make_actor(action_size, config)
    critics = make_critics(config)
    actor_optimizer = optax.adam(config.actor_learning_rate)
    critic_optimizer = optax.adam(config.critic_learning_rate)

    def init(key: Key, observations: Array, actions: Array) -> SACState:
        actor_key, critics_key = jax.random.split(key)
        critics_params = critics.init(critics_key, observations, actions)
        return SACState(
            actor=create_train_state(actor.init(actor_key, observations)["params"], actor_optimizer),
            critics=create_train_state(critics_params, critic_optimizer),
            target_critics=copy_params(critics_params),
            temperature=create_train_state(jnp.zeros(()), actor_optimizer),
        )

    def policy(params: Params, observations: Array) -> TanhGaussian:
        return actor.apply({"params": params}, observations)  # pyright: ignore[reportReturnType]

    def draw(key: Key, batch: Batch) -> SACDraws:
        action_key, next_key = jax.random.split(key)
        like = batch.actions.shape, batch.actions.dtype
        return SACDraws(jax.random.normal(action_key, *like), jax.random.normal(next_key, *like))

    def actor_loss(
        params: Params, batch: Batch, noise: Array, critics_params: Params, temperature: Array
    ) -> tuple[Array, tuple[TanhGaussian, Array]]:
        """E[alpha log pi(a | s) - min_i Q_i(s, a)], a ~ pi(. | s); An et al., equation 3."""
        distribution = policy(params, batch.observations)
        actions, log_prob = distribution.sample(noise)
        values = smallest_value(critics, critics_params, batch.observations, actions)
        return jnp.mean(temperature * log_prob - values), (distribution, log_prob)

    def critic_loss(params: Params, batch: Batch, target: Array) -> tuple[Array, tuple[Array, Array]]:
        """sum_i E[(Q_i(s, a) - y)^2] + eta ES(s, a); An et al., equations 2 and 5.

        ES is the similarity of the action gradients at the dataset's actions.
        """
        similarity = jnp.zeros(())
        if is_diversified:
            values, slopes = critics.apply_with_slopes(params, batch.observations, batch.actions)
            similarity = slope_similarity(slopes)
        else:
            values = critics.apply(params, batch.observations, batch.actions)
        squared_error = jnp.sum(jnp.mean((values - target) ** 2, axis=1))
        return squared_error + config.eta * similarity, (values, similarity)

    def update(
        state: SACState, batch: Batch, draws: SACDraws, *, step: Array, annealing: Array | float, phase: Phase
    ) -> tuple[SACState, Metrics]:
        assert_batch(batch, action_size)
        del step, annealing, phase  # EDAC has no schedule, and its phases do not differ
        temperature = jnp.exp(state.temperature.params)

        actor_state, pi_loss, (distribution, log_prob), actor_gradients = gradient_step(
            actor_loss, actor_optimizer, state.actor, batch, draws.actions, state.critics.params, temperature
        )
        temperature_state, alpha_loss, _ = temperature_step(actor_optimizer, state.temperature, log_prob, action_size)

        next_actions, next_log_prob = policy(state.actor.params, batch.next_observations).sample(draws.next_actions)
        next_values = critics.apply(state.target_critics, batch.next_observations, next_actions)
        target = soft_td_target(batch.rewards, batch.masks, next_values, next_log_prob, config.discount, temperature)
        critics_state, q_loss, (values, similarity), critic_gradients = gradient_step(
            critic_loss, critic_optimizer, state.critics, batch, target
        )
        metrics = averages(
            {
                "critic/loss": q_loss,
                "critic/q_mean": jnp.mean(values),
                "critic/q_std": jnp.mean(jnp.std(values, axis=0)),
                "critic/target_mean": jnp.mean(target),
                "critic/grad_norm": optax.tree.norm(critic_gradients),
                "actor/loss": pi_loss,
                "actor/entropy": -jnp.mean(log_prob),
                "actor/temperature": temperature,
                "actor/temperature_loss": alpha_loss,
                "actor/std": jnp.mean(jnp.exp(distribution.log_std)),
                "actor/grad_norm": optax.tree.norm(actor_gradients),
            }
            | ({"critic/slope_similarity": similarity} if is_diversified else {})
        )
        state = SACState(
            actor=actor_state,
            critics=critics_state,
            target_critics=polyak(state.target_critics, critics_state.params, config.tau),
            temperature=temperature_state,
        )
        return state, metrics

    def act(params: Params, observations: Array, key: Key | None) -> Array:
        return sac_steps.act(policy(params, observations), key)

    return Algorithm(init, draw, update, lambda state: state.actor.params, act)


def make_actor(action_size: int, config: EDACConfig) -> TanhGaussianActor:
    """Builds the actor, whose log-std is at least -5.

    Args:
        action_size: number of action dimensions A.
        config: the hyperparameters.
    """
    options = _initializers(output_bound=1e-3)
    return TanhGaussianActor(
        config.actor_hidden_sizes, action_size, log_std_min=-5.0, scale_log_std=False, mlp_options=options
    )


def make_critics(config: EDACConfig, batched: bool | None = None) -> StackedCritics:
    """Builds the ensemble of critics.

    Args:
        config: the hyperparameters.
        batched: how the members are evaluated, see `make_stacked`.
    """
    critic = Critic(config.critic_hidden_sizes, mlp_options=_initializers(output_bound=3e-3))
    return make_stacked(critic, config.num_critics, batched)


def _initializers(output_bound: float) -> dict[str, Any]:
    output = initializers.uniform(output_bound)
    return {
        "bias_init": jax.nn.initializers.constant(HIDDEN_BIAS),
        "output_kernel_init": output,
        "output_bias_init": output,
    }


def from_config(config: Any, action_size: int) -> Algorithm:
    """Builds EDAC or SAC-N from a config.

    Args:
        config: a config of `configs/edac.py`, read by attribute.
        action_size: number of action dimensions A.
    """
    return edac(
        action_size,
        EDACConfig(
            discount=config.discount,
            tau=config.critic.tau,
            actor_hidden_sizes=tuple(config.actor.hidden_sizes),
            actor_learning_rate=config.actor.learning_rate,
            critic_hidden_sizes=tuple(config.critic.hidden_sizes),
            critic_learning_rate=config.critic.learning_rate,
            num_critics=config.critic.num_critics,
            eta=config.critic.eta,
        ),
    )


def operations(config: Any, observation_size: int, action_size: int) -> float:
    """Counts the floating-point operations per update, see `algorithms.operations`.

    The critics dominate. With `eta` their gradients with respect to the actions are differentiated too, which takes
    as many products again as their training.

    Args:
        config: a config of `configs/edac.py`.
        observation_size: observation size O.
        action_size: number of action dimensions A.
    """
    batch, number = config.batch_size, config.critic.num_critics
    actor = (observation_size, *config.actor.hidden_sizes, 2 * action_size)
    critic = (observation_size + action_size, *config.critic.hidden_sizes, 1)
    per_critic = train(batch, *critic) * (2 if config.critic.eta > 0.0 else 1)
    per_critic += 3 * forward(batch, *critic)  # the target; forward and backward in the actor's loss
    return number * per_critic + train(batch, *actor) + forward(batch, *actor)
