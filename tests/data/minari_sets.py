"""Datasets in Minari's folder as its own function writes them."""

import warnings
from collections.abc import Sequence
from typing import Any

import gymnasium
import minari
import numpy as np

from tests.envs.point_goal import PointGoal, spec

STEPS = 4


def write_set(
    dataset_id: str,
    observations: Sequence[Any],
    observation_space: gymnasium.Space,
    *,
    actions: Sequence[Any] | None = None,
    action_space: gymnasium.Space | None = None,
    **options: Any,
) -> None:
    """Write one episode per entry of `observations`, each of T+1 rows or a dictionary of such arrays.

    Args:
        dataset_id: Id of the dataset.
        observations: The observations of each episode.
        observation_space: Their space.
        actions: The actions of each episode; by default zeros.
        action_space: Their space; by default [-1, 1].
        **options: Further arguments of `minari.create_dataset_from_buffers`, such as `env`.
    """
    buffers = []
    for i, rows in enumerate(observations):
        truncations = np.arange(STEPS) == STEPS - 1
        buffers.append(
            minari.data_collector.EpisodeBuffer(
                observations=rows,
                actions=np.zeros((STEPS, 1), np.float32) if actions is None else actions[i],
                rewards=np.arange(STEPS, dtype=np.float64),
                terminations=np.zeros(STEPS, bool),
                truncations=truncations,
            )
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # no author, no e-mail address, no environment
        minari.create_dataset_from_buffers(
            dataset_id,
            buffers,
            observation_space=observation_space,
            action_space=gymnasium.spaces.Box(-1.0, 1.0, (1,)) if action_space is None else action_space,
            data_format="hdf5",
            **options,
        )


def goal_episode(env: gymnasium.Env, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Play `STEPS` random actions; return the observations by key and the actions."""
    observation, _ = env.reset(seed=int(rng.integers(1000)))
    observations, actions = [observation], []
    for _ in range(STEPS):
        actions.append(rng.uniform(env.action_space.low, env.action_space.high).astype(np.float32))
        observations.append(env.step(actions[-1])[0])
    return {key: np.stack([row[key] for row in observations]) for key in observation}, np.stack(actions)


def write_point_goal(dataset_id: str = "test/point-goal-v0", episodes: int = 3, **options: Any) -> None:
    """Write a dataset of `PointGoal` that names it as its environment, unless `env` says otherwise."""
    env, rng = PointGoal(), np.random.default_rng(0)
    played = [goal_episode(env, rng) for _ in range(episodes)]
    write_set(
        dataset_id,
        [observations for observations, _ in played],
        env.observation_space,
        actions=[actions for _, actions in played],
        action_space=env.action_space,
        **{"env": spec(), **options},
    )
