"""Processes that are asked for one thing: their answer, or why there is none."""

import sys

import pytest

from experiments.cli import children
from tests.data.helpers import user_error


def ask(program):
    return children.ask([sys.executable, "-S", "-c", f"import os, sys\n{program}"], failure="no answer")


def test_the_last_line_is_the_answer():
    assert ask("print('working'); print('[1.5, 2]')") == [1.5, 2]


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("raise KeyError('bug')", "KeyError: 'bug'"),
        ("sys.exit('error: no such data')", "no such data"),
        ("os.kill(os.getpid(), 9)", "killed by SIGKILL"),
        ("print('a warning', file=sys.stderr, flush=True); os.kill(os.getpid(), 9)", "killed by SIGKILL; a warning"),
        ("sys.exit(137)", "exit status 137"),  # as a shell says of a process that was killed
    ],
)
def test_why_there_is_none(program, why):
    with user_error(f"no answer: {why}"):
        ask(program)
