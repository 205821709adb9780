"""Integer flags: written as in a config, refused in one line."""

import pytest
from absl import flags

from experiments.cli.integers import define_integer


def read(*arguments):
    """Returns the value of --num_steps, whose default is 7."""
    values = flags.FlagValues()
    steps = define_integer("num_steps", 7, "Steps.", lower_bound=1, flag_values=values)
    values(["command", *arguments])
    return steps.value


@pytest.mark.parametrize("text", ["20000", "20_000", "2e4"])
def test_it_is_written_as_in_a_config(text):
    assert read() == 7
    assert read(f"--num_steps={text}") == 20_000


@pytest.mark.parametrize(
    ("text", "message"), [("2.5", "2.5 is not a whole number"), ("0", "0 is not a positive integer")]
)
def test_what_does_not_fit(text, message):
    with pytest.raises(flags.IllegalFlagValueError, match=f"flag --num_steps={text}: {message}"):
        read(f"--num_steps={text}")
