"""Which transitions are trusted, and which trajectories are kept: rules from dataset to mask or rows.

Where the authors' program differs from what its rule means, the difference is an argument: the default is the
meaning, and the docstring gives the value that repeats the program.
"""

from dataclasses import dataclass

import numpy as np

from ssar_jax.data.dataset import OfflineDataset
from ssar_jax.data.segments import Segments, Tail, cut, find_segments
from ssar_jax.errors import UserError


@dataclass(frozen=True, eq=False)
class Selection:
    """The trusted part of a dataset.

    Attributes:
        trusted: 1 at selected transitions, 0 elsewhere, [N] float32, or [S, N] where seeds differ.
        threshold: The return above which trajectories were selected; None for other rules.
    """

    trusted: np.ndarray
    threshold: float | None = None

    @property
    def fraction(self) -> float:
        """Share of the transitions that are selected."""
        return float(self.trusted.mean(dtype=np.float64))


def segments(
    dataset: OfflineDataset, *, tolerance: float | None = None, max_steps: int | None = None, tail: Tail = "keep"
) -> Segments:
    """Cut the transitions into the trajectories that selection works on.

    They end where the recorded episodes end and at every terminal, which D4RL's AntMaze goes on after.

    Args:
        dataset: The data.
        tolerance: Largest jump within a trajectory: with it the ends of the episodes are guessed from jumps of
            the observations, not taken as recorded. (Authors: 1e-6, or 1e-4 in `keep_best`. On D4RL files 1e-6
            finds the recorded ends.)
        max_steps: Largest length of a trajectory; None is unlimited.
        tail: What becomes of the trajectory that holds the last row, see `find_segments`.

    Returns:
        The trajectories.
    """
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
    """Trust every transition."""
    return Selection(np.ones(len(dataset), np.float32))


def select_by_return(dataset: OfflineDataset, threshold: float, *, max_steps: int | None = None) -> Selection:
    """Select the trajectories whose raw return is strictly above a threshold.

    Args:
        dataset: The data.
        threshold: A raw return.
        max_steps: Largest length of a trajectory; None is unlimited. (Authors: the task's horizon, which
            changes nothing on D4RL files, where no episode keeps more rows.)

    Returns:
        The selection; it is empty when no trajectory is that good.
    """
    trajectories = segments(dataset, max_steps=max_steps)
    above = trajectories.sums_float32(dataset.rewards) > threshold
    return Selection(trajectories.spread(above.astype(np.float32)), threshold)


def select_top_fraction(dataset: OfflineDataset, fraction: float = 0.3, *, max_steps: int | None = None) -> Selection:
    """Select the best trajectories by raw return, such as the best 30 % of them.

    Published thresholds belong to the D4RL files; this is the rule for all other data.

    Args:
        dataset: The data.
        fraction: Share of the trajectories (not of the transitions), rounded to a whole number, at least one.
        max_steps: As in `select_by_return`.

    Returns:
        The selection. Trajectories that tie with the last one selected are selected too. `threshold` is the
        return of the best trajectory left out, so `select_by_return` with it selects the same rows.

    Raises:
        UserError: `fraction` is not in (0, 1].
    """
    if not 0.0 < fraction <= 1.0:
        raise UserError(f"selection fraction must lie in (0, 1], not {fraction}")
    returns = np.sort(segments(dataset, max_steps=max_steps).sums_float32(dataset.rewards))[::-1]
    last_selected = returns[max(1, round(fraction * returns.size)) - 1]
    left_out = returns[returns < last_selected]
    # Nothing left out: the threshold lies just below the worst return, so that it stays a finite number.
    threshold = left_out[0] if left_out.size else np.nextafter(last_selected, np.float32(-np.inf))
    return select_by_return(dataset, float(threshold), max_steps=max_steps)


def select_successful(
    dataset: OfflineDataset,
    *,
    stored_rewards: np.ndarray | None = None,
    no_reward: float | None = None,
    max_steps: int | None = None,
) -> Selection:
    """Select the trajectories that reach the goal: those whose last raw reward is positive.

    Args:
        dataset: The data, with sparse rewards.
        stored_rewards: The authors' rule instead, together with `no_reward`: select a trajectory if the last
            of these mapped rewards [N] differs from `no_reward`.
        no_reward: The mapped value of reward 0, `0 * scale + bias`.
        max_steps: As in `select_by_return`.

    Returns:
        The selection.

    Raises:
        ValueError: Only one of `stored_rewards` and `no_reward` is given.
    """
    if (stored_rewards is None) != (no_reward is None):
        raise ValueError("the authors' rule needs both stored_rewards and no_reward")
    trajectories = segments(dataset, max_steps=max_steps)
    last_rows = trajectories.stops - 1
    if stored_rewards is None:
        reached = dataset.rewards[last_rows] > 0.0
    else:
        reached = stored_rewards[last_rows] != no_reward
    return Selection(trajectories.spread(reached.astype(np.float32)))


def keep_best(
    dataset: OfflineDataset, k: int, *, tolerance: float | None = None, keep_open_tail: bool = True
) -> np.ndarray:
    """Return the rows of the k best trajectories by raw return, best first.

    Args:
        dataset: The data.
        k: Number of trajectories; all of them if there are fewer.
        tolerance: As in `segments`. (Authors: 1e-4.)
        keep_open_tail: Whether the trajectory that holds the last row counts. (Authors: False. Their scan
            stops one row early and never completes it, even if it ends with a terminal.)

    Returns:
        Row numbers [n] int64, trajectory after trajectory in order of falling return; of equal ones the
        earlier comes first.

    Raises:
        UserError: k is less than 1.
    """
    if k < 1:
        raise UserError(f"the number of trajectories to keep must be at least 1, not {k}")
    trajectories = segments(dataset, tolerance=tolerance, tail="keep" if keep_open_tail else "drop")
    order = np.argsort(-trajectories.sums_float32(dataset.rewards), kind="stable")
    return trajectories.rows_of(order[:k])
