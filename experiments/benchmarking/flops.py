"""Useful floating-point operations per update, counted by hand from the matrix products.

A linear layer of I inputs and H outputs costs 2 B I H for B rows, once forward, once for the gradient of its
kernel and once for the gradient of its inputs. Everything else is small beside that and left out, so the share
of the matmul rate that a benchmark reports is a lower bound on what the machine does.
"""

from itertools import pairwise
from typing import Any


def _forward(batch_size: int, *widths: int) -> float:
    return 2.0 * batch_size * sum(i * h for i, h in pairwise(widths))


def _train(batch_size: int, *widths: int) -> float:
    """Forward, kernel gradients and input gradients; the first layer needs none of the latter."""
    return 3.0 * _forward(batch_size, *widths) - 2.0 * batch_size * widths[0] * widths[1]


def td3_bc(config: Any, observation_size: int, action_size: int) -> float:
    """Operations per update of TD3+BC, averaged over the delayed steps."""
    batch = config.batch_size
    critic = (observation_size + action_size, *config.critic.hidden_sizes, 1)
    actor = (observation_size, *config.actor.hidden_sizes, action_size)
    every = 2 * _train(batch, *critic) + 2 * _forward(batch, *critic) + _forward(batch, *actor)
    # Through the critic the actor's gradient passes once forward and once back, no kernel gradients.
    delayed = _train(batch, *actor) + 2 * _forward(batch, *critic)
    if config.coefficient.kind == "state_adaptive":
        delayed += _train(batch, observation_size, *config.coefficient.hidden_sizes, 1)
    return every + delayed / config.actor.policy_freq


def cql(config: Any, observation_size: int, action_size: int) -> float:
    """Operations per update of CQL: K actions of three kinds per state through both critics dominate."""
    batch, samples = config.batch_size, config.critic.num_actions
    actor = (observation_size, *config.actor.hidden_sizes, 2 * action_size)
    critics = [
        (observation_size + action_size, *[config.critic.width] * layers, 1) for layers in config.critic.hidden_layers
    ]
    penalty = sum(_train(batch * (3 * samples + 1), *critic) for critic in critics)
    target = sum(_forward(batch * (samples if config.critic.max_backup else 1), *critic) for critic in critics)
    actor_loss = _train(batch, *actor) + sum(2 * _forward(batch, *critic) for critic in critics)
    total = penalty + target + actor_loss + _forward(batch, *actor)  # the policy at the next states
    if config.coefficient.kind == "state_adaptive":
        total += _forward(batch, *actor)  # the policy after its step
        total += _train(batch, observation_size, *config.coefficient.hidden_sizes, 1)
    return total


def iql(config: Any, observation_size: int, action_size: int) -> float:
    """Operations per update of IQL."""
    batch, hidden = config.batch_size, config.critic.hidden_sizes
    critic, value = (observation_size + action_size, *hidden, 1), (observation_size, *hidden, 1)
    critics = 2 * _train(batch, *critic) + 2 * _forward(batch, *critic)
    values = _train(batch, *value) + _forward(batch, *value)
    total = critics + values + _train(batch, observation_size, *hidden, action_size)
    if "coefficient" in config:
        total += _train(batch, observation_size, *config.coefficient.hidden_sizes, 1)
    return total


def spot(config: Any, observation_size: int, action_size: int) -> float:
    """Operations per update of SPOT: those of TD3+BC, and the actor's gradient through the frozen density model."""
    hidden, latent = config.density.hidden_sizes, 2 * action_size
    encoder = _forward(config.batch_size, observation_size + action_size, *hidden, 2 * latent)
    decoder = _forward(config.batch_size, observation_size + latent, *hidden, action_size)
    return td3_bc(config, observation_size, action_size) + 2 * (encoder + decoder) / config.actor.policy_freq


def fam_cql(config: Any, observation_size: int, action_size: int) -> float:
    """Operations per update of FamCQL: those of CQL, and the balance network's gradient through policy and critics."""
    batch, samples, embedding = config.batch_size, config.critic.num_actions, 6
    actor = (observation_size + embedding, *config.actor.hidden_sizes, 2 * action_size)
    balance = (observation_size, *config.balance.hidden_sizes, 2)
    critic = (observation_size + action_size, *config.critic.hidden_sizes, 1)
    critics = 2 * _train(batch * (3 * samples + 1), *critic) + 2 * _forward(batch, *critic)  # and the target critics
    actor_loss = _train(batch, *actor) + 4 * _forward(batch, *critic)
    # Forward and back to the inputs, no kernel gradients.
    balance_loss = _train(batch, *balance) + 2 * _forward(batch, *actor) + 4 * _forward(batch, *critic)
    next_balance = _forward(batch, *balance) if config.balance.next_coefficient == "next" else 0.0
    # The policy at the next states; CQL's penalty needs no pass of its own at the current ones.
    return critics + actor_loss + balance_loss + next_balance + _forward(batch, *actor)


PER_UPDATE = {"td3_bc": td3_bc, "cql": cql, "iql": iql, "spot": spot, "fam_cql": fam_cql}
"""By algorithm: (config, observation size, action size) -> operations."""
