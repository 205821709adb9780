"""Display names of systems."""

from ssar_jax.reporting.read.groups import Group
from ssar_jax.reporting.statistics.published import SYSTEM_NAMES


def system_name(group: Group) -> str:
    """Returns the display name of a group's system.

    A run's summary has it under `system`. Runs of older versions get the name that the paper or this library uses, and
    an unknown system is called `<algorithm> <variant>`.

    Args:
        group: the runs.
    """
    named = (run.system for run in group.runs if run.system)
    key = group.key.algorithm, group.key.variant
    return next(named, None) or SYSTEM_NAMES.get(key) or " ".join(key)


def label(group: Group) -> str:
    """Returns the display name of a group's system with the tag that tells it from others of the same name.

    Args:
        group: the runs.
    """
    return " ".join(filter(None, (system_name(group), group.tag)))
