"""Training environments, one per seed, which are stepped together.

A checkpoint holds no simulator: it holds the seed of the episode in progress and the actions taken in it, and a resumed
run takes them again. That is exact for every environment whose episode depends on its reset seed and its actions alone,
however it works inside, and reading it runs no code.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from ssar_jax.envs.actions import ActionBounds
from ssar_jax.envs.batch import make_batch
from ssar_jax.envs.simulator import BatchOutcome

_LOG = logging.getLogger(__name__)

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
        self._envs = make_batch(make_env, len(seeds))
        self._bounds = ActionBounds.from_space(self._envs.action_space)
        self._seeds = list(seeds)
        self._episodes = [0] * len(seeds)
        self._returns = [0.0] * len(seeds)
        # Of the episodes in progress: the actions taken, and the current observation.
        self._actions: list[list[np.ndarray]] = [[] for _ in seeds]
        self._observations = [np.zeros(0)] * len(seeds)

    def reset(self) -> np.ndarray:
        """Start every environment's first episode and return the observations [S, O]."""
        return np.stack([self._start_episode(s) for s in range(len(self._seeds))])

    def step(self, actions: np.ndarray) -> Step:
        """Take one step in every environment and start a new episode where one has ended.

        Args:
            actions: Actions, [S, A], which are brought into the environments' type and bounds.

        Raises:
            UserError: An environment returned a number that is not finite.
        """
        outcome = self._step(self._bounds.fit(actions), range(len(self._seeds)))
        following = np.stack(self._observations)
        finished, begun = {}, following
        for s in np.flatnonzero(outcome.terminated | outcome.truncated).tolist():
            finished[s] = self._returns[s]
            begun = following.copy() if begun is following else begun
            begun[s] = self._start_episode(s)
        return Step(
            next_observations=following,
            rewards=outcome.rewards,
            terminated=outcome.terminated,
            observations=begun,
            finished_returns=finished,
        )

    def _start_episode(self, s: int) -> np.ndarray:
        seed = np.random.SeedSequence((self._seeds[s], self._episodes[s], _TRAINING)).generate_state(1)[0]
        self._episodes[s] += 1
        self._returns[s], self._actions[s] = 0.0, []
        self._observations[s] = self._envs.reset(s, int(seed))
        return self._observations[s]

    def _step(self, actions: np.ndarray, rows: Sequence[int]) -> BatchOutcome:
        outcome = self._envs.step(actions, rows, self._place)
        for k, s in enumerate(rows):
            self._returns[s] += float(outcome.rewards[k])
            self._actions[s].append(actions[k])
            self._observations[s] = outcome.observations[k]
        return outcome

    def _place(self, s: int) -> str:
        return f"training episode {self._episodes[s]} of seed {self._seeds[s]}"

    def save(self) -> list[dict[str, Any]]:
        """Return the episodes in progress as data for JSON: number, actions so far and current observation."""
        episodes = zip(self._episodes, self._actions, self._observations, strict=True)
        return [
            {"episodes": number, "actions": [a.tolist() for a in actions], "observation": observation.tolist()}
            for number, actions, observation in episodes
        ]

    def restore(self, saved: list[dict[str, Any]]) -> None:
        """Play the episodes in progress again, up to where they were saved.

        A warning names an environment whose observation is another one then: it depends on more than the reset seed
        and the actions, and its episode goes on from where it is now.

        Args:
            saved: The result of `save` for the same seeds.
        """
        for s, entry in enumerate(saved):
            self._episodes[s] = entry["episodes"] - 1
            self._start_episode(s)
            for action in self._bounds.fit(np.array(entry["actions"]).reshape(-1, *self._bounds.low.shape)):
                self._step(action[None], [s])
            if not np.array_equal(self._observations[s], entry["observation"]):
                _LOG.warning(
                    "environment %s does not repeat itself: after the same reset seed and actions it is elsewhere than "
                    "when the checkpoint was written, so the resumed run will differ from an uninterrupted one; "
                    "draw all random numbers from self.np_random, and keep no state over episodes",
                    self._envs.name,
                )

    def close(self) -> None:
        """Close the environments."""
        self._envs.close()
