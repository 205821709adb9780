"""What stands behind the numbers of a group: command, config, seeds, commit and data."""

import json
import zlib

from ssar_jax.reporting.page.document import Details
from ssar_jax.reporting.read.groups import Group


def details_name(group: Group) -> str:
    """The name that links to the details of a group lead to."""
    return f"run-{zlib.crc32(str(group.runs[0].path).encode()):08x}"


def details(group: Group, title: str) -> Details:
    """The runs of a group; they share the config of the first one but for their seeds."""
    first = group.runs[0]
    summary = first.summary
    facts = [("set apart by", group.note)] if group.note else []
    facts += [("not as the preset", group.departures)] if group.departures else []
    facts += [
        ("seeds", ", ".join(map(str, group.seeds))),
        ("commit", ", ".join(group.commits)),
        ("data", f"{summary.get('data_name', group.key.data_source)}, sha256 {summary.get('dataset_hash')}"),
        ("packages", ", ".join(f"{name} {version}" for name, version in _packages(summary).items())),
    ]
    commands = "\n".join(run.command for run in group.runs)
    folders = "\n".join(str(run.path) for run in group.runs)
    config = json.dumps(first.config, indent=1, sort_keys=True)
    return Details(details_name(group), title, facts, [("folders", folders), ("again", commands), ("config", config)])


def _packages(summary: dict) -> dict[str, str]:
    return summary.get("versions", {}).get("packages", {})
