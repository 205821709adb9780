"""Checkpoints: bit for bit, atomic, and refused if they do not fit."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import ml_dtypes
import numpy as np
import pytest

from ssar_jax.runs.storage import checkpoints as module
from ssar_jax.runs.storage.checkpoints import Checkpoints
from tests.data.helpers import user_error


class State(NamedTuple):
    """Two seeds with every type that a state may contain, including an empty tuple and nested trees."""

    params: dict
    count: np.ndarray
    active: np.ndarray
    nothing: tuple = ()


def make_state(seed: int = 0) -> State:
    rng = np.random.default_rng(seed)
    single, half = rng.normal(size=(2, 3, 4)).astype(np.float32), rng.normal(size=2)
    single[0, 0, :3] = np.nan, -0.0, 1e-45  # the smallest float32 above zero
    params = {"layer0": {"kernel": single, "bias": half.astype(np.float16)}, "low": half.astype(ml_dtypes.bfloat16)}
    return State(params, np.int32([3, 2**31 - 1]), np.array([True, False]))


def assert_same_bytes(first: State, second: State) -> None:
    assert jax.tree.structure(first) == jax.tree.structure(second)
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run" / "checkpoints"


@pytest.fixture
def checkpoints(folder: Path) -> Iterator[Checkpoints]:
    checkpoints = Checkpoints(folder, keep=2)
    yield checkpoints
    checkpoints.close()


def test_states_come_back_bit_for_bit(checkpoints, folder):
    state = make_state()
    assert checkpoints.latest_step is None
    checkpoints.save(7, state)
    zeros = jax.tree.map(np.zeros_like, state)
    assert_same_bytes(checkpoints.restore(7, zeros), state)
    other = Checkpoints(folder, keep=2)  # as another process would
    assert other.latest_step == 7
    assert_same_bytes(other.restore(7, zeros), state)
    other.close()


FULL = """
import resource
import sys
from pathlib import Path

import numpy as np

from ssar_jax.errors import UserError
from ssar_jax.runs.storage.checkpoints import Checkpoints

state, folder = {"values": np.random.default_rng(0).normal(size=100_000)}, Path(sys.argv[1])
first = Checkpoints(folder, keep=2)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))  # bytes of a file
try:
    first.save(10, state)
except UserError as error:
    print(error)
