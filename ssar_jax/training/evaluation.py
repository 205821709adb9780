"""Scores the policies of several seeds, all episodes of all seeds in one batch."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gymnasium
import jax
import numpy as np

from ssar_jax.algorithms.base import Algorithm
from ssar_jax.data.actions import ActionScaling
from ssar_jax.data.scaling import ObservationScaling
from ssar_jax.envs.rollout import FirstEpisodes


class EvaluationResult(NamedTuple):
    """Episodes of one evaluation.

    Attributes:
        returns: [S, episodes], undiscounted and raw.
        lengths: [S, episodes].
    """

    returns: np.ndarray
    lengths: np.ndarray


class Evaluator:
    """Plays deterministic episodes in environments of its own.

    Episode i of seed s starts from `SeedSequence((s, i))`, the same at every evaluation and whatever other
    seeds are evaluated beside it.

    Args:
        algorithm: whose `act` is the policy.
        make_env: builds one environment.
        seeds: S seeds.
        episodes: per seed.
        observation_scaling: applied to every observation.
        action_scaling: maps actions from [-1, 1] to the environment's range; None leaves them.
    """

    def __init__(
        self,
        algorithm: Algorithm,
        make_env: Callable[[], gymnasium.Env],
        seeds: Sequence[int],
        episodes: int,
        observation_scaling: ObservationScaling,
        action_scaling: ActionScaling | None = None,
    ) -> None:
        self._shape = (len(seeds), episodes)
        self._envs = FirstEpisodes(make_env, len(seeds) * episodes)
        self._reset_seeds = [episode_seed(seed, i) for seed in seeds for i in range(episodes)]
        self._act = jax.jit(jax.vmap(lambda params, observations: algorithm.act(params, observations, None)))
        self._scaling = observation_scaling
        self._action_scaling = action_scaling

    def __call__(self, policies: Any) -> EvaluationResult:
        """Plays all episodes.

        Args:
            policies: the policy parameters of the seeds, leaves [S, ...].
        """
        # On a CPU: one small call per environment step would spend its time on the way to an accelerator.
        policies = jax.device_put(policies, jax.devices("cpu")[0])

        def act(observations: np.ndarray) -> np.ndarray:
            scaled = np.asarray(self._scaling(observations), np.float32)
            actions = np.asarray(self._act(policies, scaled.reshape(*self._shape, -1)))
            flat = actions.reshape(len(observations), -1)
            return flat if self._action_scaling is None else self._action_scaling.from_unit(flat)

        returns, lengths = self._envs.play(act, self._reset_seeds)
        return EvaluationResult(returns.reshape(self._shape), lengths.reshape(self._shape))

    def close(self) -> None:
        """Closes the environments."""
        self._envs.close()


def episode_seed(seed: int, episode: int) -> int:
    """The reset seed of an evaluation episode."""
    return int(np.random.SeedSequence((seed, episode)).generate_state(1)[0])
