"""The sections of a report that consist of tables and details."""

from collections import defaultdict
from collections.abc import Sequence
from typing import get_args

from ssar_jax.reporting.page.comparisons import aggregates_table, improvements_table
from ssar_jax.reporting.page.document import Section, Table, number, text
from ssar_jax.reporting.page.paper_tables import block_table, discrepancy_sentence, published_results
from ssar_jax.reporting.page.run_details import details, details_name
from ssar_jax.reporting.page.tables import results_table
from ssar_jax.reporting.read.folders import Skipped, State
from ssar_jax.reporting.read.groups import Group
from ssar_jax.reporting.statistics.blocks import PAPER_DATA, Block
from ssar_jax.reporting.statistics.names import label

_PHASES = {"offline": "offline training", "online": "online fine-tuning"}
_CORL_SENTENCE = (
    "Scores of systems that the paper does not have are CORL's (arXiv:2210.07105), after 1,000,000 updates (EDAC and "
    "SAC-N: 3,000,000) and, online, 1,000,000 steps, where the paper has 250,000. Cal-QL's offline scores are those "
    "before its fine-tuning."
)


def scores(blocks: Sequence[Block]) -> Section:
    """The last and the best scores of every group.

    Args:
        blocks: blocks of comparable results.
    """
    sentence = (
        "Last: score of the last evaluation, mean ± population standard deviation over seeds. Best: mean over seeds of "
        "each seed's best evaluation; it is chosen after the fact and biased upwards. For online runs, before is the "
        "score at the start of the online phase and area is the mean score over that phase."
    )
    numbered = [
        f"{label(group)} on {group.key.task}: {group.note}."
        for block in blocks
        for group in block.groups
        if group.tag != group.note
    ]
    return Section(
        title="Scores",
        sentences=[sentence, *numbered, *_departures(blocks)],
        tables=[results_table(block.groups, block.title) for block in blocks],
    )


def comparisons_with_paper(blocks: Sequence[Block]) -> list[Section]:
    """The published table of every phase that has runs on D4RL's data, with our scores in it.

    Args:
        blocks: blocks of comparable results.
    """
    found = []
    for phase, name in _PHASES.items():
        mine = [block for block in blocks if (block.phase, block.data_source) == (phase, PAPER_DATA)]
        if mine:
            sentences = [
                "Normalized scores of the last evaluation: mean ± population standard deviation over seeds. Totals are "
                "sums over all tasks of a domain, each with its own seeds, with 95 % bootstrap intervals. Published "
                "scores are for the v2 datasets.",
                _CORL_SENTENCE,
                discrepancy_sentence(phase),
                *_departures(mine),
            ]
            tables = [block_table(block) for block in mine]
            found.append(Section(title=f"Comparison with the paper: {name}", sentences=sentences, tables=tables))
    return found


def published_alone(blocks: Sequence[Block]) -> Section:
    """The published tables of the phases without a run on D4RL's data, collapsed.

    Args:
        blocks: blocks of comparable results.
    """
    covered = {block.phase for block in blocks if block.data_source == PAPER_DATA}
    phases = [phase for phase in _PHASES if phase not in covered]
    return Section(
        title="Published results without runs to compare",
        sentences=[
            "Normalized scores as published, for the v2 datasets. No run on D4RL's data was found for these tables.",
            _CORL_SENTENCE,
            *dict.fromkeys(discrepancy_sentence(phase) for phase in phases),
        ],
        tables=[published_results(phase) for phase in phases],
        collapsed=True,
    )


def other_datasets(blocks: Sequence[Block]) -> Section:
    """Results on data that are not D4RL's, without the paper's.

    Args:
        blocks: blocks of comparable results.
    """
    tables = [block_table(block) for block in blocks if block.data_source != PAPER_DATA]
    sentence = "These datasets are not D4RL's: the scores are NOT comparable with published ones."
    return Section(title="Results on other datasets", sentences=[sentence], tables=tables)


