"""Scaling of observations and rewards, the same offline and online."""

import math
from dataclasses import dataclass

import numpy as np

from ssar_jax.data import checks
from ssar_jax.data.dataset import OfflineDataset
from ssar_jax.data.segments import Segments
from ssar_jax.errors import UserError
from ssar_jax.transitions import Transitions

STD_EPSILON = 1e-3  # added to the standard deviation, so that constant observations stay finite


@dataclass(frozen=True, eq=False)
class ObservationScaling:
    """The map `(s - mean) / std` for every observation of a run: in the dataset, online and in evaluation.

    Attributes:
        mean: [O] float32.
        std: Standard deviation plus 1e-3, [O] float32.
    """

    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def identity(cls, observation_size: int) -> "ObservationScaling":
        """Return the scaling that changes nothing, with mean 0 and std 1.

        Args:
            observation_size: Length O of an observation.
        """
        return cls(np.zeros(observation_size, np.float32), np.ones(observation_size, np.float32))

    @classmethod
    def from_observations(cls, observations: np.ndarray) -> "ObservationScaling":
        """Return the scaling by the mean and the population standard deviation + 1e-3 over the rows.

        Sums run in float64, since in float32 the mean of a million rows is accurate to four digits only.

        Args:
            observations: [N, O].
        """
        mean = observations.mean(axis=0, dtype=np.float64)
        std = observations.std(axis=0, dtype=np.float64) + STD_EPSILON
        return cls(mean.astype(np.float32), std.astype(np.float32))

    def __call__(self, observations: np.ndarray) -> np.ndarray:
        """Return scaled observations [..., O]."""
        return (observations - self.mean) / self.std


@dataclass(frozen=True)
class RewardMap:
    """The map `scale * r + bias`, applied to dataset rewards and to online rewards alike.

    Attributes:
        scale: Factor, including the range scaling if there is one.
        bias: Added after scaling.
    """

    scale: float = 1.0
    bias: float = 0.0

    def __call__(self, rewards: np.ndarray) -> np.ndarray:
        """Return mapped rewards of the same shape and floating-point dtype, computed in float64.

        Args:
            rewards: Raw rewards of any shape.
        """
        rewards = np.asarray(rewards)
        mapped = self.scale * rewards.astype(np.float64) + self.bias
        return mapped.astype(rewards.dtype) if rewards.dtype.kind == "f" else mapped


def reward_range(dataset: OfflineDataset, *, boundaries: Segments | None = None) -> tuple[float, float]:
    """Return the smallest and the largest return of the dataset's trajectories.

    Args:
        dataset: The data.
        boundaries: The trajectories; None takes the recorded episodes. The authors' program cuts at terminals
            and every `max_steps` kept rows, regardless of the recorded ends:
            `segments(dataset, tolerance=math.inf, max_steps=1000, tail="drop_open")`.

    Returns:
        (min, max) of the raw returns, summed in float64.

    Raises:
        UserError: There is no trajectory, or the boundaries belong to a dataset of another length.
    """
    boundaries = dataset.episodes if boundaries is None else boundaries
    if boundaries.num_rows != len(dataset):
        raise UserError(
            f"{dataset.source}: boundaries are for {boundaries.num_rows} rows, but the dataset has {len(dataset)}"
        )
    if not len(boundaries):
        raise UserError(f"{dataset.source}: no complete trajectory, so there is no range of returns to scale by")
    returns = boundaries.sums(dataset.rewards)
    return float(returns.min()), float(returns.max())


def range_scale(low: float, high: float, horizon: int) -> float:
    """Return `horizon / (high - low)`, the factor that makes returns span `horizon`.

    Args:
        low: Smallest return.
        high: Largest return.
        horizon: Time limit of an episode, steps.

    Raises:
        UserError: All returns are equal, or the horizon is not positive.
    """
    if horizon < 1:
        raise UserError(f"the horizon of range scaling must be at least 1, not {horizon}")
    if not high > low:
        raise UserError(f"rewards cannot be scaled by the range of returns: all returns are {low:g}")
    return horizon / (high - low)


