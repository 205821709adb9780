"""Selection rules: functions from a dataset to the mask of its trusted transitions, or to the rows to keep.

Where the authors' program differs from the rule in their paper, the difference is an argument: its default follows
the paper, and the docstring gives the value that follows the program.
"""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from ssar_jax.data.dataset import OfflineDataset
from ssar_jax.data.segments import Segments, Tail, cut, find_segments
from ssar_jax.errors import UserError


@dataclass(frozen=True, eq=False)
class Selection:
    """The trusted part of a dataset.

    Attributes:
        trusted: 1 for selected transitions, else 0, [N] float32, or [S, N] where seeds differ.
        threshold: The raw return above which trajectories were selected; None for other rules.
    """

    trusted: np.ndarray
    threshold: float | None = None

    @property
    def fraction(self) -> float:
        """Share of the transitions that are selected, in [0, 1]."""
        return float(self.trusted.mean(dtype=np.float64))


def segments(
    dataset: OfflineDataset, *, tolerance: float | None = None, max_steps: int | None = None, tail: Tail = "keep"
) -> Segments:
    """Cut the transitions into the trajectories that are selected or not.

    A trajectory ends where a recorded episode ends and at every terminal. The latter matters in D4RL's AntMaze,
    whose episodes continue after a terminal.

    Args:
        dataset: The data.
        tolerance: Largest jump within a trajectory. If given, trajectories end where observations jump by more,
            and recorded ends are ignored. (Authors: 1e-6, or 1e-4 in `keep_best`. On D4RL files 1e-6 finds the
            recorded ends.)
        max_steps: Largest length of a trajectory; None is unlimited.
        tail: Whether the trajectory with the last row counts, see `find_segments`.

    Returns:
        The trajectories.

    Raises:
        UserError: The rows are in no order of episodes, see `OfflineDataset.require_trajectories`.
    """
    dataset.require_trajectories()
    if tolerance is None:
        return cut(dataset.episode_ends | (dataset.masks == 0.0), max_steps=max_steps, tail=tail)
    return find_segments(
        dataset.observations,
        dataset.next_observations,
        dataset.masks,
        tolerance=tolerance,
        max_steps=max_steps,
        tail=tail,
    )


def select_all(dataset: OfflineDataset) -> Selection:
    """Select every transition."""
    return Selection(np.ones(len(dataset), np.float32))


def select_by_return(dataset: OfflineDataset, threshold: float, *, max_steps: int | None = None) -> Selection:
    """Select the trajectories whose raw return is strictly above a threshold.

    Args:
        dataset: The data.
        threshold: Raw, undiscounted return.
        max_steps: Largest length of a trajectory; None is unlimited. (Authors: the task's horizon. Of D4RL's
            files only antmaze-umaze-diverse has longer episodes.)

    Returns:
        The selection; empty if no return is above the threshold.

    Raises:
        UserError: The threshold is NaN.
    """
    if math.isnan(threshold):
        raise UserError(f"the return threshold of the selection must be a number, not {threshold}")
    return _above(dataset, segments(dataset, max_steps=max_steps), threshold)


def _above(dataset: OfflineDataset, trajectories: Segments, threshold: float) -> Selection:
    """Select the trajectories whose raw return, summed in float64, is strictly above a threshold."""
    above = trajectories.sums(dataset.rewards) > threshold
    return Selection(trajectories.spread(above.astype(np.float32)), threshold)


def select_top_fraction(dataset: OfflineDataset, fraction: float = 0.3, *, max_steps: int | None = None) -> Selection:
    """Select the best trajectories by raw return, by default the best 30 % of them.

    Published thresholds hold for the D4RL files alone; this is the rule for other data.

    Args:
        dataset: The data.
        fraction: Share of the trajectories (not of the transitions), in (0, 1]; their number is rounded and at
            least one.
        max_steps: As in `select_by_return`.

    Returns:
        The selection. Trajectories that tie with the last selected one are selected too. `threshold` is the
        return of the best trajectory left out, so `select_by_return` with it selects the same rows.

    Raises:
        UserError: `fraction` is not in (0, 1].
    """
    if not 0.0 < fraction <= 1.0:
        raise UserError(f"selection fraction must be in (0, 1], not {fraction}")
    trajectories = segments(dataset, max_steps=max_steps)
    returns = np.sort(trajectories.sums(dataset.rewards))[::-1]
    last_selected = returns[max(1, round(fraction * returns.size)) - 1]
    left_out = returns[returns < last_selected]
    # If nothing is left out, the threshold is just below the worst return, so that it stays finite.
    threshold = left_out[0] if left_out.size else np.nextafter(last_selected, -np.inf)
    return _above(dataset, trajectories, float(threshold))


