"""TD3 with a regularised actor: the skeleton of TD3+BC and SPOT, which differ in the penalty on the actor alone.

Fujimoto et al., "Addressing Function Approximation Error in Actor-Critic Methods", 2018,
https://arxiv.org/abs/1802.09477.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from ssar_jax.algorithms.base import Phase
from ssar_jax.coefficients.base import Coefficient
from ssar_jax.coefficients.trust_region import deterministic_slack
from ssar_jax.networks.actors import DeterministicActor
from ssar_jax.networks.critics import Critic, make_ensemble
from ssar_jax.ops.losses import td_target
from ssar_jax.ops.trees import averages, gradient_step, polyak
from ssar_jax.types import Array, Batch, Key, Metrics, Params

Policy = Callable[[Params, Array], Array]
"""Parameters of the actor and observations [..., O] to actions [..., A]."""

Penalty = Callable[[Array], Array]
"""The policy's actions [B, A] to what they cost, [B, A] or [B, 1]."""


class TD3State(NamedTuple):
    """Everything that training changes."""

    actor: Params
    actor_opt: optax.OptState
    target_actor: Params
    critics: Params
    critics_opt: optax.OptState
    target_critics: Params
    coefficient: object


class Hyperparameters(NamedTuple):
    """The numbers of TD3; the defaults are those published for TD3+BC(SA).

    Attributes:
        discount: discount factor.
        tau: rate of the target networks.
        critic_hidden_sizes: widths of the critics' hidden layers.
        critic_layer_norm: whether LayerNorm follows the critics' hidden linear maps.
        critic_learning_rate: Adam's rate for the critics.
        actor_hidden_sizes: widths of the actor's hidden layers.
        actor_learning_rate: Adam's rate for the actor.
        policy_freq: offline, critic updates per update of actor, coefficient and targets.
        online_policy_freq: the same in the online phase.
        decouple_online_targets: whether the targets keep to `policy_freq` in the online phase. The authors' program
            slows them down with the actor.
        policy_noise: standard deviation of the target policy's smoothing noise.
        noise_clip: bound on that noise.
        delta: width of the trust region per unit of its size n.
        online_discount: discount factor of the online phase; None for that of the offline phase.
    """

    discount: float = 0.99
    tau: float = 0.005
    critic_hidden_sizes: tuple[int, ...] = (256, 256)
    critic_layer_norm: bool = True
    critic_learning_rate: float = 3e-4
    actor_hidden_sizes: tuple[int, ...] = (256, 256)
    actor_learning_rate: float = 3e-4
    policy_freq: int = 2
    online_policy_freq: int = 2
    decouple_online_targets: bool = False
    policy_noise: float = 0.2
    noise_clip: float = 0.5
    delta: float = 0.1
    online_discount: float | None = None


class TD3(NamedTuple):
    """The skeleton as pure functions.

    Attributes:
        init: (key, observations [B, O], actions [B, A]) -> state.
        policy: (parameters, observations [..., O]) -> actions [..., A].
        update: (state, batch, noise [B, A], penalty, step=, annealing=, phase=) -> (state, metrics), one step as
            `algorithms.base.Update` has it; `noise` is standard normal. Two more arguments, `train_policy` and
            `target_policy`, take the place of `policy` where the actor trains and in the targets.
        act: `Algorithm.act`.
        diagnose: `Algorithm.diagnose`.
    """

    init: Callable[[Key, Array, Array], TD3State]
    policy: Policy
    update: Callable[..., tuple[TD3State, Metrics]]
    act: Callable[[Params, Array, Key | None], Array]
    diagnose: Callable[[TD3State, Array], dict[str, Array]]


def smoothed_target_action(target_action: Array, noise: Array, policy_noise: float, noise_clip: float) -> Array:
    """clip(pi'(s') + clip(policy_noise * noise, +-noise_clip), +-1), Fujimoto et al. 2018, equation 14.

    Args:
        target_action: [B, A].
        noise: [B, A], standard normal.
        policy_noise: standard deviation.
        noise_clip: bound.
    """
    return jnp.clip(target_action + jnp.clip(policy_noise * noise, -noise_clip, noise_clip), -1.0, 1.0)