@dataclass(frozen=True, eq=False)
class PreparedData:
    """A dataset ready for training and the maps that scaled it.

    Attributes:
        transitions: Scaled observations [N, O], possibly clipped actions [N, A], mapped rewards [N], masks [N] and
            scaled next observations [N, O].
        observation_scaling: Scales every observation that a policy sees.
        reward_map: Maps every online reward that is stored.

    Raises:
        UserError: The columns have wrong ranks or different lengths.
    """

    transitions: Transitions[np.ndarray]
    observation_scaling: ObservationScaling
    reward_map: RewardMap

    def __post_init__(self) -> None:
        """Check ranks and lengths: rewards [N, 1] would broadcast to [N, N] in a loss."""
        columns, where = self.transitions._asdict(), "prepared data"
        for key, column in columns.items():
            ndim = 1 if key in ("rewards", "masks") else 2
            if np.ndim(column) != ndim:
                needed = "[N]" if ndim == 1 else "[N, D]"
                raise UserError(f"{where}: {key} has shape {np.shape(column)}; {needed} is needed")
        checks.require_rows(columns, where)
        checks.require_same_width(self.transitions.observations, self.transitions.next_observations, where)


def prepare(
    dataset: OfflineDataset,
    *,
    normalize_states: bool = True,
    reward_scale: float = 1.0,
    reward_bias: float = 0.0,
    range_scaling_horizon: int | None = None,
    boundaries: Segments | None = None,
    clip_actions: float | None = None,
) -> PreparedData:
    """Scale a dataset for training.

    Args:
        dataset: Raw data; it does not change.
        normalize_states: Whether to scale observations by their mean and standard deviation.
        reward_scale: Rewards become `reward_scale * r + reward_bias`.
        reward_bias: See `reward_scale`.
        range_scaling_horizon: Horizon H, steps; rewards are first multiplied by `H / (R_max - R_min)`. None leaves
            this factor out.
        boundaries: Trajectories of the range, see `reward_range`.
        clip_actions: Largest absolute value of an action, such as 1 - 1e-4; larger ones are clipped. None clips
            nothing.

    Returns:
        The prepared data. Arrays that need no change are those of the dataset, read-only.

    Raises:
        UserError: `clip_actions` is not in (0, 1], `reward_scale` or `reward_bias` is not finite, a mapped reward is
            too large for float32, or range scaling is impossible.
    """
    if clip_actions is not None and not 0.0 < clip_actions <= 1.0:
        raise UserError(f"clip_actions must be in (0, 1], not {clip_actions}")
    for key, value in (("reward_scale", reward_scale), ("reward_bias", reward_bias)):
        if not math.isfinite(value):
            raise UserError(f"{key} must be finite, not {value}")
    scale = reward_scale
    if range_scaling_horizon is not None:
        scale *= range_scale(*reward_range(dataset, boundaries=boundaries), range_scaling_horizon)
    reward_map = RewardMap(scale, reward_bias)
    observations, next_observations = dataset.observations, dataset.next_observations
    scaling = ObservationScaling.identity(dataset.observation_size)
    if normalize_states:
        scaling = ObservationScaling.from_observations(observations)
        observations, next_observations = scaling(observations), scaling(next_observations)
    actions = dataset.actions
    if clip_actions is not None:
        actions = np.clip(actions, -np.float32(clip_actions), np.float32(clip_actions))
    rewards = dataset.rewards if reward_map == RewardMap() else _map_rewards(dataset, reward_map)

    transitions = Transitions(
        observations=observations,
        actions=actions,
        rewards=rewards,
        masks=dataset.masks,
        next_observations=next_observations,
    )
    return PreparedData(transitions, scaling, reward_map)


def _map_rewards(dataset: OfflineDataset, reward_map: RewardMap) -> np.ndarray:
    """Return the mapped rewards [N] float32."""
    with np.errstate(over="ignore"):
        rewards = reward_map(dataset.rewards)
    if not np.isfinite(rewards).all():
        row = int(np.flatnonzero(~np.isfinite(rewards))[0])
        raise UserError(
            f"{dataset.source}: reward {dataset.rewards[row]:g} in row {row} times {reward_map.scale:g} is too large "
            "for float32; choose a smaller reward_scale"
        )
    return rewards
