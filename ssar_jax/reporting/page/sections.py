"""The sections of a report on runs, in the order in which they are read."""

from collections import defaultdict
from collections.abc import Sequence
from typing import get_args

from ssar_jax.reporting.page.comparisons import aggregates_table, improvements_table
from ssar_jax.reporting.page.document import Section, Table, number, text
from ssar_jax.reporting.page.origin import details, details_name
from ssar_jax.reporting.page.paper_tables import block_table, slip_sentence
from ssar_jax.reporting.page.tables import results_table
from ssar_jax.reporting.read.groups import Group
from ssar_jax.reporting.read.names import label
from ssar_jax.reporting.read.runs import Skipped, State
from ssar_jax.reporting.statistics.blocks import PAPER_DATA, Block

_PHASES = {
    "offline": "Offline, beside the paper",
    "online": "Offline to online, beside the paper",
}


def what_was_read(groups: Sequence[Group], skipped: Sequence[Skipped]) -> Section:
    """Every folder with its state: finished, unfinished, diverged, or left out."""
    rows = [
        [text(str(run.path), details_name(group)), text("finished"), text(title(group))]
        for group in groups
        for run in group.runs
    ]
    rows += [[text(str(path)), text(state), text(reason)] for path, reason, state in skipped]
    states = [state.text for _, state, _ in rows]
    counts = ", ".join(f"{states.count(state)} {state}" for state in ("finished", *get_args(State)))
    return Section(
        "What was read",
        [f"Folders: {counts}. Only finished runs count below."],
        [Table("Every folder that holds a run, or may be taken for one", ["folder", "state", "what it is"], rows)],
    )


def beside_the_paper(blocks: Sequence[Block]) -> list[Section]:
    """The paper's two tables; the published numbers stand there without ours too."""
    sections = []
    for phase, heading in _PHASES.items():
        mine = [block for block in blocks if (block.phase, block.data_source) == (phase, PAPER_DATA)]
        tables = [block_table(block) for block in mine or [Block(phase, PAPER_DATA, "–", "–", ())]]
        sentences = [
            "Normalised scores of the last evaluation: mean ± population standard deviation over seeds. Totals add "
            "up all tasks of a domain, each over its own seeds, with 95 % bootstrap intervals. The paper's numbers are "
            "those of its v2 datasets.",
            slip_sentence(phase),
            *_departures(mine),
        ]
        sections.append(Section(heading, sentences, tables))
    return sections


def on_other_data(blocks: Sequence[Block]) -> Section:
    """Results on data that are not D4RL's: never beside the paper's."""
    tables = [block_table(block) for block in blocks if block.data_source != PAPER_DATA]
    sentence = "These data are not D4RL's: their scores are NOT comparable with published ones, and none stands beside."
    return Section("On other data", [sentence], tables)


def last_and_best(blocks: Sequence[Block]) -> Section:
    """The last score, and by itself the best one."""
    sentence = (
        "Last: of the last evaluation. Best: the mean over seeds of each seed's best evaluation, a look back at all of "
        "them and no estimate of what a policy chosen without looking would score. Online, before is the score at the "
        "switch and area the mean score over the phase."
    )
    numbered = [
        f"{label(group)} on {group.key.task}: {group.note}."
        for block in blocks
        for group in block.groups
        if group.tag != group.note
    ]
    return Section(
        "Last and best scores",
        [sentence, *numbered, *_departures(blocks)],
        [results_table(block.groups, block.title) for block in blocks],
    )


def _departures(blocks: Sequence[Block]) -> list[str]:
    """What was not run as its preset has it, a sentence for every set of changes."""
    changed: dict[tuple[str, str], list[str]] = defaultdict(list)
    for block in blocks:
        for group in block.groups:
            if group.departures:
                changed[group.key.preset, group.departures].append(f"{label(group)} on {group.key.task}")
    return [
        f"Not as preset {preset} has it, {fields}: {', '.join(dict.fromkeys(found))}."
        for (preset, fields), found in changed.items()
    ]


def over_tasks_and_seeds(blocks: Sequence[Block]) -> Section:
    """Aggregates and the probability of improvement."""
    sentences = [
        "Of the last scores, with 95 % bootstrap intervals stratified by task; one seed has none. IQM: mean of the "
        "middle half of all runs. Optimality gap: how far scores stay below 100 in the mean, less is better. "
        "Probability of improvement: that a run of one system beats one of the other on the same task, 0.5 where they "
        "are equal. Only systems with the same tasks compare; seeds without a score on every task are left out.",
    ]
    tables = [table for block in blocks for table in (aggregates_table(block), improvements_table(block)) if table]
    return Section("Over tasks and seeds", sentences, tables)


def speed(groups: Sequence[Group]) -> Section:
    """Updates per second, wall time and device of every run."""
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
        "Updates and environment steps per second are those of each seed, without evaluation; all seeds of a run train "
        "at once. The wall time is that since the start, or since the latest resumption."
    )
    return Section("Speed", [sentence], [Table("A line for every run", headings, rows)])


def origins(groups: Sequence[Group]) -> Section:
    """The command, config, seeds and commit behind every number."""
    sentence = "Run from the repository root at the commit named; numbers above link here."
    return Section("Behind the numbers", [sentence], details=[details(group, title(group)) for group in groups])


def title(group: Group) -> str:
    """What a group is, in a line."""
    key = group.key
    return f"{label(group)} on {key.task}, {key.phase}, {key.data_source} data, preset {key.preset}, {key.physics}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
