"""Reads files that it is told of and says what came of each; see `tests.campaigns.corpus`.

Every line of the input is a JSON list of kind and path. The output is `ready`, then a JSON list of outcome and message
for every line of the input.
"""

import contextlib
import io
import json
import logging
import sys
import warnings
from pathlib import Path

import numpy as np

from ssar_jax.data.dataset import OfflineDataset
from ssar_jax.data.sources.find import load_dataset
from ssar_jax.data.tasks import get_task
from ssar_jax.errors import UserError
from ssar_jax.reporting.read.folders import read_runs
from ssar_jax.runs.load import load_policy
from ssar_jax.runs.parent import ParentRun
from tests.campaigns.odd_files import TASK, reference, reference_actions


def _digest_of_dataset(path: Path) -> str:
    def generate(task: object) -> OfflineDataset:
        raise AssertionError(f"nothing is generated for {task}")

    dataset = load_dataset(get_task(TASK), source="path", path=path, embedded=generate)
    return _same(dataset.arrays(), reference().arrays())


def _same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> str:
    equal = all(np.array_equal(found[key], expected[key]) for key in expected)
    return "equal" if equal else "other numbers"


def _read(kind: str, path: Path) -> str:
    """Returns the outcome of reading a file, unless an error is raised."""
    if kind != "run":
        return _digest_of_dataset(path)
    read_runs(path.parent)  # a damaged run is left out with its reason
    _read_as_parent(path)
    actions = load_policy(path)(reference().observations[:4])
    return _same({"actions": actions}, {"actions": reference_actions(path.parent)})


def _read_as_parent(run: Path) -> None:
    """Reads a run as the one that an online run starts from, which may refuse it."""
    with contextlib.suppress(UserError):
        ParentRun(run)


def main() -> None:
    """Answers until the input ends."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    print("ready", flush=True)
    for line in sys.stdin:
        kind, path = json.loads(line)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                answer = _read(kind, Path(path)), ""
        except UserError as error:
            answer = "refused", str(error)
        except Exception as error:  # this is what the campaign looks for
            answer = "traceback", f"{type(error).__name__}: {error}"
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