first.close()
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
second = Checkpoints(folder, keep=2)
print(second.latest_step)
second.save(20, state)
print(np.array_equal(second.restore(20, state)["values"], state["values"]))
"""


def test_a_checkpoint_that_cannot_be_written_is_one_line_and_is_not_there(folder):
    """A process may write only small files, as on a full disk; later the limit is removed and the next is written."""
    command = [sys.executable, "-c", FULL, str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    message, latest, same = result.stdout.splitlines()
    assert message.startswith(f"cannot write checkpoint 10 to {folder} (File too large): free some space")
    assert message.endswith("--resume")
    assert (latest, same) == ("None", "True")
    assert "_SignalingThread" not in result.stderr  # TensorStore itself may still print that a loop is closed


def test_shapes_are_enough_to_restore(checkpoints):
    checkpoints.save(7, make_state())
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), make_state())
    assert_same_bytes(checkpoints.restore(7, shapes), make_state())


def test_a_checkpoint_is_not_a_view_of_the_states(checkpoints):
    """The training loop overwrites the states that were saved."""
    state = make_state()
    checkpoints.save(7, state)
    state.count[:] = 0
    assert_same_bytes(checkpoints.restore(7, state), make_state())


def test_the_latest_are_kept(checkpoints, folder):
    states = {step: make_state(step) for step in (10, 20, 30)}
    for step, state in states.items():
        checkpoints.save(step, state)
    assert sorted(path.name for path in folder.iterdir()) == ["20", "30"]
    assert checkpoints.latest_step == 30
    for step in (20, 30):
        assert_same_bytes(checkpoints.restore(step, states[step]), states[step])


def test_all_are_kept_without_a_limit(folder):
    checkpoints = Checkpoints(folder, keep=None)
    for step in (10, 20, 30):
        checkpoints.save(step, make_state())
    checkpoints.close()
    assert sorted(path.name for path in folder.iterdir()) == ["10", "20", "30"]


def test_a_step_is_saved_once(checkpoints):
    """The last update may be both a multiple of `checkpoints.every` and the end."""
    checkpoints.save(7, make_state(0))
    checkpoints.save(7, make_state(0))
    assert checkpoints.latest_step == 7


def test_files_of_a_killed_process_are_not_a_checkpoint(checkpoints, folder):
    """Orbax writes to `<step>.orbax-checkpoint-tmp...` and renames it; a killed process leaves this name."""
    checkpoints.save(10, make_state())
    checkpoints.save(20, make_state())
    (folder / "20").rename(folder / "20.orbax-checkpoint-tmp-1234")
    (folder / "30.orbax-checkpoint-tmp-1234").mkdir()
    after = Checkpoints(folder, keep=2)
    assert after.latest_step == 10
    assert_same_bytes(after.restore(10, make_state()), make_state())
    after.save(20, make_state(2))  # the same step again
    assert_same_bytes(after.restore(20, make_state()), make_state(2))
    after.close()


def test_an_error_while_writing_leaves_no_checkpoint(checkpoints, folder):
    with pytest.raises(ValueError, match="Unsupported type"):
        checkpoints.save(10, {"not an array": object()})
    after = Checkpoints(folder, keep=2)
    assert after.latest_step is None
    after.close()


def test_another_format_is_refused(checkpoints, monkeypatch):
    monkeypatch.setattr(module, "FORMAT_VERSION", 99)
    checkpoints.save(7, make_state())
    monkeypatch.undo()
    with user_error("checkpoint 7 of", "has format 99, this version reads 4", "versions.json"):
        checkpoints.restore(7, make_state())


def test_a_checkpoint_without_a_format_is_an_older_one(checkpoints, folder):
    """Formats 1 and 2 stored their number in the arrays."""
    checkpoints.save(7, make_state())
    shutil.rmtree(folder / "7" / "format")
    with user_error("checkpoint 7 of", "has format 2 or older, this version reads 4", "versions.json"):
        checkpoints.restore(7, make_state())


def test_more_leaves_than_were_saved_are_refused(checkpoints):
    checkpoints.save(7, {"a": np.zeros(2)})
    with user_error("checkpoint 7 of", "is damaged or does not fit this configuration") as caught:
        checkpoints.restore(7, {"a": np.zeros(2), "b": np.zeros(2)})
    assert re.search(r"'b'|states\.b\b", str(caught.value))  # as the version of Orbax words it


def test_memory_and_json_data_come_back(checkpoints):
    memory = {"rows": np.arange(6.0).reshape(2, 3), "count": np.int32(4)}
    host = [{"actions": [[0.1, float(np.float32(0.1))]], "episodes": 3, "return": 0.1 + 0.2}]
    checkpoints.save(7, make_state(), memory=memory, host=host)
    jax.tree.map(np.testing.assert_array_equal, checkpoints.restore_memory(7, memory), memory)
    assert checkpoints.restore_host(7) == host
    jax.tree.map(np.testing.assert_array_equal, checkpoints.restore(7, make_state()), make_state())


def test_a_missing_step_is_refused(checkpoints):
    checkpoints.save(7, make_state())
    with user_error("checkpoint 8 of", "not found"):
        checkpoints.restore(8, make_state())


@pytest.mark.parametrize("like", [np.zeros((2, 4), np.float32), np.zeros((2, 3), np.float16)])
def test_other_shapes_and_types_are_refused(checkpoints, like):
    """Orbax would give the stored shape, and cast to another type."""
    checkpoints.save(7, {"a": np.zeros((2, 3), np.float32)})
    wanted = f"a is float32[2, 3], not {like.dtype}{list(like.shape)}"
    with user_error("checkpoint 7 of", "does not fit this configuration", wanted):
        checkpoints.restore(7, {"a": like})


def test_fewer_leaves_than_were_saved_are_refused(checkpoints):
    checkpoints.save(7, {"a": np.zeros(2), "b": np.zeros(2)})
    with user_error("checkpoint 7 of", "does not fit this configuration", "states.b"):
        checkpoints.restore(7, {"a": np.zeros(2)})
