"""Training environments, one per seed, stepped together."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from ssar_jax.envs import snapshot

_TRAINING = 1
"""Sets the reset seeds of training episodes apart from those of evaluation, SeedSequence((seed, episode)).

It stands last, for SeedSequence does not see zeros at the end.
"""


class Step(NamedTuple):
    """What one step in every environment gave.

    Attributes:
        next_observations: [S, O].
        rewards: [S], raw.
        terminated: [S]; false at a time limit.
        observations: [S, O], to be acted on next: the same array, or one with the first of every new episode.
        finished_returns: undiscounted return of the episode that ended in this step, by index of the seed.
    """

    next_observations: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    observations: np.ndarray
    finished_returns: dict[int, float]


class LockstepEnvs:
    """S environments that play one episode after another.

    Episode e of seed s starts from `SeedSequence((s, e, 1))`, whatever the other seeds do.

    Args:
        make_env: builds one environment.
        seeds: S seeds.
    """

    def __init__(self, make_env: Callable[[], gymnasium.Env], seeds: Sequence[int]) -> None:
        self._envs = [make_env() for _ in seeds]
        self._seeds = list(seeds)
        self._episodes = [0] * len(seeds)
        self._returns = [0.0] * len(seeds)

    def reset(self) -> np.ndarray:
        """Starts every environment's first episode; returns the observations [S, O]."""
        return np.stack([self._start_episode(s) for s in range(len(self._envs))])

    def step(self, actions: np.ndarray) -> Step:
        """Takes one step in every environment and starts a new episode where one has ended.

        Args:
            actions: [S, A], in the environments' own range.
        """
        following, rewards, terminated, first, finished = [], [], [], {}, {}
        for s, (env, action) in enumerate(zip(self._envs, actions, strict=True)):
            observation, reward, ended, cut, _ = env.step(action)
            following.append(np.array(observation, np.float32))  # a copy: some environments reuse their buffer
            rewards.append(float(reward))
            terminated.append(ended)
            self._returns[s] += float(reward)
            if ended or cut:
                finished[s] = self._returns[s]
                first[s] = self._start_episode(s)
        observations = np.stack(following)
        begun = np.stack([first.get(s, row) for s, row in enumerate(observations)]) if first else observations
        return Step(observations, np.asarray(rewards, np.float32), np.array(terminated), begun, finished)

    def _start_episode(self, s: int) -> np.ndarray:
        seed = np.random.SeedSequence((self._seeds[s], self._episodes[s], _TRAINING)).generate_state(1)[0]
        self._episodes[s] += 1
        self._returns[s] = 0.0
        observation, _ = self._envs[s].reset(seed=int(seed))
        return np.array(observation, np.float32)

    def save(self) -> list[dict[str, Any]]:
        """Everything that decides how the environments go on; it can be pickled. `snapshot.save` says what fails."""
        return [
            {"env": snapshot.save(env), "episodes": episodes, "return": total}
            for env, episodes, total in zip(self._envs, self._episodes, self._returns, strict=True)
        ]

    def restore(self, saved: list[dict[str, Any]]) -> None:
        """Goes back to what `save` gave, bit for bit."""
        for s, entry in enumerate(saved):
            snapshot.restore(self._envs[s], entry["env"])
            self._episodes[s], self._returns[s] = entry["episodes"], entry["return"]

    def close(self) -> None:
        """Closes the environments."""
        for env in self._envs:
            env.close()
