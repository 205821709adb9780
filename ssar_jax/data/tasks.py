"""The 18 tasks with their names, sizes, horizons, reference returns and files."""

import difflib
import re
from dataclasses import dataclass
from typing import overload

import numpy as np

from ssar_jax.data.d4rl_files import D4RL_FILES, D4RLFile
from ssar_jax.errors import UserError

CUSTOM = "custom"
NO_ENVIRONMENT = "off"
"""The value of `environment.id` for training without evaluation, even if the dataset names an environment."""

_EMBEDDED_ID = re.compile(r"ssar-embedded/(?P<agent>[a-z0-9]+)/(?P<tier>[a-z-]+?)(-(?P<num_steps>[0-9]+))?-v0")


@dataclass(frozen=True)
class Task:
    """A dataset together with the environment in which its policies are scored.

    Attributes:
        name: Short name that users type, such as `hopper-m`.
        d4rl_name: Full D4RL name, such as `hopper-medium-v2`; `custom` for a custom task.
        agent: `halfcheetah`, `hopper`, `walker2d`, `antmaze` or `custom`.
        tier: Quality of the data, such as `medium-replay`; for AntMaze the maze and variant, such as
            `large-diverse`.
        environment: Name of the evaluation environment, such as `hopper` or `antmaze-umaze`, for a custom task a
            Gymnasium id or the description that a Minari dataset stores (`make_env`); None means that policies are not
            evaluated.
        observation_size: Length O of an observation.
        action_size: Length A of an action; actions are in [-1, 1].
        horizon: Time limit of an episode, steps.
        reference_min: Raw return of score 0; None if the task has no scores.
        reference_max: Raw return of score 100; None if the task has no scores.
        file: The official D4RL file; None for a custom task.
    """

    name: str
    d4rl_name: str
    agent: str
    tier: str
    environment: str | None
    observation_size: int
    action_size: int
    horizon: int
    reference_min: float | None
    reference_max: float | None
    file: D4RLFile | None = None

    @property
    def terminals_end_episodes(self) -> bool:
        """Whether a terminal ends the episode in the D4RL file.

        AntMaze files mark every row near the goal as terminal, but the trajectory continues.
        """
        return self.agent != "antmaze"

    @overload
    def normalized_score(self, returns: float) -> float | None: ...
    @overload
    def normalized_score(self, returns: np.ndarray) -> np.ndarray | None: ...
    def normalized_score(self, returns: float | np.ndarray) -> float | np.ndarray | None:
        """Return D4RL's normalized score of undiscounted raw returns R, 100 (R - min) / (max - min).

        Args:
            returns: One return or an array of any shape.

        Returns:
            Scores of the same shape, or None for a task without reference returns.

        References:
            Fu et al., 2020, D4RL, https://arxiv.org/abs/2004.07219
        """
        if self.reference_min is None or self.reference_max is None:
            return None
        return 100.0 * (returns - self.reference_min) / (self.reference_max - self.reference_min)

    def require_score(self, mean_return: float) -> float:
        """Return the normalized score of one return, for a task that has reference returns.

        Args:
            mean_return: Undiscounted raw return.

        Raises:
            UserError: The task has no reference returns.
        """
        score = self.normalized_score(mean_return)
        if score is None:
            raise UserError(f"task {self.name} has no reference returns, so there is no score")
        return score


@dataclass(frozen=True)
class _Agent:
    """Sizes and reference returns of one robot. The returns are from D4RL's infos.py; v2 keeps the values of v0."""

    observation_size: int
    action_size: int
    reference_min: float
    reference_max: float


_AGENTS = {
    "halfcheetah": _Agent(17, 6, -280.178953, 12135.0),
    "hopper": _Agent(11, 3, -20.272305, 3234.3),
    "walker2d": _Agent(17, 6, 1.629008, 4592.3),
    "antmaze": _Agent(29, 8, 0.0, 1.0),
}