def select_successful(
    dataset: OfflineDataset,
    *,
    stored_rewards: np.ndarray | None = None,
    no_reward: float | None = None,
    max_steps: int | None = None,
) -> Selection:
    """Select the trajectories that reach the goal, those whose last raw reward is positive.

    Args:
        dataset: The data, with sparse rewards.
        stored_rewards: Mapped rewards [N] for the rule of the authors' program: a trajectory is selected if the
            last of them differs from `no_reward`. None uses the raw rewards.
        no_reward: The mapped value of reward 0, `0 * scale + bias`; given together with `stored_rewards`.
        max_steps: As in `select_by_return`. In D4RL's antmaze-umaze-diverse, whose episodes have 1,000 rows and a
            horizon of 700, a goal after row 700 makes only the rows after the cut trusted.

    Returns:
        The selection.

    Raises:
        UserError: Only one of `stored_rewards` and `no_reward` is given, or `stored_rewards` is not [N].
    """
    if (stored_rewards is None) != (no_reward is None):
        raise UserError("select_successful needs both stored_rewards and no_reward, or neither")
    if stored_rewards is not None and stored_rewards.shape != (len(dataset),):
        raise UserError(f"stored_rewards has shape {stored_rewards.shape}; [{len(dataset)}] is needed")
    trajectories = segments(dataset, max_steps=max_steps)
    last_rows = trajectories.stops - 1
    if stored_rewards is None:
        reached = dataset.rewards[last_rows] > 0.0
    else:
        reached = stored_rewards[last_rows] != no_reward
    return Selection(trajectories.spread(reached.astype(np.float32)))


def keep_top_fraction(dataset: OfflineDataset, fraction: float) -> OfflineDataset:
    """Return the dataset with its best recorded episodes alone, in recorded order.

    Args:
        dataset: The data.
        fraction: Share of the episodes (not of the transitions), in (0, 1]; their number is rounded and at least one.
            Of two with equal returns the earlier is kept.

    Raises:
        UserError: `fraction` is not in (0, 1].
    """
    if not 0.0 < fraction <= 1.0:
        raise UserError(f"the fraction of the trajectories to keep must be in (0, 1], not {fraction}")
    dataset.require_trajectories()
    episodes = dataset.episodes
    best = np.argsort(-dataset.episode_returns(), kind="stable")[: max(1, round(fraction * len(episodes)))]
    rows = np.sort(episodes.rows_of(best))
    return dataclasses.replace(dataset, **{name: array[rows] for name, array in dataset.arrays().items()})


def keep_best(
    dataset: OfflineDataset, k: int, *, tolerance: float | None = None, keep_open_tail: bool = True
) -> np.ndarray:
    """Return the rows of the k best trajectories by raw return, best first.

    Args:
        dataset: The data.
        k: Number of trajectories; all of them if there are fewer.
        tolerance: As in `segments`. (Authors: 1e-4.)
        keep_open_tail: Whether the trajectory with the last row counts. (Authors: False. Their scan stops one
            row early and never completes it, even if it ends with a terminal.)

    Returns:
        Row numbers [n] int64, trajectory by trajectory in order of decreasing return; of two with equal returns
        the earlier comes first.

    Raises:
        UserError: k is less than 1.
    """
    if k < 1:
        raise UserError(f"the number of trajectories to keep must be at least 1, not {k}")
    trajectories = segments(dataset, tolerance=tolerance, tail="keep" if keep_open_tail else "drop")
    order = np.argsort(-trajectories.sums(dataset.rewards), kind="stable")
    return trajectories.rows_of(order[:k])
