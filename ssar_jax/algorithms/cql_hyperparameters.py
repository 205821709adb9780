"""The numbers of CQL, and its critics, whose depths they give."""

import math
from typing import Any, NamedTuple

import jax

from ssar_jax.networks import initializers
from ssar_jax.networks.critics import Critic, CriticEnsemble, make_ensemble


class Hyperparameters(NamedTuple):
    """The numbers of CQL; the defaults are those of the locomotion tasks.

    Attributes:
        discount: discount factor.
        tau: rate of the target critics.
        target_update_period: updates between two moves of the target critics.
        actor_hidden_sizes: widths of the actor's hidden layers.
        actor_learning_rate: Adam's rate for the actor and the temperature.
        temperature_multiplier: factor on the learned temperature.
        backup_entropy: whether the TD target holds the entropy of the next action.
        max_backup: whether the TD target takes the best of `num_actions` next actions.
        critic_hidden_sizes: widths of the hidden layers of each critic.
        critic_layer_norm: whether LayerNorm follows the critics' hidden linear maps.
        critic_learning_rate: Adam's rate for the critics and the Lagrange multiplier.
        critic_output_gain: orthogonal gain of the critics' last kernels.
        num_actions: K, sampled actions per state of each of the three kinds.
        importance_sampling: whether sampled values are corrected by their log-densities.
        softmax_temperature: T of the logsumexp.
        difference_min: lower clip on the conservative difference.
        difference_max: upper clip on it.
        lagrange: whether a learned multiplier holds the difference at `target_gap`.
        target_gap: see `lagrange`.
        actor_bc_weight: factor on the actor's squared distance to the data (AntMaze, CQL(SA): 0.5).
        bc_steps: first updates, in which the actor clones the data's actions.
    """

    discount: float = 0.99
    tau: float = 0.005
    target_update_period: int = 1
    actor_hidden_sizes: tuple[int, ...] = (256, 256, 256)
    actor_learning_rate: float = 3e-5
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


PUBLISHED = Hyperparameters()
"""The defaults."""


def hyperparameters_from_config(config: Any) -> Hyperparameters:
    """Collects the hyperparameters from a config's groups; an unset clip of the difference is none."""
    minimum, maximum = config.critic.difference_min, config.critic.difference_max
    return Hyperparameters(
        discount=config.discount,
        tau=config.critic.tau,
        actor_hidden_sizes=tuple(config.actor.hidden_sizes),
        actor_learning_rate=config.actor.learning_rate,
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


def make_critics(hp: Hyperparameters, stacked: bool | None = None) -> CriticEnsemble:
    """The ensemble of critics; their depths may differ."""
    options = {
        "kernel_init": initializers.orthogonal(math.sqrt(2.0)),
        "bias_init": jax.nn.initializers.zeros,
        "output_kernel_init": initializers.orthogonal(hp.critic_output_gain),
    }
    return make_ensemble([Critic(sizes, hp.critic_layer_norm, options) for sizes in hp.critic_hidden_sizes], stacked)
