"""What the datasets of the embedded suite are like, as the page that docs/ keeps."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ssar_jax.data.dataset import OfflineDataset
from ssar_jax.data.tasks import Task

_PAGE = """\
# The embedded suite

What `python -m experiments.collect embedded --tasks={tasks}{size}` generates, in D4RL v2's physics. The policies
are described in [behaviour/](../ssar_jax/behaviour/trained/README.md), which of them play a set stands in
`ssar_jax/behaviour/recipes.py`. This page is written by the same command with `--table=docs/embedded_suite.md`.

{table}
- cut off: episodes that the generation ended, not the time limit or a terminal state. Returns, scores and successes
  leave them out.
- score: the mean return, normalised by D4RL's reference returns.
- successes: episodes that reach the goal; in AntMaze they go on there, and every row at the goal is terminal.
- action std: an action's standard deviation over the set, mean over its dimensions; saturated: action entries beyond
  0.99.
"""


class Statistics(NamedTuple):
    """What a dataset is like.

    Attributes:
        task: its name.
        transitions: rows.
        episodes: recorded trajectories.
        cut_off: those of them that end neither at the time limit nor in a terminal state.
        mean_length: rows per episode.
        returns: the 10 %, 50 % and 90 % quantiles of the undiscounted returns of whole episodes; None where all
            are cut off.
        score: normalised mean return of whole episodes; None where all are cut off, and for AntMaze.
        successes: share of the whole episodes that reach the goal; None where there is none.
        terminals: share of the rows that are terminal.
        action_std: standard deviation of an action around its mean over the dataset, mean over dimensions.
        saturated: share of the action entries beyond 0.99.
    """

    task: str
    transitions: int
    episodes: int
    cut_off: int
    mean_length: float
    returns: tuple[float, float, float] | None
    score: float | None
    successes: float | None
    terminals: float
    action_std: float
    saturated: float


def describe(task: Task, dataset: OfflineDataset) -> Statistics:
    """Takes the statistics of a dataset."""
    returns, lengths = dataset.episode_returns(), dataset.episode_lengths()
    has_goal = task.agent == "antmaze"
    whole = lengths >= task.horizon
    if not has_goal:
        whole |= dataset.masks[dataset.episodes.stops - 1] == 0.0
    played = returns[whole]
    quantiles = score = successes = None
    if played.size:
        low, median, high = np.quantile(played, [0.1, 0.5, 0.9]).tolist()
        quantiles = low, median, high
        if has_goal:
            successes = float(np.mean(played > 0.0))
        else:
            score = task.require_score(float(played.mean()))
    return Statistics(
        task=task.name,
        transitions=len(dataset),
        episodes=len(returns),
        cut_off=int(np.sum(~whole)),
        mean_length=float(lengths.mean()),
        returns=quantiles,
        score=score,
        successes=successes,
        terminals=float(np.mean(dataset.masks == 0.0)),
        action_std=float(dataset.actions.std(axis=0).mean()),
        saturated=float(np.mean(np.abs(dataset.actions) > 0.99)),
    )


def markdown_table(rows: Sequence[Statistics]) -> str:
    """The statistics of several sets as a Markdown table."""
    lines = [
        "| task | transitions | episodes | cut off | mean length | return 10 % / 50 % / 90 % | score | successes "
        "| terminals | action std | saturated |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        quantiles = "" if row.returns is None else " / ".join(f"{value:.0f}" for value in row.returns)
        score = "" if row.score is None else f"{row.score:.1f}"
        successes = "" if row.successes is None else f"{row.successes:.1%}"
        lines.append(
            f"| {row.task} | {row.transitions:,} | {row.episodes:,} | {row.cut_off:,} | {row.mean_length:.0f} "
            f"| {quantiles} | {score} | {successes} | {row.terminals:.2%} | {row.action_std:.2f} "
            f"| {row.saturated:.1%} |"
        )
    return "\n".join(lines) + "\n"


def page(rows: Sequence[Statistics], *, tasks: Sequence[str], num_steps: int | None) -> str:
    """The table with what its reader needs to know.

    Args:
        rows: a row per dataset.
        tasks: what --tasks named.
        num_steps: transitions of every set; None for D4RL's sizes.
    """
    size = "" if num_steps is None else f" --num_steps={num_steps}"
    return _PAGE.format(tasks=",".join(tasks), size=size, table=markdown_table(rows))
