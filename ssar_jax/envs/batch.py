"""Batches of environments: a batched simulator where this library knows the dynamics, else one environment each."""

from collections.abc import Callable, Sequence
from typing import Protocol

import gymnasium
import numpy as np

from ssar_jax.envs import stepping
from ssar_jax.envs.simulator import BatchOutcome, Simulator, supports


class EnvBatch(Protocol):
    """N environments of one kind. Only `reset` begins an episode, so whoever steps them decides what follows an end.

    Attributes:
        num_envs: Number of environments N.
        action_space: The space of their actions.
        name: Their name in messages.
    """

    num_envs: int
    action_space: gymnasium.Space
    name: str

    def reset(self, index: int, seed: int) -> np.ndarray:
        """Start an episode in one environment.

        Args:
            index: The environment.
            seed: Seed of the episode.

        Returns:
            The first observation, [O].

        Raises:
            UserError: The environment returned something else.
        """
        ...

    def step(self, actions: np.ndarray, rows: Sequence[int], place: Callable[[int], str]) -> BatchOutcome:
        """Take one step in some environments.

        Args:
            actions: Actions in the environments' type and bounds, [n, A].
            rows: The n environments.
            place: Environment -> where it is, in words, for messages.

        Returns:
            The outcome, in the order of `rows`.

        Raises:
            UserError: An environment returned an observation of another shape, or a number that is not finite.
        """
        ...

    def close(self) -> None:
        """Close the environments."""
        ...


def make_batch(make_env: Callable[[], gymnasium.Env], num_envs: int, threads: int | None = None) -> EnvBatch:
    """Build N environments.

    Args:
        make_env: Builds one environment.
        num_envs: Number of environments N.
        threads: Number of threads of a simulator; None for one per core that this process may use. The numbers do not
            depend on it.
    """
    env = make_env()
    if supports(env):
        return Simulator(env, num_envs, threads)
    return OneByOne([env, *(make_env() for _ in range(num_envs - 1))])


class OneByOne:
    """An `EnvBatch` of separate environments, which are stepped one after the other.

    Args:
        envs: The environments.

    Attributes:
        num_envs: Number of environments N.
        action_space: The space of their actions.
        name: Their name in messages.
    """

    def __init__(self, envs: Sequence[gymnasium.Env]) -> None:
        self.num_envs, self.action_space, self.name = len(envs), envs[0].action_space, stepping.name_of(envs[0])
        self._envs = envs

    def reset(self, index: int, seed: int) -> np.ndarray:
        """See `EnvBatch.reset`."""
        return stepping.reset(self._envs[index], seed)

    def step(self, actions: np.ndarray, rows: Sequence[int], place: Callable[[int], str]) -> BatchOutcome:
        """See `EnvBatch.step`."""
        outcomes = [
            stepping.step(self._envs[row], action, lambda row=row: place(row))
            for row, action in zip(rows, actions, strict=True)
        ]
        return BatchOutcome(
            observations=np.stack([outcome.observation for outcome in outcomes]),
            rewards=np.array([outcome.reward for outcome in outcomes]),
            terminated=np.array([outcome.terminated for outcome in outcomes]),
            truncated=np.array([outcome.truncated for outcome in outcomes]),
            infos=[outcome.info for outcome in outcomes],
        )

    def close(self) -> None:
        """Close the environments."""
        for env in self._envs:
            env.close()