_ROWS = (
    # name, agent, tier, environment, horizon
    ("halfcheetah-m", "halfcheetah", "medium", "halfcheetah", 1000),
    ("halfcheetah-mr", "halfcheetah", "medium-replay", "halfcheetah", 1000),
    ("halfcheetah-me", "halfcheetah", "medium-expert", "halfcheetah", 1000),
    ("halfcheetah-e", "halfcheetah", "expert", "halfcheetah", 1000),
    ("hopper-m", "hopper", "medium", "hopper", 1000),
    ("hopper-mr", "hopper", "medium-replay", "hopper", 1000),
    ("hopper-me", "hopper", "medium-expert", "hopper", 1000),
    ("hopper-e", "hopper", "expert", "hopper", 1000),
    ("walker2d-m", "walker2d", "medium", "walker2d", 1000),
    ("walker2d-mr", "walker2d", "medium-replay", "walker2d", 1000),
    ("walker2d-me", "walker2d", "medium-expert", "walker2d", 1000),
    ("walker2d-e", "walker2d", "expert", "walker2d", 1000),
    ("antmaze-u", "antmaze", "umaze", "antmaze-umaze", 700),
    ("antmaze-ud", "antmaze", "umaze-diverse", "antmaze-umaze", 700),
    ("antmaze-mp", "antmaze", "medium-play", "antmaze-medium", 1000),
    ("antmaze-md", "antmaze", "medium-diverse", "antmaze-medium", 1000),
    ("antmaze-lp", "antmaze", "large-play", "antmaze-large", 1000),
    ("antmaze-ld", "antmaze", "large-diverse", "antmaze-large", 1000),
)


def _task(name: str, agent: str, tier: str, environment: str, horizon: int) -> Task:
    """Return the task of one row of the table."""
    d4rl_name = f"{agent}-{tier}-v2"
    shared = _AGENTS[agent]
    return Task(
        name=name,
        d4rl_name=d4rl_name,
        agent=agent,
        tier=tier,
        environment=environment,
        observation_size=shared.observation_size,
        action_size=shared.action_size,
        horizon=horizon,
        reference_min=shared.reference_min,
        reference_max=shared.reference_max,
        file=D4RL_FILES[d4rl_name],
    )


TASKS: tuple[Task, ...] = tuple(_task(*row) for row in _ROWS)
"""All tasks that have an official D4RL file."""

_BY_NAME = {name: task for task in TASKS for name in (task.name, task.d4rl_name)}


def get_task(name: str) -> Task:
    """Find a task by any of its names.

    Args:
        name: `hopper-m`, `hopper-medium-v2`, or an embedded Minari id such as
            `ssar-embedded/hopper/medium-v0`.

    Returns:
        The task.

    Raises:
        UserError: No task has that name; the message names similar ones.
    """
    if name in _BY_NAME:
        return _BY_NAME[name]
    if match := _EMBEDDED_ID.fullmatch(name):
        task = _BY_NAME.get(f"{match['agent']}-{match['tier']}-v2")
        if task is not None:
            return task
    if name == CUSTOM:
        raise UserError(
            "task 'custom' has no sizes and no data: choose one of the 18 tasks, or in Python make one with "
            "ssar_jax.data.custom_task(...)"
        )
    if name.startswith(("D4RL/", "mujoco/")):
        raise UserError(
            f"{name!r} is a Minari dataset, not a task: choose task custom with --config.dataset.path={name}, which "
            "evaluates in the dataset's environment"
        )
    nearest = difflib.get_close_matches(name, [*_BY_NAME, CUSTOM], n=4, cutoff=0.5)
    known = ", ".join(task.name for task in TASKS)
    hint = f"nearest: {', '.join(nearest)}" if nearest else f"known: {known}, {CUSTOM}"
    raise UserError(f"unknown task {name!r}; {hint}")


def custom_task(
    observation_size: int, action_size: int, *, environment_id: str | None = None, horizon: int = 1000
) -> Task:
    """Return a task for a custom dataset.

    Args:
        observation_size: Length O of an observation.
        action_size: Length A of an action.
        environment_id: A Gymnasium id, or an environment's description as for `make_env`; None means that policies are
            not evaluated.
        horizon: Time limit of an episode, steps; in an HDF5 file without `timeouts`, episodes of this length count
            as timed out.

    Returns:
        A task without reference returns and without an official file.

    Raises:
        UserError: A size or the horizon is not positive.
    """
    sizes = {"observation_size": observation_size, "action_size": action_size, "horizon": horizon}
    for key, value in sizes.items():
        if value < 1:
            raise UserError(f"custom task: {key} must be at least 1, not {value}")
    return Task(
        name=CUSTOM,
        d4rl_name=CUSTOM,
        agent=CUSTOM,
        tier=CUSTOM,
        environment=environment_id,
        observation_size=observation_size,
        action_size=action_size,
        horizon=horizon,
        reference_min=None,
        reference_max=None,
    )
