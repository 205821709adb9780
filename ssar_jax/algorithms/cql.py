"""CQL and, with a state-adaptive coefficient, CQL(SA).

Kumar et al., "Conservative Q-Learning for Offline Reinforcement Learning", 2020, https://arxiv.org/abs/2006.04779;
Luo et al., "Learning to Trust Bellman Updates: Selective State-Adaptive Regularization for Offline RL", 2025,
https://arxiv.org/abs/2505.19923.

CQL is soft actor-critic with a penalty that lowers the critics' values of random actions and of the policy's actions
and raises those of the dataset's actions: CQL(H) with importance sampling. All losses of an update are evaluated at
the parameters before the update.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from ssar_jax.algorithms import sac_steps
from ssar_jax.algorithms.base import Algorithm, Phase
from ssar_jax.algorithms.conservative import (
    CriticRows,
    conservative_gradients,
    critic_metrics,
    penalized_actions,
    repeated,
    values_of,
)
from ssar_jax.algorithms.operations import forward, train
from ssar_jax.algorithms.sac_steps import smallest_value, temperature_step
from ssar_jax.coefficients import build as build_coefficient
from ssar_jax.coefficients.base import Coefficient
from ssar_jax.coefficients.constant import constant
from ssar_jax.coefficients.trust_region import floor_share, stochastic_slack
from ssar_jax.networks import initializers
from ssar_jax.networks.actors import TanhGaussianActor
from ssar_jax.networks.critics import Critic, CriticEnsemble, make_ensemble
from ssar_jax.ops.distributions import TanhGaussian
from ssar_jax.ops.gradients import apply_gradients, create_train_state, gradient_step
from ssar_jax.ops.losses import conservative_difference, soft_td_target
from ssar_jax.ops.shapes import assert_batch
from ssar_jax.ops.trees import averages, copy_params, polyak
from ssar_jax.ranges import require_hyperparameters
from ssar_jax.types import Array, Batch, Key, Metrics, Params, TrainState

MAX_CLONED_ACTION = 0.9999
"""Largest absolute value of a cloned action, the limit to which the published CQL(SA) clips its data."""

MAX_MULTIPLIER = 1e6
"""Upper limit of the Lagrange multiplier."""


class CQLState(NamedTuple):
    """The training state of CQL; `temperature` and `multiplier` hold log alpha and log alpha'."""

    actor: TrainState
    critics: TrainState
    target_critics: Params
    temperature: TrainState
    multiplier: TrainState
    coefficient: Any


class CQLDraws(NamedTuple):
    """The random arrays of one update, standard normal except for `uniform`.

    Attributes:
        actions: noise of the actions in the actor loss, [B, A].
        target_actions: noise of the next actions in the TD target, [B, A], or [B, K, A] with max backup.
        uniform: random actions of the penalty, uniform on (-1, 1), [B, K, A].
        current: noise of the penalty's actions at the states, [B, K, A].
        following: noise of the penalty's actions at the next states, [B, K, A].
    """

    actions: Array
    target_actions: Array
    uniform: Array
    current: Array
    following: Array


