"""Training environments, one per seed, which are stepped together."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from ssar_jax.envs import snapshot

_TRAINING = 1
"""Last entry of a training episode's SeedSequence, which makes it differ from that of evaluation, (seed, episode).

It must not be 0, since SeedSequence ignores zeros at the end.
"""


class Step(NamedTuple):
    """Result of one step in every environment.

    Attributes:
        next_observations: Observations after the step, [S, O], in the environment's dtype.
        rewards: Raw rewards, [S] float64.
        terminated: Whether the environment terminated, [S] bool; false at a time limit.
        observations: Observations for the next action, [S, O]: those after the step, or the first ones of
            new episodes.
        finished_returns: Undiscounted returns of the episodes that ended in this step, by index of the seed.
    """

    next_observations: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    observations: np.ndarray
    finished_returns: dict[int, float]


class LockstepEnvs:
    """S environments, each of which runs one episode after another.

    Episode e of seed s is reset with `SeedSequence((s, e, 1))`, independently of the other seeds.

    Args:
        make_env: Builds one environment.
        seeds: The seeds, S of them.
    """

    def __init__(self, make_env: Callable[[], gymnasium.Env], seeds: Sequence[int]) -> None:
        self._envs = [make_env() for _ in seeds]
        self._seeds = list(seeds)
        self._episodes = [0] * len(seeds)
        self._returns = [0.0] * len(seeds)

    def reset(self) -> np.ndarray:
        """Start every environment's first episode and return the observations [S, O]."""
        return np.stack([self._start_episode(s) for s in range(len(self._envs))])

    def step(self, actions: np.ndarray) -> Step:
        """Take one step in every environment and start a new episode where one has ended.

        Args:
            actions: Actions within the environments' bounds, [S, A].
        """
        following, rewards, terminated, first, finished = [], [], [], {}, {}
        for s, (env, action) in enumerate(zip(self._envs, actions, strict=True)):
            observation, reward, ended, cut, _ = env.step(action)
            following.append(np.array(observation))  # a copy, since some environments reuse their buffer
            rewards.append(float(reward))
            terminated.append(ended)
            self._returns[s] += float(reward)
            if ended or cut:
                finished[s] = self._returns[s]
                first[s] = self._start_episode(s)
        observations = np.stack(following)
        begun = np.stack([first.get(s, row) for s, row in enumerate(observations)]) if first else observations
        return Step(
            next_observations=observations,
            rewards=np.array(rewards, np.float64),
            terminated=np.array(terminated),
            observations=begun,
            finished_returns=finished,
        )

    def _start_episode(self, s: int) -> np.ndarray:
        seed = np.random.SeedSequence((self._seeds[s], self._episodes[s], _TRAINING)).generate_state(1)[0]
        self._episodes[s] += 1
        self._returns[s] = 0.0
        observation, _ = self._envs[s].reset(seed=int(seed))
        return np.array(observation)

    def save(self) -> list[dict[str, Any]]:
        """Return the state of the environments, which can be pickled.

        Raises:
            UserError: An environment cannot be stored, see `snapshot.save`.
        """
        return [
            {"env": snapshot.save(env), "episodes": episodes, "return": total}
            for env, episodes, total in zip(self._envs, self._episodes, self._returns, strict=True)
        ]

    def restore(self, saved: list[dict[str, Any]]) -> None:
        """Restore the state of the environments bit for bit.

        Args:
            saved: The result of `save` for the same seeds.
        """
        for s, entry in enumerate(saved):
            snapshot.restore(self._envs[s], entry["env"])
            self._episodes[s], self._returns[s] = entry["episodes"], entry["return"]

    def close(self) -> None:
        """Close the environments."""
        for env in self._envs:
            env.close()
