"""Behavior cloning (BC): supervised learning of the dataset's actions, the plainest baseline there is.

The deterministic policy and the defaults are those of the BC in CORL (Tarasov et al., "CORL: Research-oriented Deep
Offline Reinforcement Learning Library", 2022, https://arxiv.org/abs/2210.07105). On the best trajectories alone it is
%BC (Chen et al., "Decision Transformer", 2021, https://arxiv.org/abs/2106.01345, section 5.1, which counts a share of
the transitions; CORL and this library count a share of the trajectories). Which rows it clones is a matter of the
dataset.
"""

from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp
import optax

from ssar_jax.algorithms.base import Algorithm, Phase
from ssar_jax.algorithms.operations import train
from ssar_jax.choices import ClonedPolicy
from ssar_jax.errors import UserError
from ssar_jax.networks.actors import DeterministicActor, GaussianActor
from ssar_jax.ops.distributions import gaussian_log_prob
from ssar_jax.ops.gradients import create_train_state, gradient_step
from ssar_jax.ops.shapes import assert_batch
from ssar_jax.ops.trees import averages
from ssar_jax.ranges import require_hyperparameters
from ssar_jax.types import Array, Batch, Key, Metrics, Params, TrainState


class BCState(NamedTuple):
    """The training state of behavior cloning."""

    actor: TrainState


class BCConfig(NamedTuple):
    """The hyperparameters of behavior cloning; the defaults are CORL's.

    Attributes:
        policy: `deterministic`, by squared error, or `gaussian`, by likelihood.
        hidden_sizes: widths of the actor's hidden layers.
        learning_rate: Adam's learning rate.
    """

    policy: ClonedPolicy = "deterministic"
    hidden_sizes: tuple[int, ...] = (256, 256)
    learning_rate: float = 3e-4


PUBLISHED = BCConfig()
"""The defaults."""


def bc(action_size: int, config: BCConfig = PUBLISHED) -> Algorithm:
    """Builds behavior cloning.

    Args:
        action_size: number of action dimensions A.
        config: the hyperparameters.

    Raises:
        UserError: if the policy is unknown or a hyperparameter is out of its range, such as `learning_rate=-1`.
    """
    require_hyperparameters(config)
    if config.policy not in get_args(ClonedPolicy):
        raise UserError(f"policy={config.policy!r} is unknown: choose one of {', '.join(get_args(ClonedPolicy))}")
    deterministic = config.policy == "deterministic"
    actor: Any = (DeterministicActor if deterministic else GaussianActor)(config.hidden_sizes, action_size)
    optimizer = optax.adam(config.learning_rate)

    def init(key: Key, observations: Array, actions: Array) -> BCState:
        del actions  # their size is the argument `action_size`
        return BCState(actor=create_train_state(actor.init(key, observations)["params"], optimizer))

    def draw(key: Key, batch: Batch) -> tuple[()]:
        del key, batch  # an update draws nothing
        return ()

    def actor_loss(params: Params, batch: Batch) -> tuple[Array, None]:
        """E[|pi(s) - a|^2] / A if deterministic; -E[log pi(a | s)] if Gaussian."""
        output = actor.apply({"params": params}, batch.observations)
        if deterministic:
            return jnp.mean((output - batch.actions) ** 2), None
        mean, log_std = output
        return -jnp.mean(jnp.sum(gaussian_log_prob(batch.actions, mean, log_std), axis=-1)), None

    def update(
        state: BCState, batch: Batch, draws: tuple[()], *, step: Array, annealing: Array | float, phase: Phase
    ) -> tuple[BCState, Metrics]:
        assert_batch(batch, action_size)
        del draws, step, annealing  # nothing is random or changes over time
        if phase == "online":
            raise UserError("behavior cloning learns from a dataset alone: fine-tune another algorithm")
        actor_state, loss, _, gradients = gradient_step(actor_loss, optimizer, state.actor, batch)
        return BCState(actor=actor_state), averages({"actor/loss": loss, "actor/grad_norm": optax.tree.norm(gradients)})

    def act(params: Params, observations: Array, key: Key | None) -> Array:
        output = actor.apply({"params": params}, observations)
        if deterministic:
            return output
        mean, log_std = output
        if key is None:
            return mean
        return jnp.clip(mean + jnp.exp(log_std) * jax.random.normal(key, mean.shape), -1.0, 1.0)

    return Algorithm(init=init, draw=draw, update=update, policy_params=lambda state: state.actor.params, act=act)


def from_config(config: Any, action_size: int) -> Algorithm:
    """Builds behavior cloning from a config.

    Args:
        config: a config of `configs/bc.py`, read by attribute.
        action_size: number of action dimensions A.
    """
    return bc(
        action_size,
        BCConfig(
            policy=config.actor.policy,
            hidden_sizes=tuple(config.actor.hidden_sizes),
            learning_rate=config.actor.learning_rate,
        ),
    )


def operations(config: Any, observation_size: int, action_size: int) -> float:
    """Counts the floating-point operations per update, see `algorithms.operations`.

    Args:
        config: a config of `configs/bc.py`.
        observation_size: observation size O.
        action_size: number of action dimensions A.
    """
    return train(config.batch_size, observation_size, *config.actor.hidden_sizes, action_size)