class CQLConfig(NamedTuple):
    """The hyperparameters of CQL; the defaults are those of the locomotion tasks.

    Attributes:
        discount: discount factor.
        tau: Polyak rate of the target critics.
        target_update_period: number of updates per Polyak step of the target critics.
        actor_hidden_sizes: widths of the actor's hidden layers.
        actor_learning_rate: Adam's learning rate for the actor and the temperature.
        actor_orthogonal_gain: gain of orthogonal kernels in all of the actor's layers, with zero biases, as in CORL's
            fine-tuning program; None for PyTorch's initializers and a small output layer.
        actor_output_gain: gain of the actor's output layer if it differs; used only with `actor_orthogonal_gain`.
        temperature_multiplier: factor on the learned temperature.
        backup_entropy: whether the TD target includes the entropy of the policy.
        max_backup: whether the TD target takes the best of `num_actions` next actions.
        critic_hidden_sizes: widths of the hidden layers of each critic.
        critic_layer_norm: whether LayerNorm follows every hidden linear layer of the critics.
        critic_learning_rate: Adam's learning rate for the critics and the Lagrange multiplier.
        critic_output_gain: gain of the orthogonal kernels of the critics' output layers.
        num_actions: number K of sampled actions per state, for each of the three kinds.
        importance_sampling: whether the penalty subtracts log-densities from the sampled values.
        softmax_temperature: temperature T of the logsumexp.
        difference_min: lower clip on the conservative difference.
        difference_max: upper clip on the conservative difference.
        lagrange: whether a trained Lagrange multiplier keeps the difference at `target_gap`.
        target_gap: target of the difference; used only with `lagrange`.
        actor_bc_weight: weight of the squared distance to the dataset's actions in the actor loss; 0.5 in the published
            CQL(SA) on AntMaze.
        bc_steps: number of first updates in which the actor is trained by behavior cloning.
    """

    discount: float = 0.99
    tau: float = 0.005
    target_update_period: int = 1
    actor_hidden_sizes: tuple[int, ...] = (256, 256, 256)
    actor_learning_rate: float = 3e-5
    actor_orthogonal_gain: float | None = None
    actor_output_gain: float | None = None
    temperature_multiplier: float = 1.0
    backup_entropy: bool = False
    max_backup: bool = False
    critic_hidden_sizes: tuple[tuple[int, ...], ...] = ((256, 256, 256), (256, 256, 256))
    critic_layer_norm: bool = True
    critic_learning_rate: float = 3e-4
    critic_output_gain: float = 0.01
    num_actions: int = 10
    importance_sampling: bool = True
    softmax_temperature: float = 1.0
    difference_min: float = -math.inf
    difference_max: float = math.inf
    lagrange: bool = False
    target_gap: float = 0.8
    actor_bc_weight: float = 0.0
    bc_steps: int = 0


PUBLISHED = CQLConfig()
"""The defaults."""

PUBLISHED_COEFFICIENT = constant(10.0)
"""The weight of the conservative penalty in CORL's CQL on locomotion."""


