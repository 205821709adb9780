"""Scaling of observations and rewards, the same offline and online."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssar_jax.data import checks, precision
from ssar_jax.data.columns import with_columns
from ssar_jax.data.dataset import OfflineDataset
from ssar_jax.data.segments import Segments
from ssar_jax.errors import UserError
from ssar_jax.transitions import EpisodeColumn, Transitions

_LOG = logging.getLogger(__name__)

_BLOCK = 65_536  # rows that are scaled together

STD_EPSILON = 1e-3  # added to the standard deviation, so that constant observations stay finite


@dataclass(frozen=True, eq=False)
class ObservationScaling:
    """The map `(s - mean) / std` for every observation of a run: in the dataset, online and in evaluation.

    It computes in the dtype of `mean`, which is that of the dataset, and rounds once, at the end. So an observation
    becomes the same input of the networks wherever it comes from.

    Attributes:
        mean: [O] float32, or float64 for data that are kept in float64.
        std: Standard deviation plus 1e-3, [O], of the same dtype.
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
        dtype = np.float32 if np.can_cast(observations.dtype, np.float32) else np.float64
        return cls(mean.astype(dtype), std.astype(dtype))

    def __call__(self, observations: np.ndarray) -> np.ndarray:
        """Return scaled observations [..., O] float32 of raw observations of any dtype."""
        raw = np.asarray(observations).astype(self.mean.dtype, copy=False)
        return ((raw - self.mean) / self.std).astype(np.float32, copy=False)


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
        mapped = self.in_float64(rewards)
        return mapped.astype(rewards.dtype) if rewards.dtype.kind == "f" else mapped

    def in_float64(self, rewards: np.ndarray) -> np.ndarray:
        """Return mapped rewards of the same shape in float64.

        Args:
            rewards: Raw rewards of any shape.
        """
        return self.scale * rewards.astype(np.float64) + self.bias


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
        UserError: There is no trajectory, the boundaries belong to a dataset of another length, or the rows are in no
            order of episodes.
    """
    dataset.require_trajectories()
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
            scaled next observations [N, O], all float32, and the extra columns of the algorithm.
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
        columns, where = self.transitions.columns(), "prepared data"
        for key, column in columns.items():
            ndim = 1 if key in ("rewards", "masks") else 2
            if np.ndim(column) != ndim:
                needed = "[N]" if ndim == 1 else "[N, D]"
                raise UserError(f"{where}: {key} has shape {np.shape(column)}; {needed} is needed")
        checks.require_rows({**columns, **self.transitions.extras}, where)
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
    columns: Sequence[EpisodeColumn] = (),
) -> PreparedData:
    """Scale a dataset for training.

    Data in float64 are scaled in float64 and rounded once. A warning names the columns that float32 does not resolve.

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
        columns: Further columns, which some algorithms need: `algorithm.columns`.

    Returns:
        The prepared data. Arrays that need no change are those of the dataset, read-only.

    Raises:
        UserError: `clip_actions` is not in (0, 1], `reward_scale` or `reward_bias` is not finite, a mapped reward is
            too large for float32, or range scaling is impossible; or columns are wanted of rows in no order of
            episodes.
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
    scaling = ObservationScaling.identity(dataset.observation_size)
    if normalize_states:
        scaling = ObservationScaling.from_observations(dataset.observations)
        observations, next_observations = (_scale(scaling, rows) for rows in _observations(dataset))
    else:
        observations, next_observations = (np.asarray(rows, np.float32) for rows in _observations(dataset))
    actions = dataset.actions
    if clip_actions is not None:
        actions = np.clip(actions, -np.float32(clip_actions), np.float32(clip_actions))
    transitions = Transitions(
        observations=observations,
        actions=actions,
        rewards=_map_rewards(dataset, reward_map),
        masks=dataset.masks,
        next_observations=next_observations,
    )
    _warn_of_lost_observations(dataset, scaling, transitions)
    if columns:
        names = ", ".join(column.name for column in columns)
        dataset.require_trajectories(f"{names} cannot be computed", "choose an algorithm that does without")
        transitions = with_columns(transitions, dataset.episode_ends, columns)
    return PreparedData(transitions, scaling, reward_map)


def _observations(dataset: OfflineDataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the raw observations and next observations, both [N, O]."""
    return dataset.observations, dataset.next_observations


def _scale(scaling: ObservationScaling, observations: np.ndarray) -> np.ndarray:
    """Return scaled observations [N, O] float32; block by block, so that no float64 copy of all rows is made."""
    scaled = np.empty(observations.shape, np.float32)
    for start in range(0, len(observations), _BLOCK):
        rows = slice(start, start + _BLOCK)
        scaled[rows] = scaling(observations[rows])
    return scaled


def _map_rewards(dataset: OfflineDataset, reward_map: RewardMap) -> np.ndarray:
    """Return the mapped rewards [N] float32."""
    if reward_map == RewardMap() and dataset.rewards.dtype == np.float32:
        exact, rewards = dataset.rewards, dataset.rewards
    else:
        with np.errstate(over="ignore"):
            exact = reward_map.in_float64(dataset.rewards)
            rewards = exact.astype(np.float32)
    if not np.isfinite(rewards).all():
        row = int(np.flatnonzero(~np.isfinite(rewards))[0])
        raise UserError(
            f"{dataset.source}: reward {dataset.rewards[row]:g} in row {row} times {reward_map.scale:g} is too large "
            "for float32; choose a smaller reward_scale"
        )
    column = precision.Columns.of(exact[:, None])
    few = column.std[0] < precision.FEW_STEPS * column.steps[0]
    if not column.is_constant[0] and (few or (precision.is_coarse(column)[0] and not precision.is_exact(exact))):
        _LOG.warning(
            "%s: float32 does not resolve rewards that are %g on average with a standard deviation of %g: set "
            "--config.dataset.reward_bias=%g so that they are near 0",
            dataset.source, column.mean[0], column.std[0], reward_map.bias - column.mean[0],
        )  # fmt: skip
    return rewards


def _warn_of_lost_observations(
    dataset: OfflineDataset, scaling: ObservationScaling, transitions: Transitions[np.ndarray]
) -> None:
    """Log one line for columns that float32 does not resolve, and one for values that it made equal."""
    raw = precision.Columns.of(dataset.observations)
    scaled = raw.scaled(scaling.mean, scaling.std)
    remedy = "subtract their offset in the data and in the environment, or leave them out"
    if (columns := precision.unresolved(raw, STD_EPSILON)).size:
        _LOG.warning(
            "%s: the spread of %s is below what float32 resolves at that size; rounding in a file or an environment "
            "turns them into noise: %s",
            dataset.source, _names(columns), remedy,
        )  # fmt: skip
    after = transitions.observations, transitions.next_observations
    if (columns := precision.merged(scaled, _observations(dataset), after)).size:
        _LOG.warning(
            "%s: different values of %s become equal in float32, in which networks compute: set "
            "--config.dataset.normalize_states=True, %s",
            dataset.source, _names(columns), remedy,
        )  # fmt: skip


def _names(columns: np.ndarray) -> str:
    """Return the text `observation columns 0, 3 and 5 more`, with at most ten numbers."""
    shown = ", ".join(map(str, columns[:10]))
    more = f" and {len(columns) - 10} more" if len(columns) > 10 else ""
    return f"observation column{'s' if len(columns) > 1 else ''} {shown}{more}"
