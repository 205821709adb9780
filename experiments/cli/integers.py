"""Integer flags, which accept what the integers of a config accept: 20000, 20_000 or 2e4."""

from typing import Any

from absl import flags

from experiments.cli.values import parse_integer

flags.disclaim_key_flags()  # --help shows a flag with the command that defines it


class _Parser(flags.IntegerParser):
    def convert(self, argument: Any) -> int:
        return parse_integer(argument) if isinstance(argument, str) else super().convert(argument)


def define_integer(
    name: str, default: int | None, help: str, *, lower_bound: int | None = None, **options: Any
) -> flags.FlagHolder:
    """Defines an integer flag, as `flags.DEFINE_integer` does.

    Args:
        name: name of the flag.
        default: its value if the flag is not given.
        help: its line in `--help`.
        lower_bound: smallest value that is accepted; None for no bound.
        **options: as of `flags.DEFINE`.
    """
    parser, serializer = _Parser(lower_bound=lower_bound), flags.ArgumentSerializer()
    return flags.DEFINE(parser, name, default, help, serializer=serializer, **options)