def cql(
    action_size: int,
    coefficient: Coefficient = PUBLISHED_COEFFICIENT,
    config: CQLConfig = PUBLISHED,
    *,
    value_bounds: Callable[[Batch, Phase], Array] | None = None,
) -> Algorithm:
    """Builds CQL with a given coefficient.

    Args:
        action_size: number of action dimensions A.
        coefficient: weight of the conservative penalty: `constant(10.0)` for CQL, `state_adaptive(10.0)` for CQL(SA).
        config: the other hyperparameters.
        value_bounds: (minibatch, phase) -> lower bounds of the values of the policy's actions in the penalty, [B], see
            `cal_ql`; None for CQL.

    Raises:
        UserError: if a hyperparameter is out of its range, such as `tau=7`.
    """
    require_hyperparameters(config)
    actor = TanhGaussianActor(config.actor_hidden_sizes, action_size, mlp_options=_actor_options(config))
    critics = make_critics(config)
    actor_optimizer = optax.adam(config.actor_learning_rate)
    critic_optimizer = optax.adam(config.critic_learning_rate)
    gap = config.target_gap if config.lagrange else 0.0

    def init(key: Key, observations: Array, actions: Array) -> CQLState:
        actor_key, critics_key, coefficient_key = jax.random.split(key, 3)
        critics_params = critics.init(critics_key, observations, actions)
        return CQLState(
            actor=create_train_state(actor.init(actor_key, observations)["params"], actor_optimizer),
            critics=create_train_state(critics_params, critic_optimizer),
            target_critics=copy_params(critics_params),
            temperature=create_train_state(jnp.zeros(()), actor_optimizer),
            multiplier=create_train_state(jnp.ones(()), critic_optimizer),
            coefficient=coefficient.init(coefficient_key, observations),
        )

    def draw(key: Key, batch: Batch) -> CQLDraws:
        keys = jax.random.split(key, 5)
        single, dtype = batch.actions.shape, batch.actions.dtype
        several = (single[0], config.num_actions, single[1])
        return CQLDraws(
            actions=jax.random.normal(keys[0], single, dtype),
            target_actions=jax.random.normal(keys[1], several if config.max_backup else single, dtype),
            uniform=jax.random.uniform(keys[2], several, dtype, -1.0, 1.0),
            current=jax.random.normal(keys[3], several, dtype),
            following=jax.random.normal(keys[4], several, dtype),
        )

    def policy(params: Params, observations: Array) -> TanhGaussian:
        return actor.apply({"params": params}, observations)  # pyright: ignore[reportReturnType]

    def actor_loss(
        params: Params, batch: Batch, noise: Array, critics_params: Params, temperature: Array, step: Array
    ) -> tuple[Array, tuple[TanhGaussian, Array]]:
        """E[alpha log pi(a_pi | s) - min_e Q_e(s, a_pi) + w |a_pi - a|^2]; Haarnoja et al., 2018, equation 9.

        The last term is CQL(SA)'s on AntMaze. In the first `bc_steps` updates log pi(a | s) of the dataset's action
        takes the place of Q and of this term.
        """
        distribution = policy(params, batch.observations)
        actions, log_prob = distribution.sample(noise)
        values = smallest_value(critics, critics_params, batch.observations, actions)
        gain = values - config.actor_bc_weight * jnp.sum((actions - batch.actions) ** 2, axis=-1)
        if config.bc_steps > 0:
            # At +-1 the log-density is infinite, and `where` below would let its gradient through as NaN.
            inside = jnp.clip(batch.actions, -MAX_CLONED_ACTION, MAX_CLONED_ACTION)
            cloning = jnp.sum(distribution.log_prob(inside), axis=-1)
            gain = jnp.where(step <= config.bc_steps, cloning, gain)
        return jnp.mean(temperature * log_prob - gain), (distribution, log_prob)

    def difference(sampled_values: Array, data_values: Array, log_densities: Array) -> tuple[Array, Array]:
        return conservative_difference(
            sampled_values,
            data_values,
            log_densities if config.importance_sampling else None,
            temperature=config.softmax_temperature,
            minimum=config.difference_min,
            maximum=config.difference_max,
        )

    def critic_rows(
        state: CQLState, batch: Batch, draws: CQLDraws, current: TanhGaussian, weight: Array, bounds: Array | None
    ) -> CriticRows:
        """Samples the actions of the penalty and of the TD target from the policy before this update."""
        following = policy(state.actor.params, batch.next_observations)
        target_actions, target_log_prob = (repeated(following) if config.max_backup else following).sample(
            draws.target_actions
        )
        target_values = values_of(critics, state.target_critics, batch.next_observations, target_actions)
        entropy_weight = (
            jnp.exp(state.temperature.params) * config.temperature_multiplier if config.backup_entropy else 0.0
        )
        target = soft_td_target(
            batch.rewards, batch.masks, target_values, target_log_prob, config.discount, entropy_weight
        )
        sampled, log_densities = penalized_actions(draws.uniform, following, draws.following, current, draws.current)
        rows = CriticRows(batch.observations, batch.actions, target, weight, sampled, log_densities, bounds)
        return jax.lax.stop_gradient(rows)

    def update(
        state: CQLState, batch: Batch, draws: CQLDraws, *, step: Array, annealing: Array | float, phase: Phase
    ) -> tuple[CQLState, Metrics]:
        assert_batch(batch, action_size)
        temperature = jnp.exp(state.temperature.params) * config.temperature_multiplier
        weight = coefficient.weight(state.coefficient, batch.observations, batch.trusted, annealing)

        actor_state, pi_loss, (current, log_prob), actor_gradients = gradient_step(
            actor_loss, actor_optimizer, state.actor, batch, draws.actions, state.critics.params, temperature, step
        )
        temperature_state, alpha_loss, temperature_gradient = temperature_step(
            actor_optimizer, state.temperature, log_prob, action_size
        )

        bounds = None if value_bounds is None else value_bounds(batch, phase)
        rows = critic_rows(state, batch, draws, current, weight, bounds)
        multiplier = bounded_multiplier(state.multiplier.params) if config.lagrange else jnp.ones(())
        (q_loss, parts), critic_gradients = conservative_gradients(
            critics, state.critics.params, rows, multiplier, difference, gap
        )
        critics_state = apply_gradients(critic_optimizer, state.critics, critic_gradients)

        metrics = critic_metrics(q_loss, parts, critic_gradients, rows, multiplier) | {
            "actor/loss": pi_loss,
            "actor/entropy": -jnp.mean(log_prob),
            "actor/temperature": temperature,
            "actor/temperature_loss": alpha_loss,
            "actor/std": jnp.mean(jnp.exp(current.log_std)),
            "actor/grad_norm": optax.tree.norm(actor_gradients),
            "actor/temperature_grad_norm": jnp.abs(temperature_gradient),
            "actor/regulariser_weight": jnp.mean(weight),
        }

        multiplier_state = state.multiplier
        if config.lagrange:
            mean_penalty = jnp.sum(jnp.mean(parts["penalty"], axis=0))
            multiplier_state, value, _, gradient = gradient_step(
                multiplier_loss, critic_optimizer, state.multiplier, mean_penalty
            )
            metrics["critic/multiplier"] = multiplier
            metrics["critic/multiplier_loss"] = value
            metrics["critic/multiplier_grad_norm"] = jnp.abs(gradient)

        metrics = averages(metrics)
        coefficient_state = state.coefficient
        if phase == "offline":
            # Unlike in TD3+BC, the trust region is that of the updated policy, as in the authors' program.
            distribution = policy(actor_state.params, batch.observations)

            def slack(n: Array) -> tuple[Array, Metrics]:
                share = averages({"coefficient/floor_share": floor_share(distribution, n)})
                return stochastic_slack(distribution, batch.actions, n), share

            coefficient_state, coefficient_metrics = coefficient.update(
                state.coefficient, batch.observations, slack, batch.trusted, step
            )
            metrics |= coefficient_metrics
        state = CQLState(
            actor=actor_state,
            critics=critics_state,
            target_critics=move_targets(state.target_critics, critics_state.params, step),
            temperature=temperature_state,
            multiplier=multiplier_state,
            coefficient=coefficient_state,
        )
        return state, metrics

    def move_targets(targets: Params, online: Params, step: Array) -> Params:
        if config.target_update_period == 1:
            return polyak(targets, online, config.tau)
        due = step % config.target_update_period == 0
        return jax.lax.cond(due, lambda: polyak(targets, online, config.tau), lambda: targets)

    def act(params: Params, observations: Array, key: Key | None) -> Array:
        return sac_steps.act(policy(params, observations), key)

    def diagnose(state: CQLState, observations: Array) -> dict[str, Array]:
        return {"beta": coefficient.apply(state.coefficient, observations)}

    return Algorithm(init, draw, update, lambda state: state.actor.params, act, diagnose)


