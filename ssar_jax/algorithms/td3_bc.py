"""TD3+BC and, with a state-adaptive coefficient, TD3+BC(SA).

Fujimoto and Gu, "A Minimalist Approach to Offline Reinforcement Learning", 2021, https://arxiv.org/abs/2106.06860;
"Selective State-Adaptive Regularization", 2025, https://arxiv.org/abs/2505.19923.

Deviation from the first paper: its alpha multiplies the Q term, ours divides the behaviour-cloning term
(coefficient 1 / alpha). The loss is 2.5 times smaller, the optimum and Adam's path are the same, and the base
algorithm and SA are one piece of code.
"""

from typing import Any

import jax

from ssar_jax.algorithms import td3
from ssar_jax.algorithms.base import Algorithm, Phase
from ssar_jax.algorithms.td3 import Hyperparameters, TD3State, hyperparameters_from_config
from ssar_jax.coefficients import build as build_coefficient
from ssar_jax.coefficients.base import Coefficient
from ssar_jax.types import Array, Batch, Key, Metrics

PUBLISHED = Hyperparameters()
"""The defaults."""


def make(action_size: int, coefficient: Coefficient, hyperparameters: Hyperparameters = PUBLISHED) -> Algorithm:
    """Builds TD3+BC around a coefficient.

    Args:
        action_size: A.
        coefficient: `constant.make(0.4)` for the published TD3+BC (alpha = 2.5), `state_adaptive.make(...)` for SA.
        hyperparameters: everything else.
    """
    skeleton = td3.make(action_size, coefficient, hyperparameters, penalty_name="squared_error")

    def draw(key: Key, batch: Batch) -> Array:
        """The smoothing noise, standard normal [B, A]."""
        return jax.random.normal(key, batch.actions.shape, batch.actions.dtype)

    def update(
        state: TD3State, batch: Batch, draws: Array, *, step: Array, annealing: Array | float, phase: Phase
    ) -> tuple[TD3State, Metrics]:
        def squared_error(actions: Array) -> Array:
            """(pi(s) - a)^2, equation 3."""
            return (actions - batch.actions) ** 2

        return skeleton.update(state, batch, draws, squared_error, step=step, annealing=annealing, phase=phase)

    return Algorithm(skeleton.init, draw, update, lambda state: state.actor, skeleton.act, skeleton.diagnose)


def from_config(config: Any, action_size: int) -> Algorithm:
    """Builds TD3+BC from a config of `configs/td3_bc.py`."""
    coefficient = build_coefficient.from_config(config.coefficient)
    return make(action_size, coefficient, hyperparameters_from_config(config))
