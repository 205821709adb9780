"""Groups runs that differ only in their seeds, and finds the offline group behind an online one."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ssar_jax.nested import flatten
from ssar_jax.reporting.read.curves import Curve, merge
from ssar_jax.reporting.read.folders import Skipped
from ssar_jax.reporting.read.runs import Key, Run
from ssar_jax.run_format import FIELDS_WITHOUT_EFFECT, FREE_ONLINE, IMPLIED_FIELDS

_SHORT = 40  # characters of a note that fits into a table or a legend


@dataclass(frozen=True)
class Group:
    """Runs that differ only in their seeds.

    Attributes:
        key: what identifies their numbers.
        runs: the runs, in the order of their folders.
        note: the settings that distinguish this group from others with the same key; empty if there are none.
        tag: a short name of the note: the note itself, or a number such as `#1` if the note is long. The same note has
            the same number in all groups of an algorithm.
        departures: the settings that differ from the preset; empty if there are none.
    """

    key: Key
    runs: tuple[Run, ...]
    note: str
    tag: str
    departures: str

    @property
    def adapts(self) -> bool:
        """Whether all runs trained a state-adaptive coefficient."""
        return all(run.adapts for run in self.runs)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of all runs in increasing order."""
        return tuple(sorted(seed for run in self.runs for seed in run.summary["seeds"]))

    @property
    def commits(self) -> tuple[str, ...]:
        """The commits of the runs in sorted order; `unknown` for a run outside a repository."""
        return tuple(sorted({run.commit or "unknown" for run in self.runs}))

    def curve(self, phase: str | None = None) -> Curve:
        """Returns the scores [S, E] of the seeds of all runs; see `Run.curve`.

        Args:
            phase: `offline` or `online`; by default the phase of the runs.
        """
        return merge([run.curve(phase) for run in self.runs])

    def metric(self, name: str) -> Curve:
        """Returns a column of `train.csv` for the seeds of all runs; see `Run.metric`.

        Args:
            name: name of the column, such as `coefficient/n`.
        """
        return merge([run.metric(name) for run in self.runs])


def group_runs(
    runs: Iterable[Run], preset_of: Callable[[Run], dict[str, Any] | None] = lambda run: None
) -> tuple[list[Group], list[Skipped]]:
    """Groups runs that differ only in their seeds.

    Runs with the same key may differ in their settings or their data. They are never mixed: each combination is a
    group with a note that tells it apart.

    Args:
        runs: finished runs.
        preset_of: returns the config of a run's preset without any field set on the command line, or None if it is
            unknown.

    Returns:
        The groups, sorted by key, and the runs left out because another run has their seeds.
    """
    kinds: dict[Key, dict[str, list[Run]]] = defaultdict(lambda: defaultdict(list))
    skipped = []
    for run in runs:
        # A run of an older version lacks the fields that were added since; a new field that is unset changes nothing.
        used = {name: value for name, value in _setup(run).items() if value is not None}
        alike = kinds[run.key][json.dumps(used, sort_keys=True)]
        twins = [other.path for other in alike if set(other.summary["seeds"]) & set(run.summary["seeds"])]
        if twins:
            skipped.append(Skipped(path=run.path, reason=f"repeats seeds of {twins[0]}"))
        else:
            alike.append(run)
    found = []
    for key in sorted(kinds):
        setups = {text: json.loads(text) for text in kinds[key]}
        for text, alike in kinds[key].items():
            found.append((key, tuple(alike), _note(setups[text], list(setups.values()))))
    tags = _tags((key, note) for key, _, note in found)
    groups = [
        Group(
            key=key,
            runs=alike,
            note=note,
            tag=tags[key[:3], note],
            departures=_departures(alike[0], preset_of(alike[0])),
        )
        for key, alike, note in found
    ]
    return groups, skipped


def offline_phase(online: Group, groups: Sequence[Group]) -> Group | None:
    """Returns the offline group that an online group continues, or None if it is not among the groups.

    Args:
        online: a group of online runs.
        groups: the groups to search.
    """
    for group in groups:
        shared = set(group.seeds) & set(online.seeds)
        if group.key.phase == "offline" and shared and _inherited(group) == _inherited(online):
            return group
    return None


def _tags(notes: Iterable[tuple[Key, str]]) -> dict[tuple[tuple[str, ...], str], str]:
    """Returns (phase, algorithm, variant), note -> the note if it is short, else a number among the long ones."""
    tags: dict[tuple[tuple[str, ...], str], str] = {}
    counts: dict[tuple[str, ...], int] = defaultdict(int)
    for key, note in notes:
        system = key[:3]
        if (system, note) not in tags:
            counts[system] += len(note) > _SHORT
            tags[system, note] = note if len(note) <= _SHORT else f"#{counts[system]}"
    return tags


def _setup(run: Run) -> dict[str, Any]:
    """Everything but the seed that determines a run's results: its data and the config fields that its phase reads."""
    # The updates before an online phase are those of its offline run, whatever its own config says.
    unread = ["seed", "num_seeds", "checkpoint", "num_updates"] + ["online"] * (run.key.phase == "offline")
    read = {name: value for name, value in run.config.items() if name not in unread}
    offline_updates = run.summary["num_updates"] - run.summary.get("online_updates", 0)
    dataset = run.summary.get("dataset_hash")
    fields = {name: value for name, value in flatten(read).items() if name not in FIELDS_WITHOUT_EFFECT}
    setup = IMPLIED_FIELDS | fields | {"dataset_hash": dataset, "offline_updates": offline_updates}
    # The same data may be in different places on different machines.
    return setup if dataset is None else setup | {"dataset.path": None}


def _inherited(group: Group) -> dict[str, Any]:
    """The settings that an online phase inherits from the offline one, including its number of updates."""
    free = tuple(f"{name}." for name in FREE_ONLINE)
    return {name: value for name, value in _setup(group.runs[0]).items() if not f"{name}.".startswith(free)}


def _departures(run: Run, preset: dict[str, Any] | None) -> str:
    """The fields in which a run differs from its preset; fields that the run does not have do not count."""
    if preset is None:
        return ""
    summary = run.summary | {"num_updates": preset["num_updates"], "online_updates": 0}
    published, setup = _setup(replace(run, config=preset, summary=summary)), _setup(run)
    return ", ".join(f"{name}={setup[name]}" for name in sorted(setup) if setup[name] != published.get(name))


def _note(setup: dict[str, Any], setups: list[dict[str, Any]]) -> str:
    """The fields of a setup in which the setups differ."""
    names = sorted({name for other in setups for name in other})
    different = [name for name in names if any(other.get(name) != setup.get(name) for other in setups)]
    return ", ".join(f"{name}={setup.get(name)}" for name in different)