def make_critics(config: CQLConfig, batched: bool | None = None) -> CriticEnsemble:
    """Builds the ensemble of critics, whose depths may differ.

    Args:
        config: the hyperparameters.
        batched: how the members are evaluated, see `make_ensemble`.
    """
    options = {
        "kernel_init": initializers.orthogonal(math.sqrt(2.0)),
        "bias_init": jax.nn.initializers.zeros,
        "output_kernel_init": initializers.orthogonal(config.critic_output_gain),
    }
    critics = [Critic(sizes, config.critic_layer_norm, options) for sizes in config.critic_hidden_sizes]
    return make_ensemble(critics, batched)


def _actor_options(config: CQLConfig) -> dict[str, Any] | None:
    if config.actor_orthogonal_gain is None:
        return None
    kernel, bias = initializers.orthogonal(config.actor_orthogonal_gain), jax.nn.initializers.zeros
    output = initializers.orthogonal(config.actor_output_gain or config.actor_orthogonal_gain)
    return {"kernel_init": kernel, "bias_init": bias, "output_kernel_init": output, "output_bias_init": bias}


def bounded_multiplier(log_multiplier: Array) -> Array:
    """Computes the Lagrange multiplier alpha' = min(exp(log alpha'), `MAX_MULTIPLIER`)."""
    return jnp.clip(jnp.exp(log_multiplier), 0.0, MAX_MULTIPLIER)


