"""Statistics of the embedded datasets, and the page in docs/ that shows them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ssar_jax.data.dataset import OfflineDataset
from ssar_jax.data.tasks import Task

_PAGE = """\
# The embedded suite

The datasets that `python -m experiments.collect embedded --tasks={tasks}{size}` generates in D4RL v2's physics. The
policies are described in [behaviour/](../ssar_jax/behaviour/trained/README.md), and the recipe of each dataset is in
`ssar_jax/behaviour/recipes.py`. `python -m experiments.collect {command}` writes this page.

{table}
- cut off: episodes that end neither at the time limit nor in a terminal state, because generation stopped. Returns,
  score and successes leave them out.
- best: the largest return of a complete episode.
- score: the mean return, normalized by D4RL's reference returns.
- successes: episodes that reach the goal. In AntMaze they continue there, and every row at the goal is terminal.
- action std: the standard deviation of the actions over the dataset, mean over dimensions.
- saturated: share of the action entries with an absolute value above 0.99.
"""


class Statistics(NamedTuple):
    """Statistics of a dataset. An episode is complete unless it is cut off.

    Attributes:
        task: Name of the task.
        transitions: Number of rows.
        episodes: Number of recorded episodes.
        cut_off: Number of episodes that end neither at the time limit nor in a terminal state.
        mean_length: Mean number of rows per episode.
        returns: 10 %, 50 % and 90 % quantiles of the undiscounted returns of complete episodes; None if all are
            cut off.
        best: Largest undiscounted return of a complete episode; None if all are cut off.
        score: Normalized mean return of complete episodes; None if all are cut off, and for AntMaze.
        successes: Share of the complete episodes that reach the goal, in [0, 1]; None for tasks without a goal.
        terminals: Share of the rows that are terminal, in [0, 1].
        action_std: Standard deviation of the actions over the dataset, mean over dimensions.
        saturated: Share of the action entries with an absolute value above 0.99, in [0, 1].
    """

    task: str
    transitions: int
    episodes: int
    cut_off: int
    mean_length: float
    returns: tuple[float, float, float] | None
    best: float | None
    score: float | None
    successes: float | None
    terminals: float
    action_std: float
    saturated: float


def describe(task: Task, dataset: OfflineDataset) -> Statistics:
    """Return the statistics of a dataset.

    Args:
        task: Its task.
        dataset: The data.
    """
    returns, lengths = dataset.episode_returns(), dataset.episode_lengths()
    has_goal = task.agent == "antmaze"
    whole = lengths >= task.horizon
    if not has_goal:
        whole |= dataset.masks[dataset.episodes.stops - 1] == 0.0
    played = returns[whole]
    quantiles = best = score = successes = None
    if played.size:
        low, median, high = np.quantile(played, [0.1, 0.5, 0.9]).tolist()
        quantiles = low, median, high
        best = float(played.max())
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
        best=best,
        score=score,
        successes=successes,
        terminals=float(np.mean(dataset.masks == 0.0)),
        action_std=float(dataset.actions.std(axis=0).mean()),
        saturated=float(np.mean(np.abs(dataset.actions) > 0.99)),
    )


def markdown_table(rows: Sequence[Statistics]) -> str:
    """Return a Markdown table of statistics.

    Args:
        rows: Statistics, one per dataset.
    """
    lines = [
        "| task | transitions | episodes | cut off | mean length | return 10 % / 50 % / 90 % | best | score "
        "| successes | terminals | action std | saturated |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        quantiles = "" if row.returns is None else " / ".join(f"{value:.0f}" for value in row.returns)
        best = "" if row.best is None else f"{row.best:.0f}"
        score = "" if row.score is None else f"{row.score:.1f}"
        successes = "" if row.successes is None else f"{row.successes:.1%}"
        lines.append(
            f"| {row.task} | {row.transitions:,} | {row.episodes:,} | {row.cut_off:,} | {row.mean_length:.0f} "
            f"| {quantiles} | {best} | {score} | {successes} | {row.terminals:.2%} | {row.action_std:.2f} "
            f"| {row.saturated:.1%} |"
        )
    return "\n".join(lines) + "\n"


def page(
    rows: Sequence[Statistics],
    *,
    tasks: Sequence[str],
    num_steps: int | None,
    command: str,
    examination: str = "",
) -> str:
    """Return the Markdown page with the table, the commands behind it and an explanation of the columns.

    Args:
        rows: Statistics, one per dataset.
        tasks: Value of --tasks.
        num_steps: Number of transitions of every dataset; None for the default sizes.
        command: Arguments of `experiments.collect` that write the page.
        examination: Section that compares scores on the datasets with published ones.
    """
    size = "" if num_steps is None else f" --num_steps={num_steps}"
    text = _PAGE.format(tasks=",".join(tasks), size=size, table=markdown_table(rows), command=command)
    return f"{text}\n{examination}" if examination else text