def make(action_size: int, coefficient: Coefficient, hp: Hyperparameters, *, penalty_name: str) -> TD3:
    """Builds the skeleton around a coefficient.

    Args:
        action_size: A.
        coefficient: the weight of the penalty.
        hp: everything else.
        penalty_name: under which the mean penalty is reported.
    """
    actor = DeterministicActor(hp.actor_hidden_sizes, action_size)
    critics = make_ensemble([Critic(hp.critic_hidden_sizes, hp.critic_layer_norm)] * 2)
    actor_optimiser = optax.adam(hp.actor_learning_rate)
    critic_optimiser = optax.adam(hp.critic_learning_rate)

    def init(key: Key, observations: Array, actions: Array) -> TD3State:
        actor_key, critics_key, coefficient_key = jax.random.split(key, 3)
        actor_params = actor.init(actor_key, observations)["params"]
        critics_params = critics.init(critics_key, observations, actions)
        # Targets get buffers of their own, so that the state can be donated.
        return TD3State(
            actor_params,
            actor_optimiser.init(actor_params),
            jax.tree.map(jnp.copy, actor_params),
            critics_params,
            critic_optimiser.init(critics_params),
            jax.tree.map(jnp.copy, critics_params),
            coefficient.init(coefficient_key, observations),
        )

    def policy(params: Params, observations: Array) -> Array:
        return actor.apply({"params": params}, observations)  # pyright: ignore[reportReturnType]

    def critic_loss(params: Params, batch: Batch, target: Array) -> tuple[Array, Array]:
        """Sum over the critics of the mean squared TD error."""
        values = critics.apply(params, batch.observations, batch.actions)
        return jnp.sum(jnp.mean((values - target) ** 2, axis=1)), values

    def actor_loss(
        params: Params, batch: Batch, critics_params: Params, weight: Array, penalty: Penalty, train_policy: Policy
    ) -> tuple[Array, tuple[Array, Array, Array]]:
        """-lambda E[Q_1(s, pi(s))] + E[beta penalty(pi(s))] with lambda = 1 / E|Q_1|, a constant."""
        actions = train_policy(params, batch.observations)
        values = critics.apply_first(critics_params, batch.observations, actions)
        scale = 1.0 / jax.lax.stop_gradient(jnp.mean(jnp.abs(values)))
        cost = penalty(actions)
        loss = -scale * jnp.mean(values) + jnp.mean(weight[:, None] * cost)
        return loss, (actions, scale, jnp.mean(cost))

    def update_critics(
        state: TD3State, batch: Batch, noise: Array, target_policy: Policy, discount: float
    ) -> tuple[TD3State, Metrics]:
        next_actions = smoothed_target_action(
            target_policy(state.target_actor, batch.next_observations), noise, hp.policy_noise, hp.noise_clip
        )
        target_values = critics.apply(state.target_critics, batch.next_observations, next_actions)
        target = td_target(batch.rewards, batch.masks, target_values, discount)
        params, opt_state, loss, values, gradients = gradient_step(
            critic_loss, critic_optimiser, state.critics, state.critics_opt, batch, target
        )
        metrics = {
            "critic/loss": loss,
            "critic/q_mean": jnp.mean(values),
            "critic/target_mean": jnp.mean(target),
            "critic/grad_norm_1": optax.tree.norm(critics.member(gradients, 0)),
            "critic/grad_norm_2": optax.tree.norm(critics.member(gradients, 1)),
        }
        return state._replace(critics=params, critics_opt=opt_state), averages(metrics)

    def update_delayed(
        state: TD3State,
        batch: Batch,
        penalty: Penalty,
        train_policy: Policy,
        step: Array,
        annealing: Array | float,
        phase: Phase,
    ) -> tuple[TD3State, Metrics]:
        """Actor, then (offline) the coefficient."""
        weight = coefficient.weight(state.coefficient, batch.observations, batch.trusted, annealing)
        actor_params, actor_opt, loss, (actions, scale, cost), gradients = gradient_step(
            actor_loss,
            actor_optimiser,
            state.actor,
            state.actor_opt,
            batch,
            state.critics,
            weight,
            penalty,
            train_policy,
        )
        metrics = averages(
            {
                "actor/loss": loss,
                "actor/q_scale": scale,
                f"actor/{penalty_name}": cost,
                "actor/grad_norm": optax.tree.norm(gradients),
                "actor/regulariser_weight": jnp.mean(weight),
            }
        )
        coefficient_state = state.coefficient
        if phase == "offline":
            # The trust region is that of the policy before its step: `actions` come from the actor's loss.
            coefficient_state, coefficient_metrics = coefficient.update(
                coefficient_state,
                batch.observations,
                lambda n: (deterministic_slack(actions, batch.actions, n, hp.delta), {}),
                batch.trusted,
                step,
            )
            metrics |= coefficient_metrics
        return state._replace(actor=actor_params, actor_opt=actor_opt, coefficient=coefficient_state), metrics

    def update_targets(state: TD3State) -> TD3State:
        return state._replace(
            target_actor=polyak(state.target_actor, state.actor, hp.tau),
            target_critics=polyak(state.target_critics, state.critics, hp.tau),
        )

    def update(
        state: TD3State,
        batch: Batch,
        noise: Array,
        penalty: Penalty,
        *,
        step: Array,
        annealing: Array | float,
        phase: Phase,
        train_policy: Policy = policy,
        target_policy: Policy = policy,
    ) -> tuple[TD3State, Metrics]:
        online = phase == "online"
        discount = hp.online_discount if online and hp.online_discount is not None else hp.discount
        decoupled = online and hp.decouple_online_targets
        state, metrics = update_critics(state, batch, noise, target_policy, discount)

        def delayed(state: TD3State) -> tuple[TD3State, Metrics]:
            state, metrics = update_delayed(state, batch, penalty, train_policy, step, annealing, phase)
            return state if decoupled else update_targets(state), metrics

        def skipped(state: TD3State) -> tuple[TD3State, Metrics]:
            shapes = jax.eval_shape(delayed, state)[1]
            return state, jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)

        frequency = hp.online_policy_freq if online else hp.policy_freq
        # `step` is the same for all seeds, so this stays a branch when seeds are vmapped.
        state, delayed_metrics = jax.lax.cond(step % frequency == 0, delayed, skipped, state)
        if decoupled:
            state = jax.lax.cond(step % hp.policy_freq == 0, update_targets, lambda state: state, state)
        return state, metrics | delayed_metrics

    def act(params: Params, observations: Array, key: Key | None) -> Array:
        del key  # the policy is deterministic
        return policy(params, observations)

    def diagnose(state: TD3State, observations: Array) -> dict[str, Array]:
        return {"beta": coefficient.apply(state.coefficient, observations)}

    return TD3(init, policy, update, act, diagnose)


def hyperparameters_from_config(config: Any) -> Hyperparameters:
    """Collects the hyperparameters from a config's groups."""
    return Hyperparameters(
        discount=config.discount,
        tau=config.critic.tau,
        critic_hidden_sizes=tuple(config.critic.hidden_sizes),
        critic_layer_norm=config.critic.layer_norm,
        critic_learning_rate=config.critic.learning_rate,
        actor_hidden_sizes=tuple(config.actor.hidden_sizes),
        actor_learning_rate=config.actor.learning_rate,
        policy_freq=config.actor.policy_freq,
        online_policy_freq=config.online.policy_freq,
        decouple_online_targets=config.online.decouple_targets,
        policy_noise=config.actor.policy_noise,
        noise_clip=config.actor.noise_clip,
        delta=config.coefficient.delta,
    )
