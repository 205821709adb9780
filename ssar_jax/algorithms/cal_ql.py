"""Cal-QL, which is CQL with a penalty that is calibrated by the behavior's returns, and Cal-QL(SA).

Nakamoto et al., "Cal-QL: Calibrated Offline RL Pre-Training for Efficient Online Fine-Tuning", 2023,
https://arxiv.org/abs/2303.05479; Luo et al., 2025, https://arxiv.org/abs/2505.19923, for the coefficient.

CQL's penalty lowers the values of the policy's actions without limit, and fine-tuning first has to raise them again.
Here it lowers none below the return that the behavior reached from that state. All else is CQL's (`cql.py`).

Online a return is known when the episode has ended; until then the transition has no bound. The authors' program
updates only between episodes, so that it knows all returns.
"""

import math
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np

from ssar_jax.algorithms import cql
from ssar_jax.algorithms.base import Algorithm, Phase
from ssar_jax.algorithms.cql import PUBLISHED_COEFFICIENT, CQLConfig
from ssar_jax.coefficients import build as build_coefficient
from ssar_jax.coefficients.base import Coefficient
from ssar_jax.errors import UserError
from ssar_jax.ops.returns import returns_to_go
from ssar_jax.ranges import require_in_range
from ssar_jax.transitions import EpisodeColumn, Transitions
from ssar_jax.types import Array, Batch

COLUMN = "returns_to_go"
"""The extra column of a minibatch."""

PUBLISHED = CQLConfig(critic_layer_norm=False)
"""The defaults, CQL's on the locomotion tasks, for which no Cal-QL is published."""


def cal_ql(
    action_size: int,
    coefficient: Coefficient = PUBLISHED_COEFFICIENT,
    config: CQLConfig = PUBLISHED,
    *,
    failure_reward: float | None = None,
    bounds_online: bool = True,
) -> Algorithm:
    """Builds Cal-QL with a given coefficient.

    Its data need returns: `prepare(dataset, columns=algorithm.columns)`.

    Args:
        action_size: number of action dimensions A.
        coefficient: weight of the conservative penalty: `constant(10.0)` for Cal-QL, `state_adaptive(10.0)` for
            Cal-QL(SA).
        config: the other hyperparameters, those of CQL.
        failure_reward: with sparse rewards, the reward, after scale and bias, of a step that does not reach the goal;
            an episode without any other reward is taken to fail forever, see `returns_to_go`. None for dense rewards.
        bounds_online: whether the penalty is calibrated in the online phase too.

    Raises:
        UserError: if a hyperparameter is out of its range, such as `tau=7`, or a failure has no finite return.
    """

    def value_bounds(batch: Batch, phase: Phase) -> Array:
        returns = batch.extras[COLUMN]
        return returns if bounds_online or phase == "offline" else jnp.full_like(returns, -math.inf)

    algorithm = cql.cql(action_size, coefficient, config, value_bounds=value_bounds)
    if failure_reward is not None:
        require_in_range("failure_reward", failure_reward)
        if config.discount == 1.0:
            raise UserError("discount=1.0 must be below 1 with failure_reward: failing forever has no finite return")
    compute = partial(_returns, discount=config.discount, failure_reward=failure_reward)
    return algorithm._replace(columns=(EpisodeColumn(COLUMN, compute, unknown=-math.inf),))


def _returns(
    transitions: Transitions[np.ndarray], ends: np.ndarray, discount: float, failure_reward: float | None
) -> np.ndarray:
    return returns_to_go(transitions.rewards, transitions.masks, ends, discount, failure_reward)


def from_config(config: Any, action_size: int) -> Algorithm:
    """Builds Cal-QL from a config.

    Args:
        config: a config of `configs/cal_ql.py`, read by attribute.
        action_size: number of action dimensions A.
    """
    return cal_ql(
        action_size,
        build_coefficient.from_config(config.coefficient),
        cql.hyperparameters(config)._replace(actor_output_gain=config.actor.output_gain),
        # The goal pays, every other step has a raw reward of 0.
        failure_reward=config.dataset.reward_bias if config.returns.sparse else None,
        bounds_online=config.returns.bounds_online,
    )
