"""Scaling of observations and rewards, the same offline and online."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ssar_jax.data.dataset import OfflineDataset
from ssar_jax.data.segments import Segments
from ssar_jax.errors import UserError

STD_EPSILON = 1e-3  # added to the standard deviation, so that constant observations stay finite


class Transitions(NamedTuple):
    """Prepared transitions as numpy arrays.

    Attributes:
        observations: [N, O] float32.
        actions: [N, A] float32.
        rewards: [N] float32.
        masks: [N] float32.
        next_observations: [N, O] float32.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    masks: np.ndarray
    next_observations: np.ndarray


@dataclass(frozen=True, eq=False)
class ObservationScaling:
    """The map `(s - mean) / std`, applied to every observation of a run, online and in evaluation too.

    Attributes:
        mean: [O] float32.
        std: Standard deviation plus 1e-3, [O] float32.
    """

    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def identity(cls, observation_size: int) -> "ObservationScaling":
        """Return the scaling that changes nothing: mean 0, std 1."""
        return cls(np.zeros(observation_size, np.float32), np.ones(observation_size, np.float32))

    @classmethod
    def from_observations(cls, observations: np.ndarray) -> "ObservationScaling":
        """Take mean and population standard deviation + 1e-3 over observations [N, O].

        Sums run in float64: in float32 the mean of a million rows is good to four digits only.
        """
        mean = observations.mean(axis=0, dtype=np.float64)
        std = observations.std(axis=0, dtype=np.float64) + STD_EPSILON
        return cls(mean.astype(np.float32), std.astype(np.float32))

    def __call__(self, observations: np.ndarray) -> np.ndarray:
        """Scale observations [..., O]."""
        return (observations - self.mean) / self.std


@dataclass(frozen=True)
class RewardMap:
    """The map `scale * r + bias`, applied to dataset rewards and to online rewards alike.

    Attributes:
        scale: Factor; it contains the range scaling where that is on.
        bias: Added after scaling.
    """

    scale: float = 1.0
    bias: float = 0.0

    def __call__(self, rewards: np.ndarray) -> np.ndarray:
        """Map raw rewards of any shape; computed in float64, returned in the input's floating-point dtype."""
        rewards = np.asarray(rewards)
        mapped = self.scale * rewards.astype(np.float64) + self.bias
        return mapped.astype(rewards.dtype) if rewards.dtype.kind == "f" else mapped


def reward_range(dataset: OfflineDataset, *, boundaries: Segments | None = None) -> tuple[float, float]:
    """Return the smallest and the largest return of the dataset's trajectories.

    Args:
        dataset: The data.
        boundaries: What counts as a trajectory. None takes the recorded episodes. The authors' program cuts
            at terminals and every `max_steps` kept rows, whatever the true boundaries:
            `segments(dataset, tolerance=math.inf, max_steps=1000, tail="drop_open")`.

    Returns:
        (min, max) of the raw returns, summed in float64.

    Raises:
        UserError: There is no trajectory within these boundaries.
    """
    boundaries = dataset.episodes if boundaries is None else boundaries
    if not len(boundaries):
        raise UserError(f"{dataset.source}: no complete trajectory, so there is no range of returns to scale by")
    returns = boundaries.sums(dataset.rewards)
    return float(returns.min()), float(returns.max())


def range_scale(low: float, high: float, horizon: int) -> float:
    """Return `horizon / (high - low)`: rewards times this have returns that span `horizon`.

    Raises:
        UserError: All returns are equal.
    """
    if not high > low:
        raise UserError(f"rewards cannot be scaled by the range of returns: all returns are {low:g}")
    return horizon / (high - low)


@dataclass(frozen=True, eq=False)
class PreparedData:
    """A dataset ready for training, together with the maps that made it.

    Attributes:
        transitions: Scaled observations, possibly clipped actions, mapped rewards, masks.
        observation_scaling: Apply to every observation that a policy sees.
        reward_map: Apply to every online reward that is stored.
    """

    transitions: Transitions
    observation_scaling: ObservationScaling
    reward_map: RewardMap


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
        dataset: Raw data; never changed.
        normalize_states: Scale observations by their mean and standard deviation.
        reward_scale: Rewards become `reward_scale * r + reward_bias`.
        reward_bias: See `reward_scale`.
        range_scaling_horizon: First replace r by `r * horizon / (R_max - R_min)`, with this horizon; None
            does not.
        boundaries: Trajectories for the range, see `reward_range`.
        clip_actions: Clip actions to plus or minus this number, such as 1 - 1e-4; None leaves them.

    Returns:
        The prepared data. Arrays that need no change are the dataset's own, read-only.

    Raises:
        UserError: `clip_actions` is not in (0, 1], or range scaling is impossible.
    """
    if clip_actions is not None and not 0.0 < clip_actions <= 1.0:
        raise UserError(f"clip_actions must lie in (0, 1], not {clip_actions}")
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
    rewards = dataset.rewards if reward_map == RewardMap() else reward_map(dataset.rewards)
    transitions = Transitions(observations, actions, rewards, dataset.masks, next_observations)
    return PreparedData(transitions, scaling, reward_map)
