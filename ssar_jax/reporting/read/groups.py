"""Puts together the runs that differ in their seeds alone, and an online phase with the offline one before it."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ssar_jax.nested import flatten
from ssar_jax.reporting.read.curves import Curve, merge
from ssar_jax.reporting.read.runs import Key, Run, Skipped
from ssar_jax.run_format import FREE_ONLINE

_SHORT = 40  # letters of a note that can stand in a table or a legend


@dataclass(frozen=True)
class Group:
    """Runs that differ in their seeds alone.

    Attributes:
        key: what names their numbers.
        runs: in the order of their folders.
        note: the settings that tell this group from others of the same key; empty where there is no other.
        tag: the note where it is short, and else a number that stands for it in all groups of the algorithm.
        departures: the settings that are not those of the preset; empty where all are.
    """

    key: Key
    runs: tuple[Run, ...]
    note: str
    tag: str
    departures: str

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of all runs, in order."""
        return tuple(sorted(seed for run in self.runs for seed in run.summary["seeds"]))

    @property
    def commits(self) -> tuple[str, ...]:
        """Those that the runs were made at, in order; `unknown` for one made outside a repository."""
        return tuple(sorted({run.commit or "unknown" for run in self.runs}))

    def curve(self, phase: str | None = None) -> Curve:
        """The scores [S, E] of all seeds of all runs, as `Run.curve`."""
        return merge([run.curve(phase) for run in self.runs])

    def metric(self, name: str) -> Curve:
        """A column of `train.csv` of all seeds of all runs, as `Run.metric`."""
        return merge([run.metric(name) for run in self.runs])


def group_runs(
    runs: Iterable[Run], preset_of: Callable[[Run], dict[str, Any] | None] = lambda run: None
) -> tuple[list[Group], list[Skipped]]:
    """Puts runs together that differ in their seeds alone.

    Runs of one key may still differ, in a field set on the command line or in their data. They are never mixed: each
    kind is a group of its own, told apart by its note.

    Args:
        runs: finished ones.
        preset_of: the config that a run would have had without a field set on the command line; None where unknown.

    Returns:
        The groups, sorted by key, and the runs left out because their seeds are counted already.
    """
    kinds: dict[Key, dict[str, list[Run]]] = defaultdict(lambda: defaultdict(list))
    skipped = []
    for run in runs:
        alike = kinds[run.key][json.dumps(_setup(run), sort_keys=True)]
        twins = [other.path for other in alike if set(other.summary["seeds"]) & set(run.summary["seeds"])]
        if twins:
            skipped.append(Skipped(run.path, f"repeats seeds of {twins[0]}"))
        else:
            alike.append(run)
    found = []
    for key in sorted(kinds):
        setups = {text: json.loads(text) for text in kinds[key]}
        for text, alike in kinds[key].items():
            found.append((key, tuple(alike), _note(setups[text], list(setups.values()))))
    notes = {key[:3]: {} for key, _, _ in found}
    for key, _, note in found:
        if len(note) > _SHORT:
            notes[key[:3]].setdefault(note, f"#{len(notes[key[:3]]) + 1}")
    return [
        Group(key, alike, note, notes[key[:3]].get(note, note), _departures(alike[0], preset_of(alike[0])))
        for key, alike, note in found
    ], skipped


def offline_phase(online: Group, groups: Sequence[Group]) -> Group | None:
    """The group that an online one goes on from; None where it is not among the groups."""
    for group in groups:
        shared = set(group.seeds) & set(online.seeds)
        if group.key.phase == "offline" and shared and _inherited(group) == _inherited(online):
            return group
    return None


def _setup(run: Run) -> dict[str, Any]:
    """What results depend on besides the seed: the data, and the config but for what this phase does not read."""
    # An online phase goes on from the updates that its offline run had, whatever its own config says.
    unread = ["seed", "num_seeds", "checkpoint", "num_updates"] + ["online"] * (run.key.phase == "offline")
    read = {name: value for name, value in run.config.items() if name not in unread}
    offline_updates = run.summary["num_updates"] - run.summary.get("online_updates", 0)
    return flatten(read) | {"dataset_hash": run.summary.get("dataset_hash"), "offline_updates": offline_updates}


def _inherited(group: Group) -> dict[str, Any]:
    """What an online phase takes over from the offline one, its number of updates included."""
    free = tuple(f"{name}." for name in FREE_ONLINE)
    return {name: value for name, value in _setup(group.runs[0]).items() if not f"{name}.".startswith(free)}


def _departures(run: Run, preset: dict[str, Any] | None) -> str:
    """The fields in which a run's setup is not what its preset makes it; a field that came later is none."""
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
