"""Details of the runs behind a group's numbers: command, config, seeds, commit and data."""

import json
import zlib
from typing import Any

from ssar_jax.reporting.page.document import Details
from ssar_jax.reporting.read.groups import Group


def details_name(group: Group) -> str:
    """Returns the name of a group's details, to which its numbers link.

    Args:
        group: the runs.
    """
    return f"run-{zlib.crc32(str(group.runs[0].path).encode()):08x}"


def details(group: Group, title: str) -> Details:
    """Lists the runs of a group with the config of the first one, which the others share except for their seeds.

    Args:
        group: the runs.
        title: title of the details.
    """
    first = group.runs[0]
    summary = first.summary
    facts = [("distinguished by", group.note)] if group.note else []
    facts += [("changed from the preset", group.departures)] if group.departures else []
    facts += [
        ("seeds", ", ".join(map(str, group.seeds))),
        ("commit", ", ".join(group.commits)),
        ("data", f"{summary.get('data_name', group.key.data_source)}, sha256 {summary.get('dataset_hash')}"),
        ("packages", ", ".join(f"{name} {version}" for name, version in _packages(summary).items())),
    ]
    return Details(
        name=details_name(group),
        title=title,
        facts=facts,
        code=[
            ("folders", "\n".join(str(run.path) for run in group.runs)),
            ("commands to repeat the runs", "\n".join(run.command for run in group.runs)),
            ("config", json.dumps(first.config, indent=1, sort_keys=True)),
        ],
    )


def _packages(summary: dict[str, Any]) -> dict[str, str]:
    return summary.get("versions", {}).get("packages", {})
