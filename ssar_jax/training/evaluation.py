"""Evaluation of the policies of several seeds, with all episodes of all seeds in one batch."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gymnasium
import jax
import numpy as np

from ssar_jax.algorithms.base import Algorithm
from ssar_jax.data.actions import ActionScaling
from ssar_jax.data.scaling import ObservationScaling
from ssar_jax.envs.rollout import FirstEpisodes, Played
from ssar_jax.envs.stepping import name_of
from ssar_jax.envs.trial import require_usable


class EvaluationResult(NamedTuple):
    """The episodes of one evaluation.

    Attributes:
        returns: undiscounted raw returns, [S, episodes].
        lengths: lengths in steps, [S, episodes].
        successes: whether each episode succeeded, 1 or 0, [S, episodes]; None if the environment does not report it,
            see `ssar_jax.envs.rollout.Played`.
        num_cut: number of episodes that `max_episode_steps` cut.
    """

    returns: np.ndarray
    lengths: np.ndarray
    successes: np.ndarray | None = None
    num_cut: int = 0


class Evaluator:
    """Evaluates deterministic policies in separate environments.

    Episode i of seed s starts from `SeedSequence((s, i))`, at every evaluation and independently of the other seeds.

    Args:
        algorithm: the algorithm, whose `act` is the policy.
        make_env: function that builds one environment.
        seeds: S seeds.
        episodes: number of episodes per seed.
        observation_scaling: scaling of the observations.
        action_scaling: maps actions from [-1, 1] to the environment's range; None if the ranges are the same.
        max_episode_steps: number of steps after which an episode is cut; None means that all episodes must end by
            themselves.

    Attributes:
        episodes: the environments of all episodes, which play them.
        reset_seeds: their reset seeds.
    """

    def __init__(
        self,
        algorithm: Algorithm,
        make_env: Callable[[], gymnasium.Env],
        seeds: Sequence[int],
        episodes: int,
        observation_scaling: ObservationScaling,
        action_scaling: ActionScaling | None = None,
        max_episode_steps: int | None = None,
    ) -> None:
        self._shape = (len(seeds), episodes)
        self.episodes = FirstEpisodes(make_env, len(seeds) * episodes, max_episode_steps)
        self.reset_seeds = [episode_seed(seed, i) for seed in seeds for i in range(episodes)]
        self._act = jax.jit(jax.vmap(lambda params, observations: algorithm.act(params, observations, None)))
        self._scaling = observation_scaling
        self._action_scaling = action_scaling

    def __call__(self, policies: Any, stop: Callable[[], bool] = lambda: False) -> EvaluationResult:
        """Plays all episodes.

        Args:
            policies: the policy parameters of all seeds, leaves [S, ...].
            stop: called before every step; whether to stop there.

        Returns:
            Returns, lengths and successes of all episodes.

        Raises:
            StoppedError: if `stop` returned true.
            UserError: if an environment returned a number that is not finite.
        """
        policies = jax.device_put(policies, _acting_device())

        def act(observations: np.ndarray) -> np.ndarray:
            scaled = np.asarray(self._scaling(observations), np.float32)
            actions = np.asarray(self._act(policies, scaled.reshape(*self._shape, -1)))
            flat = actions.reshape(len(observations), -1)
            return flat if self._action_scaling is None else self._action_scaling.from_unit(flat)

        return _result(self.episodes.play(act, self.reset_seeds, stop), self._shape)

    def close(self) -> None:
        """Closes the environments."""
        self.episodes.close()


def _acting_device() -> Any:
    """Returns the device of the policies: for one small call per step, transfers to an accelerator would take longer.

    With JAX_PLATFORMS=cuda there is no other.
    """
    try:
        return jax.devices("cpu")[0]
    except RuntimeError:
        return jax.devices()[0]


def evaluate(
    policy: Callable[[np.ndarray], np.ndarray],
    make_env: Callable[[], gymnasium.Env],
    *,
    episodes: int = 10,
    seed: int = 0,
    max_episode_steps: int | None = None,
) -> EvaluationResult:
    """Evaluates one policy.

    Args:
        policy: raw observations [N, O] to the environment's actions [N, A], such as `OfflineTrainer.policy(seed)` or
            `load_policy(run)`.
        make_env: function that builds one environment.
        episodes: number of episodes, which are played in one batch.
        seed: seed of the episodes; episode i starts from `SeedSequence((seed, i))`, as in the evaluations of a run.
        max_episode_steps: number of steps after which an episode is cut; None means that all episodes must end by
            themselves.

    Returns:
        Returns, lengths and successes of the episodes, each [1, episodes].

    Raises:
        UserError: if the environment cannot be used, or returns a number that is not finite.
    """
    env = make_env()
    require_usable(env, f"environment {name_of(env)}")
    env.close()
    envs = FirstEpisodes(make_env, episodes, max_episode_steps)
    played = envs.play(policy, [episode_seed(seed, i) for i in range(episodes)])
    envs.close()
    return _result(played, (1, episodes))


def _result(played: Played, shape: tuple[int, int]) -> EvaluationResult:
    return EvaluationResult(
        returns=played.returns.reshape(shape),
        lengths=played.lengths.reshape(shape),
        successes=None if played.successes is None else played.successes.reshape(shape),
        num_cut=played.num_cut,
    )


def episode_seed(seed: int, episode: int) -> int:
    """Returns the reset seed of an evaluation episode.

    Args:
        seed: seed of the policy.
        episode: number of the episode, from 0.
    """
    return int(np.random.SeedSequence((seed, episode)).generate_state(1)[0])
