"""Overrides of single config fields on the command line: `--config.<field>=<value>`.

We parse them ourselves and not with `ml_collections.config_flags`. We tried its `DEFINE_config_dict` in place of
`apply_overrides`, with `parse_integer` registered for integers, and nineteen tests of what users see failed:

* It calls the parser of a type, whatever the field: `none` does not unset a number, an empty text is a value, and any
  text passes as an action bound.
* An unknown field ends in an AttributeError without the name of a field, and a bad value in absl's words.
* It lets a whole group be replaced, `--config.actor={}`, and the fields that name the config, `--config.task=...`.
* It joins two overrides of a tuple, where the later one should count.
* It leaves the command line to absl, which reads `--config.seed --resume` as a seed, takes no `-1` after the field of a
  bound, and needs `=` before the value of a boolean.
* It wants `--config` before the overrides, and reads Python files but not the config.json of a run.

Every check below would remain, and so would `split_overrides`, for a sweep applies the same overrides to many configs.
What it could replace is one call of `parse_value`.
"""

import difflib
import logging
import re
from collections.abc import Iterable, Sequence

from configs.common import IDENTITY, Config, fields
from experiments.cli.values import describe, parse_value
from ssar_jax.errors import UserError
from ssar_jax.run_format import RENAMED_FIELDS

_LOG = logging.getLogger(__name__)


def split_overrides(arguments: Sequence[str]) -> tuple[list[tuple[str, str | None]], list[str]]:
    """Splits a command line into overrides, `--config.x=1`, `--config.x 1` or `--noconfig.x`, and other arguments.

    Args:
        arguments: the command line.

    Returns:
        (field, text) pairs in their order, the text None if no value follows, and the other arguments.
    """
    overrides: list[tuple[str, str | None]] = []
    others: list[str] = []
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        if argument == "--":
            return overrides, [*others, argument, *waiting]
        match = re.fullmatch(r"--?(?:config\.([^=]*)(?:=(.*))?|noconfig\.([^=]*))", argument, re.DOTALL)
        if match is None:
            others.append(argument)
            continue
        field, text, negated = match.groups()
        if negated is not None:
            field, text = negated, "false"
        elif text is None and waiting and not re.match(r"--|-[a-z?]", waiting[0]):  # -1 is a value
            text = waiting.pop(0)
        overrides.append((field, text))
    return overrides, others


def apply_overrides(config: Config, overrides: Iterable[tuple[str, str | None]]) -> None:
    """Sets fields from the command line; the later of two overrides of a field counts.

    Args:
        config: changed in place.
        overrides: as `split_overrides` returns them.

    Raises:
        UserError: for an unknown field, a missing value, or a value of the wrong type.
    """
    known = fields(config)
    for given, text in overrides:
        name = current_name(given, "--config.")
        flag = f"--config.{name}"
        if name in IDENTITY:
            raise UserError(f"{flag} cannot be set; choose it in --config=configs/<algorithm>.py:<task>,...")
        if name not in known:
            inside = [f"--config.{full}" for full in known if full.startswith(f"{name}.")]
            if inside:
                raise UserError(f"{flag} is a group; set one of its fields: {', '.join(inside)}")
            raise UserError(f"unknown field {flag}{suggest_fields(name, known, prefix='--config.')}")
        field = known[name]
        if text is None and field.kind is bool:
            text = "true"
        if not text:
            raise UserError(f"{flag} has no value; write {flag}=<{describe(field)}>")
        config.update_from_flattened_dict({name: parse_value(flag, text, field)})


def current_name(name: str, prefix: str) -> str:
    """Returns the current name of a field, with a warning if the given name is an old one.

    Args:
        name: full name of the field.
        prefix: what the warning puts before the name, such as the file that it is in.
    """
    current = RENAMED_FIELDS.get(name, name)
    if current != name:
        _LOG.warning("%s%s is the old name of %s", prefix, name, current)
    return current


def suggest_fields(name: str, known: Iterable[str], prefix: str = "") -> str:
    """Returns the hint of a message about an unknown field: the nearest fields, or those of its group.

    Without either it lists the groups and fields at the top.

    Args:
        name: the unknown name.
        known: full names of all fields.
        prefix: what the hint puts before each name.
    """
    known, group = list(known), name.rpartition(".")[0]
    near = nearest_fields(name, known)
    inside = [full for full in known if group and full.rpartition(".")[0] == group]
    of_group = ""
    if inside and not {*near} & {*inside}:
        of_group = f"; {group} has {', '.join(full.rpartition('.')[2] for full in inside)}"
    if near:
        return f"{of_group}; did you mean {', '.join(prefix + full for full in near)}?"
    return of_group or f"; the fields are {', '.join(sorted({full.partition('.')[0] for full in known} - {*IDENTITY}))}"


def nearest_fields(name: str, known: Iterable[str]) -> list[str]:
    """Returns up to three full field names that are near the given one, the nearest first.

    The last part counts most: `lr` matches the initials of `learning_rate`, `steps` a word of `num_steps`, and
    `lerning_rate` most letters. A field in the same group counts more.

    Args:
        name: the unknown name.
        known: full names of all fields.
    """
    group, _, last = name.rpartition(".")

    def similarity(full: str) -> float:
        full_group, _, full_last = full.rpartition(".")
        words = full_last.split("_")
        if last == full_last:
            score = 1.0
        elif last in (*words, "".join(word[:1] for word in words)):
            score = 0.9
        else:
            score = difflib.SequenceMatcher(None, last, full_last).ratio()
        return score + (0.2 if group and group == full_group else 0.0)

    scores = {full: similarity(full) for full in known}
    best = max(scores.values(), default=0.0)
    near = [full for full, score in scores.items() if score >= max(0.6, best - 0.1)]
    return sorted(near, key=lambda full: (-scores[full], full))[:3]
