"""Runs policies in environments: recorded episodes for datasets, returns for evaluation."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, SupportsFloat

import gymnasium
import numpy as np

from ssar_jax.episodes import Episode

BatchPolicy = Callable[[np.ndarray], np.ndarray]
"""A function from observations [N, O] to actions [N, A]."""


class _Row(NamedTuple):
    """One step of an episode: the observation [O] before it, the action [A] and the reward."""

    observation: np.ndarray
    action: np.ndarray
    reward: float


class _Recorder:
    """Steps one environment and records the current episode."""

    def __init__(self, env: gymnasium.Env, rng: np.random.Generator) -> None:
        self._env = env
        self._rng = rng
        self.reset()

    def reset(self) -> None:
        observation, _ = self._env.reset(seed=int(self._rng.integers(2**31)))
        self.observation = np.array(observation, np.float32)  # a copy, since some environments reuse their buffer
        self._rows: list[_Row] = []

    def step(self, action: np.ndarray, cut: bool) -> Episode | None:
        """Take one step; return the episode if it ends here or if `cut` is true, else None."""
        previous = self.observation
        observation, reward, terminated, truncated, _ = self._env.step(action)
        self.observation = np.array(observation, np.float32)  # a copy, since some environments reuse their buffer
        self._rows.append(_Row(previous, np.asarray(action, np.float32), float(reward)))
        if not (terminated or truncated or cut):
            return None
        terminations, truncations = np.zeros(len(self._rows), bool), np.zeros(len(self._rows), bool)
        terminations[-1] = terminated
        truncations[-1] = not terminated
        return Episode(
            observations=np.stack([*(row.observation for row in self._rows), self.observation]),
            actions=np.stack([row.action for row in self._rows]),
            rewards=np.asarray([row.reward for row in self._rows], np.float32),
            terminations=terminations,
            truncations=truncations,
        )


def collect(
    make_env: Callable[[], gymnasium.Env],
    policy: BatchPolicy,
    *,
    num_steps: int,
    num_envs: int,
    rng: np.random.Generator,
    on_step: Callable[[int], None] = lambda steps: None,
) -> Iterator[Episode]:
    """Run a policy for exactly `num_steps` transitions and yield the episodes as they end.

    Args:
        make_env: Builds one environment.
        policy: Maps the observations of the running environments to their actions.
        num_steps: Number of transitions over all environments.
        num_envs: Number of environments that are stepped together; the last episode of each is cut when it has its
            share of the transitions.
        rng: Generator of the reset seeds.
        on_step: Called after each step with its number of transitions.

    Yields:
        The episodes, with observations [T + 1, O] and actions [T, A].

    Raises:
        ValueError: `num_steps` is not positive.
    """
    if num_steps < 1:
        raise ValueError(f"num_steps must be at least 1, not {num_steps}")
    num_envs = min(num_envs, num_steps)
    shares = [num_steps // num_envs + (i < num_steps % num_envs) for i in range(num_envs)]
    envs = [make_env() for _ in range(num_envs)]
    recorders = [_Recorder(env, child) for env, child in zip(envs, rng.spawn(num_envs), strict=True)]
    for t in range(max(shares)):
        active = [recorder for recorder, share in zip(recorders, shares, strict=True) if t < share]
        actions = policy(np.stack([recorder.observation for recorder in active]))
        for i, recorder in enumerate(active):
            cut = t + 1 == shares[i]
            episode = recorder.step(actions[i], cut)
            if episode is not None:
                yield episode
                if not cut:
                    recorder.reset()
        on_step(len(active))
    for env in envs:
        env.close()


class FirstEpisode(gymnasium.Wrapper):
    """Runs one episode and then does nothing, so that a vector environment never starts a second one.

    Args:
        env: The environment.

    Attributes:
        finished: Whether the episode has ended.
        episode_return: Undiscounted sum of rewards so far.
        episode_length: Number of steps so far.
    """

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        self.finished = True
        self.episode_return = 0.0
        self.episode_length = 0
        self._observation: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start the episode."""
        self._observation, info = self.env.reset(seed=seed, options=options)
        self.finished, self.episode_return, self.episode_length = False, 0.0, 0
        return self._observation, info

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Take one step; after the end, return the last observation. Never reports the end to the caller."""
        if self.finished:
            return self._observation, 0.0, False, False, {}
        self._observation, reward, terminated, truncated, _ = self.env.step(action)
        self.finished = bool(terminated or truncated)
        self.episode_return += float(reward)
        self.episode_length += 1
        return self._observation, reward, False, False, {}


class FirstEpisodes:
    """A batch of environments, each of which runs exactly one episode at a time.

    Args:
        make_env: Builds one environment; its episodes must end.
        num_envs: Number of environments.
    """

    def __init__(self, make_env: Callable[[], gymnasium.Env], num_envs: int) -> None:
        self._vector = gymnasium.vector.SyncVectorEnv([lambda: FirstEpisode(make_env())] * num_envs, copy=False)
        self._envs: list[FirstEpisode] = self._vector.envs  # pyright: ignore[reportAttributeAccessIssue]

    def play(self, policy: BatchPolicy, seeds: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Run one episode in every environment.

        Args:
            policy: Called once per step with the observations of all environments, [num_envs, O].
            seeds: Reset seed of each environment, num_envs of them.

        Returns:
            The undiscounted returns and the lengths (steps) of the episodes, both [num_envs].
        """
        observations, _ = self._vector.reset(seed=list(seeds))
        while not all(env.finished for env in self._envs):
            observations, *_ = self._vector.step(policy(observations))
        returns = np.array([env.episode_return for env in self._envs])
        return returns, np.array([env.episode_length for env in self._envs])

    def close(self) -> None:
        """Close the environments."""
        self._vector.close()