def aggregate_scores(blocks: Sequence[Block]) -> Section:
    """Aggregates over tasks and seeds, and probabilities of improvement.

    Args:
        blocks: blocks of comparable results.
    """
    sentence = (
        "Statistics of the last scores with 95 % bootstrap intervals, stratified by task; a system with one seed has "
        "no interval. IQM: mean of the middle half of all runs. Optimality gap: mean distance below a score of 100; "
        "lower is better. Probability of improvement: probability that a run of one system beats a run of the other on "
        "the same task; 0.5 if they are equal. Only systems on the same tasks are comparable. Seeds without a score on "
        "every task are left out."
    )
    tables = [table for block in blocks for table in (aggregates_table(block), improvements_table(block)) if table]
    return Section(title="Aggregate scores", sentences=[sentence], tables=tables)


def speed(groups: Sequence[Group]) -> Section:
    """Updates per second, wall time and device of every run.

    Args:
        groups: the finished runs, grouped.
    """
    headings = ["task", "system", "phase", "seeds", "updates/s", "steps/s", "wall time", "device"]
    rows = [
        [
            text(group.key.task, details_name(group)),
            text(label(group)),
            text(group.key.phase),
            number(len(run.summary["seeds"]), "{:.0f}".format),
            number(run.updates_per_second, "{:,.0f}".format),
            number(run.summary.get("steps_per_second"), "{:,.0f}".format),
            number(run.wall_seconds, _duration),
            text(run.device or ""),
        ]
        for group in groups
        for run in group.runs
    ]
    sentence = (
        "Updates and environment steps per second are per seed, without evaluation; all seeds of a run train at the "
        "same time. Wall time is hours:minutes:seconds since the start or the last resume."
    )
    table = Table(caption="Speed of every run", headings=headings, rows=rows)
    return Section(title="Training speed", sentences=[sentence], tables=[table])


def folders(groups: Sequence[Group], skipped: Sequence[Skipped]) -> Section:
    """Every folder with its state: finished, unfinished, diverged or left out.

    Args:
        groups: the finished runs, grouped.
        skipped: the folders left out.
    """
    rows = [
        [text(str(run.path), details_name(group)), text("finished"), text(title(group))]
        for group in groups
        for run in group.runs
    ]
    rows += [[text(str(each.path)), text(each.state), text(each.reason)] for each in skipped]
    states = [state.text for _, state, _ in rows]
    counts = ", ".join(f"{states.count(state)} {state}" for state in ("finished", *get_args(State)))
    return Section(
        title="Folders",
        sentences=[f"Folders found: {counts}. Only finished runs are in this report."],
        tables=[
            Table(
                caption="All folders with a run or unknown files",
                headings=["folder", "state", "run or reason"],
                rows=rows,
            )
        ],
    )


def run_details(groups: Sequence[Group]) -> Section:
    """The command, config, seeds and commit of every group.

    Args:
        groups: the finished runs, grouped.
    """
    return Section(
        title="Run details",
        sentences=["Run the commands from the root of the repository at the given commit. Scores above link here."],
        details=[details(group, title(group)) for group in groups],
    )


def title(group: Group) -> str:
    """Describes a group in one line.

    Args:
        group: the runs.
    """
    key = group.key
    return f"{label(group)} on {key.task}, {key.phase}, {key.data_source} data, preset {key.preset}, {key.physics}"


def _departures(blocks: Sequence[Block]) -> list[str]:
    """Lists the settings that differ from the preset, a sentence for every set of changes."""
    changed: dict[tuple[str, str], list[str]] = defaultdict(list)
    for block in blocks:
        for group in block.groups:
            if group.departures:
                changed[group.key.preset, group.departures].append(f"{label(group)} on {group.key.task}")
    return [
        f"Changed from preset {preset}: {fields} ({', '.join(dict.fromkeys(found))})."
        for (preset, fields), found in changed.items()
    ]


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
