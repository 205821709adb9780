"""Steps environments: episodes for datasets, first episodes for evaluation."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, SupportsFloat

import gymnasium
import numpy as np

from ssar_jax.episodes import Episode

BatchPolicy = Callable[[np.ndarray], np.ndarray]
"""Observations [N, O] to actions [N, A]."""


class _Recorder:
    """Plays one environment and remembers the running episode."""

    def __init__(self, env: gymnasium.Env, rng: np.random.Generator) -> None:
        self._env = env
        self._rng = rng
        self.reset()

    def reset(self) -> None:
        observation, _ = self._env.reset(seed=int(self._rng.integers(2**31)))
        self.observation = np.array(observation, np.float32)  # a copy: some environments reuse their buffer
        self._rows: list[tuple[np.ndarray, np.ndarray, float]] = []

    def step(self, action: np.ndarray, cut: bool) -> Episode | None:
        """Takes one step; returns the episode if it ends here, or if `cut` ends the recording."""
        previous = self.observation
        observation, reward, terminated, truncated, _ = self._env.step(action)
        self.observation = np.array(observation, np.float32)  # a copy: some environments reuse their buffer
        self._rows.append((previous, np.asarray(action, np.float32), float(reward)))
        if not (terminated or truncated or cut):
            return None
        observations, actions, rewards = zip(*self._rows, strict=True)
        ends = np.zeros(len(rewards), bool)
        terminations, truncations = ends.copy(), ends.copy()
        terminations[-1] = terminated
        truncations[-1] = not terminated
        return Episode(
            np.stack([*observations, self.observation]),
            np.stack(actions),
            np.asarray(rewards, np.float32),
            terminations,
            truncations,
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
    """Plays a policy for exactly `num_steps` transitions and yields the episodes as they end.

    Args:
        make_env: builds one environment.
        policy: maps the observations of all environments to their actions.
        num_steps: number of transitions over all environments.
        num_envs: number of environments stepped together; the last episode of each is cut when its share
            of the transitions is reached.
        rng: source of the reset seeds.
        on_step: called with the number of transitions just made.
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
    """Plays one episode and then stands still, so that no autoreset can mix a second one in.

    Attributes:
        finished: whether the episode has ended.
        episode_return: undiscounted sum of its rewards so far.
        episode_length: number of its steps so far.
    """

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        self.finished = True
        self.episode_return = 0.0
        self.episode_length = 0
        self._observation: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Starts the episode."""
        self._observation, info = self.env.reset(seed=seed, options=options)
        self.finished, self.episode_return, self.episode_length = False, 0.0, 0
        return self._observation, info

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Steps the episode; after its end, repeats the last observation at no cost and never reports `done`."""
        if self.finished:
            return self._observation, 0.0, False, False, {}
        self._observation, reward, terminated, truncated, _ = self.env.step(action)
        self.finished = bool(terminated or truncated)
        self.episode_return += float(reward)
        self.episode_length += 1
        return self._observation, reward, False, False, {}


class FirstEpisodes:
    """A batch of environments of which exactly the first episode each is played and counted.

    Args:
        make_env: builds one environment, which must end its episodes.
        num_envs: number of environments.
    """

    def __init__(self, make_env: Callable[[], gymnasium.Env], num_envs: int) -> None:
        self._vector = gymnasium.vector.SyncVectorEnv([lambda: FirstEpisode(make_env())] * num_envs, copy=False)
        self._envs: list[FirstEpisode] = self._vector.envs  # pyright: ignore[reportAttributeAccessIssue]

    def play(self, policy: BatchPolicy, seeds: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Plays one episode in every environment.

        Args:
            policy: called once per step with the observations of all environments.
            seeds: reset seed of each environment.

        Returns:
            The undiscounted returns and the lengths of the episodes, both [num_envs].
        """
        observations, _ = self._vector.reset(seed=list(seeds))
        while not all(env.finished for env in self._envs):
            observations, *_ = self._vector.step(policy(observations))
        returns = np.array([env.episode_return for env in self._envs])
        return returns, np.array([env.episode_length for env in self._envs])

    def close(self) -> None:
        """Closes the environments."""
        self._vector.close()