def multiplier_loss(log_multiplier: Array, mean_penalty: Array) -> tuple[Array, None]:
    """Computes the multiplier's loss -1/2 alpha' sum_e E[beta (D_e - gap)].

    Its minimization raises alpha' if the difference exceeds the gap, and lowers it otherwise.
    Kumar et al., 2020, appendix F.

    Args:
        log_multiplier: log alpha', scalar.
        mean_penalty: sum_e E[beta (D_e - gap)], scalar.

    Returns:
        The loss, and None as the auxiliary output that `gradient_step` expects.
    """
    return -0.5 * bounded_multiplier(log_multiplier) * mean_penalty, None


def from_config(config: Any, action_size: int) -> Algorithm:
    """Builds CQL from a config.

    Args:
        config: a config of `configs/cql.py`, read by attribute; a clip of None is no clip.
        action_size: number of action dimensions A.
    """
    return cql(action_size, build_coefficient.from_config(config.coefficient), hyperparameters(config))


def hyperparameters(config: Any) -> CQLConfig:
    """Reads the hyperparameters from a config.

    Args:
        config: a config of `configs/cql.py`, read by attribute; a clip of None is no clip.
    """
    minimum, maximum = config.critic.difference_min, config.critic.difference_max
    return CQLConfig(
        discount=config.discount,
        tau=config.critic.tau,
        actor_hidden_sizes=tuple(config.actor.hidden_sizes),
        actor_learning_rate=config.actor.learning_rate,
        actor_orthogonal_gain=config.actor.orthogonal_gain,
        backup_entropy=config.critic.backup_entropy,
        max_backup=config.critic.max_backup,
        critic_hidden_sizes=(
            (config.critic.width,) * config.critic.hidden_layers[0],
            (config.critic.width,) * config.critic.hidden_layers[1],
        ),
        critic_layer_norm=config.critic.layer_norm,
        critic_learning_rate=config.critic.learning_rate,
        critic_output_gain=config.critic.output_gain,
        num_actions=config.critic.num_actions,
        importance_sampling=config.critic.importance_sampling,
        softmax_temperature=config.critic.softmax_temperature,
        difference_min=-math.inf if minimum is None else minimum,
        difference_max=math.inf if maximum is None else maximum,
        lagrange=config.critic.lagrange,
        target_gap=config.critic.target_gap,
        actor_bc_weight=config.actor.bc_weight,
    )


def operations(config: Any, observation_size: int, action_size: int) -> float:
    """Counts the floating-point operations per update, see `algorithms.operations`.

    Evaluating both critics at 3K actions per state dominates.

    Args:
        config: a config of `configs/cql.py`.
        observation_size: observation size O.
        action_size: number of action dimensions A.
    """
    batch, samples = config.batch_size, config.critic.num_actions
    actor = (observation_size, *config.actor.hidden_sizes, 2 * action_size)
    critics = [
        (observation_size + action_size, *[config.critic.width] * layers, 1) for layers in config.critic.hidden_layers
    ]
    penalty = sum(train(batch * (3 * samples + 1), *critic) for critic in critics)
    target = sum(forward(batch * (samples if config.critic.max_backup else 1), *critic) for critic in critics)
    actor_loss = train(batch, *actor) + sum(2 * forward(batch, *critic) for critic in critics)
    total = penalty + target + actor_loss + forward(batch, *actor)  # the policy at the next states
    if config.coefficient.kind == "state_adaptive":
        total += forward(batch, *actor)  # the updated policy
        total += train(batch, observation_size, *config.coefficient.hidden_sizes, 1)
    return total
