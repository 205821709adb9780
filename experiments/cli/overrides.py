"""Overrides of single config fields on the command line: `--config.<field>=<value>`."""

import difflib
import re
from collections.abc import Iterable, Sequence

from configs.common import IDENTITY, Config, fields
from experiments.cli.values import describe, parse_value
from ssar_jax.errors import UserError


def split_overrides(arguments: Sequence[str]) -> tuple[list[tuple[str, str | None]], list[str]]:
    """Takes the overrides out of a command line, in the forms `--config.x=1`, `--config.x 1`, `--noconfig.x`.

    Returns:
        (field, text) pairs in their order, the text None where no value follows, and the other arguments.
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
    """Sets fields from the command line; of two overrides of one field the later counts.

    Args:
        config: changed in place.
        overrides: as `split_overrides` returns them.

    Raises:
        UserError: for an unknown or unset name and for a value of the wrong type.
    """
    known = fields(config)
    for name, text in overrides:
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


def suggest_fields(name: str, known: Iterable[str], prefix: str = "") -> str:
    """Returns the end of a message about an unknown field: the nearest ones, all of its group, or all at the top."""
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
    """Returns up to three full field names like the given one, the likeliest first.

    The last part counts most: `lr` finds every `learning_rate` by its initials, `steps` every `num_steps` by
    its word, `lerning_rate` by its letters. Being in the group that was named adds to it.
    """
    group, _, last = name.rpartition(".")

    def likeness(full: str) -> float:
        full_group, _, full_last = full.rpartition(".")
        words = full_last.split("_")
        if last == full_last:
            score = 1.0
        elif last in (*words, "".join(word[:1] for word in words)):
            score = 0.9
        else:
            score = difflib.SequenceMatcher(None, last, full_last).ratio()
        return score + (0.2 if group and group == full_group else 0.0)

    scores = {full: likeness(full) for full in known}
    best = max(scores.values(), default=0.0)
    near = [full for full, score in scores.items() if score >= max(0.6, best - 0.1)]
    return sorted(near, key=lambda full: (-scores[full], full))[:3]
