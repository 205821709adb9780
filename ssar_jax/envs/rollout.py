"""Runs policies in environments: recorded episodes for datasets, returns for evaluation."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from ssar_jax.envs import stepping
from ssar_jax.envs.actions import ActionBounds
from ssar_jax.episodes import Episode
from ssar_jax.errors import UserError

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


class StoppedError(Exception):
    """Episodes were stopped before they had all ended."""


class Played(NamedTuple):
    """The results of N episodes.

    Attributes:
        returns: Undiscounted returns, [N].
        lengths: Lengths in steps, [N].
        successes: Whether each episode succeeded, [N], 1 or 0: what the environment reports in the `info` of the last
            step as `success` or `is_success`. An episode whose last step reports neither did not succeed. None if no
            step of any episode reports one.
        num_cut: Number of episodes that `max_steps` cut.
    """

    returns: np.ndarray
    lengths: np.ndarray
    successes: np.ndarray | None
    num_cut: int


class _FirstEpisode:
    """One episode of an environment.

    Args:
        env: The environment.
        max_steps: Number of steps after which the episode is cut; None means that only the environment ends it.

    Attributes:
        observation: The current observation, [O]; the last one after the end.
        finished: Whether the episode has ended.
        was_cut: Whether `max_steps` ended it.
        total: Undiscounted sum of rewards so far.
        length: Number of steps so far.
        reports_success: Whether a step has reported success or failure.
        success: What the last step reported, 1 or 0.
    """

    observation: np.ndarray

    def __init__(self, env: gymnasium.Env, max_steps: int | None) -> None:
        self.env = env
        self._max_steps = max_steps

    def start(self, seed: int) -> None:
        self._seed = seed
        self.finished = self.was_cut = self.reports_success = False
        self.total, self.length, self.success = 0.0, 0, 0.0
        self.observation = stepping.reset(self.env, seed)

    def step(self, action: np.ndarray) -> None:
        self.length += 1
        outcome = stepping.step(self.env, action, self._place)
        self.observation = outcome.observation
        self.total += outcome.reward
        success = _reported_success(outcome.info)
        self.reports_success |= success is not None
        self.success = success or 0.0
        ended = outcome.terminated or outcome.truncated
        self.was_cut = not ended and self.length == self._max_steps
        self.finished = ended or self.was_cut

    def _place(self) -> str:
        return f"step {self.length} of the episode with reset seed {self._seed}"


def _reported_success(info: dict[str, Any]) -> float | None:
    """Return 1 for a success, 0 for a failure, and None if the environment reports neither."""
    for name in ("success", "is_success"):
        if isinstance(info.get(name), bool | int | float | np.bool_ | np.number):
            return float(info[name] > 0)
    return None


class FirstEpisodes:
    """A batch of environments, each of which runs exactly one episode at a time.

    Args:
        make_env: Builds one environment.
        num_envs: Number of environments.
        max_steps: Number of steps after which an episode is cut; None means that all episodes must end by themselves.
    """

    def __init__(self, make_env: Callable[[], gymnasium.Env], num_envs: int, max_steps: int | None = None) -> None:
        self._episodes = [_FirstEpisode(make_env(), max_steps) for _ in range(num_envs)]
        self._bounds = ActionBounds.from_space(self._episodes[0].env.action_space)

    def play(self, policy: BatchPolicy, seeds: Sequence[int], stop: Callable[[], bool] = lambda: False) -> Played:
        """Run one episode in every environment.

        Args:
            policy: Called once per step with the observations of all environments, [num_envs, O]; those of an episode
                that has ended are its last ones. Its actions are brought into the environment's type and bounds.
            seeds: Reset seed of each environment, num_envs of them.
            stop: Called before every step; whether to stop there.

        Returns:
            Returns, lengths and successes of the episodes.

        Raises:
            StoppedError: `stop` returned true.
            UserError: An environment returned a number that is not finite, or the policy actions of another shape.
        """
        for episode, seed in zip(self._episodes, seeds, strict=True):
            episode.start(seed)
        while not all(episode.finished for episode in self._episodes):
            if stop():
                raise StoppedError
            observations = np.stack([episode.observation for episode in self._episodes])
            actions = np.asarray(policy(observations))
            if actions.shape != (len(self._episodes), *self._bounds.low.shape):
                raise UserError(
                    f"the policy returned actions of shape {actions.shape} for observations {observations.shape}, but "
                    f"the environment takes {self._bounds.low.shape}: return one action per observation"
                )
            for episode, action in zip(self._episodes, self._bounds.fit(actions), strict=True):
                if not episode.finished:
                    episode.step(action)
        reported = any(episode.reports_success for episode in self._episodes)
        return Played(
            returns=np.array([episode.total for episode in self._episodes]),
            lengths=np.array([episode.length for episode in self._episodes]),
            successes=np.array([episode.success for episode in self._episodes]) if reported else None,
            num_cut=sum(episode.was_cut for episode in self._episodes),
        )

    def close(self) -> None:
        """Close the environments."""
        for episode in self._episodes:
            episode.env.close()
