"""Runs policies in environments: recorded episodes for datasets, returns for evaluation."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from ssar_jax.envs.actions import ActionBounds
from ssar_jax.envs.batch import EnvBatch, make_batch
from ssar_jax.episodes import Episode
from ssar_jax.errors import UserError

BatchPolicy = Callable[[np.ndarray], np.ndarray]
"""A function from observations [N, O] to actions [N, A]."""


class _Recording:
    """The rows of the episode in progress of one environment, as NumPy views of what the batch returned."""

    def __init__(self, first: np.ndarray) -> None:
        self._observations, self._actions, self._rewards = [first], [], []

    def add(self, action: np.ndarray, reward: float, observation: np.ndarray) -> None:
        self._actions.append(action)
        self._rewards.append(reward)
        self._observations.append(observation)

    def episode(self, *, terminated: bool) -> Episode:
        terminations, truncations = np.zeros(len(self._rewards), bool), np.zeros(len(self._rewards), bool)
        terminations[-1] = terminated
        truncations[-1] = not terminated
        return Episode(
            observations=np.stack(self._observations),
            actions=np.stack(self._actions),
            rewards=np.asarray(self._rewards, np.float32),
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
    envs, generators = make_batch(make_env, num_envs, threads=1), rng.spawn(num_envs)
    observations = np.stack([_first(envs, i, generators[i]) for i in range(num_envs)])
    recordings = [_Recording(observation) for observation in observations]
    for t in range(max(shares)):
        active = [i for i, share in enumerate(shares) if t < share]
        actions = policy(observations[: len(active)])  # the first ones have the larger shares
        outcome = envs.step(actions, active, lambda i: f"environment {i}")
        actions, following = actions.astype(np.float32), outcome.observations.astype(np.float32)
        observations = following.copy()
        for i in active:
            recordings[i].add(actions[i], outcome.rewards[i], following[i])
            cut = t + 1 == shares[i]
            if outcome.terminated[i] or outcome.truncated[i] or cut:
                yield recordings[i].episode(terminated=bool(outcome.terminated[i]))
                if not cut:
                    observations[i] = _first(envs, i, generators[i])
                    recordings[i] = _Recording(observations[i].copy())
        on_step(len(active))
    envs.close()


def _first(envs: EnvBatch, index: int, generator: np.random.Generator) -> np.ndarray:
    return envs.reset(index, int(generator.integers(2**31))).astype(np.float32)


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
        self._envs = make_batch(make_env, num_envs)
        self._bounds = ActionBounds.from_space(self._envs.action_space)
        self._max_steps = math.inf if max_steps is None else max_steps

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
        num_envs = self._envs.num_envs
        observations = np.stack([self._envs.reset(i, seeds[i]) for i in range(num_envs)])
        totals, lengths = np.zeros(num_envs), np.zeros(num_envs, int)
        successes, reported, num_cut = np.zeros(num_envs), False, 0
        running = np.arange(num_envs)

        def place(i: int) -> str:
            return f"step {lengths[i] + 1} of the episode with reset seed {seeds[i]}"

        while running.size:
            if stop():
                raise StoppedError
            actions = np.asarray(policy(observations))
            if actions.shape != (num_envs, *self._bounds.low.shape):
                raise UserError(
                    f"the policy returned actions of shape {actions.shape} for observations {observations.shape}, but "
                    f"the environment takes {self._bounds.low.shape}: return one action per observation"
                )
            outcome = self._envs.step(self._bounds.fit(actions)[running], running.tolist(), place)
            observations[running] = outcome.observations
            totals[running] += outcome.rewards
            lengths[running] += 1
            for i, info in zip(running, outcome.infos, strict=False):
                success = _reported_success(info)
                reported |= success is not None
                successes[i] = success or 0.0
            ended = outcome.terminated | outcome.truncated
            cut = ~ended & (lengths[running] == self._max_steps)
            num_cut += int(cut.sum())
            running = running[~(ended | cut)]
        return Played(totals, lengths, successes if reported else None, num_cut)

    def close(self) -> None:
        """Close the environments."""
        self._envs.close()
