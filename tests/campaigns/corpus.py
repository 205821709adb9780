"""Reads some hundred damaged or odd files and requires of each one clear line or the numbers of the intact file.

    python -m tests.campaigns.corpus --seed=0

Every file is a variant of one small dataset, as HDF5, `.npz` or Minari dataset, or of one small run folder. What a
variant must lead to is known when it is made (`Outcome`). Worker processes read the files, so that a crash of a library
or an endless loop is a result like any other.
"""

import argparse
import collections
import json
import os
import selectors
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.campaigns.odd_files import Case, Outcome, make_cases
from tests.smoke import small_run

_LIMIT = 60.0  # s, for one file
_START_LIMIT = 300.0  # s, for the imports of a worker


class Result(NamedTuple):
    """What reading a file led to.

    Attributes:
        case: the file.
        found: one of `equal`, `other numbers`, `refused`, `traceback`, `crash` or `hang`.
        message: the error, if there was one.
    """

    case: Case
    found: str
    message: str

    @property
    def is_right(self) -> bool:
        """Whether the file led to what it had to."""
        allowed = {
            Outcome.EQUAL: {"equal"},
            Outcome.REFUSED: {"refused"},
            Outcome.EITHER: {"equal", "refused"},
            Outcome.UNPROTECTED: {"equal", "refused", "other numbers"},
        }[self.case.outcome]
        return self.found in allowed and "\n" not in self.message.strip()


class _Worker:
    """A process that reads one file after the other."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.campaigns.corpus_worker"],
            cwd=small_run.ROOT,
            env=os.environ | {"JAX_PLATFORMS": "cpu"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

        assert self._answer(_START_LIMIT), "the worker does not start"

    def _answer(self, limit: float) -> str | None:
        """Returns the next line of output: None if there is none in time, empty if the process has died."""
        output = self._process.stdout
        assert output is not None
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            return output.readline() if selector.select(limit) else None

    def read(self, case: Case) -> Result:
        """Reads a file; after anything but an answer the worker is dead."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([case.kind, str(case.path)]) + "\n")
        self._process.stdin.flush()
        answer = self._answer(_LIMIT)
        if answer:
            found, message = json.loads(answer)
            return Result(case, found, message)
        self.close()
        return Result(case, "hang" if answer is None else "crash", "")

    @property
    def is_alive(self) -> bool:
        """Whether it can read another file."""
        return self._process.poll() is None

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.communicate()


def read_all(cases: Iterable[Case]) -> list[Result]:
    """Reads every file in a worker, and in a new one after each that has died."""
    results, worker = [], _Worker()
    for case in cases:
        if not worker.is_alive:
            worker = _Worker()
        results.append(worker.read(case))
    worker.close()
    return results


def campaign(seed: int, report: bool = True) -> list[Result]:
    """Makes and reads all files.

    Args:
        seed: seed of everything that is random about them.
        report: whether to print the counts, and every wrong result.

    Returns:
        The results.
    """
    with tempfile.TemporaryDirectory(prefix="corpus-") as name:
        results = read_all(make_cases(Path(name), seed))
    if report:
        print("\n".join(_table(results)))
        for each in results:
            if not each.is_right:
                print(f"WRONG {each.case.name}: {each.found}, not {each.case.outcome.value}: {each.message}")
    return results


def _table(results: Sequence[Result]) -> list[str]:
    """Returns a Markdown table of the outcomes by kind of file."""
    outcomes = ("equal", "refused", "other numbers", "traceback", "crash", "hang")
    lines = [f"| kind | files | {' | '.join(outcomes)} |", "|---" * (len(outcomes) + 2) + "|"]
    for kind in dict.fromkeys(each.case.kind for each in results):
        found = collections.Counter(each.found for each in results if each.case.kind == kind)
        cells = " | ".join(str(found[outcome]) for outcome in outcomes)
        lines.append(f"| {kind} | {found.total()} | {cells} |")
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    wrong = [each for each in campaign(parser.parse_args().seed) if not each.is_right]
    sys.exit(f"{len(wrong)} files led to something else than they had to" if wrong else 0)
