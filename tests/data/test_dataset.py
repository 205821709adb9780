"""OfflineDataset: accepted and refused arrays, files, and descriptions."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssar_jax.data.actions import ActionScaling
from ssar_jax.data.dataset import DataSource, OfflineDataset
from ssar_jax.data.tasks import custom_task
from tests.data.helpers import trajectories, user_error


def three_rows(**changes: Any) -> dict[str, Any]:
    """Return valid columns of three rows, O = 2, A = 1."""
    columns = {
        "observations": [[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]],
        "actions": [[-1.0], [0.5], [1.0]],
        "rewards": [1.0, 2.0, 3.0],
        "masks": [1, 1, 0],
        "next_observations": [[1.0, 2.0], [2.0, 3.0], [9.0, 9.0]],
    }
    return {**columns, **changes}


def test_arrays_become_private_read_only_float32() -> None:
    rewards = np.array([1.0, 2.0, 3.0], np.float32)
    dataset = OfflineDataset.from_arrays(**three_rows(rewards=rewards))
    rewards[0] = 99.0
    np.testing.assert_array_equal(dataset.rewards, [1.0, 2.0, 3.0])
    for name, array in dataset.arrays().items():
        assert array.dtype == (bool if name == "episode_ends" else np.float32)
        assert not array.flags.writeable
    assert (len(dataset), dataset.observation_size, dataset.action_size) == (3, 2, 1)


def test_float64_is_kept_where_float32_has_too_few_digits(tmp_path: Path) -> None:
    times = 1.7e9 + np.arange(4.0)[:, None]
    columns = three_rows(observations=times[:3], next_observations=times[1:], rewards=[0.1, 0.2, 0.3])
    dataset = OfflineDataset.from_arrays(**columns)
    np.testing.assert_array_equal(dataset.observations, times[:3])
    np.testing.assert_array_equal(dataset.rewards, [0.1, 0.2, 0.3])
    np.testing.assert_array_equal(dataset.episode_lengths(), [3])
    assert (dataset.actions.dtype, dataset.masks.dtype) == (np.float32, np.float32)
    dataset.save_npz(tmp_path / "data.npz")
    assert OfflineDataset.from_npz(tmp_path / "data.npz").content_hash == dataset.content_hash


def test_integers_too_large_for_float32_are_kept_too() -> None:
    times = 1_700_000_000 + np.arange(4)[:, None]
    dataset = OfflineDataset.from_arrays(**three_rows(observations=times[:3], next_observations=times[1:]))
    np.testing.assert_array_equal(dataset.observations, times[:3])


def test_one_rounded_column_of_the_pair_rounds_the_other() -> None:
    """Else every row would seem to jump by the rounding error, and be an episode of its own."""
    states = 1000.0 * np.random.default_rng(0).normal(size=(4, 2))
    columns = three_rows(observations=states[:3], next_observations=states[1:].astype(np.float32))
    dataset = OfflineDataset.from_arrays(**columns)
    assert dataset.observations.dtype == dataset.next_observations.dtype == np.float32
    np.testing.assert_array_equal(dataset.episode_lengths(), [3])


def test_columns_of_one_are_flattened() -> None:
    columns = three_rows(rewards=[[1.0], [2.0], [3.0]], masks=[[True], [True], [False]])
    dataset = OfflineDataset.from_arrays(**columns)
    np.testing.assert_array_equal(dataset.rewards, [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(dataset.masks, [1.0, 1.0, 0.0])


def test_missing_episode_ends_come_from_terminals_and_jumps() -> None:
    columns = three_rows(
        masks=[0, 1, 1],
        observations=[[0.0, 1.0], [5.0, 5.0], [2.0, 3.0]],
        next_observations=[[1.0, 2.0], [2.0, 3.0], [3.0, 3.0]],
    )
    # Row 0 is terminal; row 1 is followed by its own next observation; row 2 is the last.
    ends = OfflineDataset.from_arrays(**columns).episode_ends
    np.testing.assert_array_equal(ends, [True, False, True])


def test_given_episode_ends_are_kept_and_the_last_row_always_ends_one() -> None:
    dataset = OfflineDataset.from_arrays(**three_rows(masks=[1, 1, 1]), episode_ends=[True, False, False])
    np.testing.assert_array_equal(dataset.episode_ends, [True, False, True])
    np.testing.assert_array_equal(dataset.episode_returns(), [1.0, 5.0])
    np.testing.assert_array_equal(dataset.episode_lengths(), [1, 2])


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"actions": [[0.0], [np.nan], [0.0]]}, ("actions holds nan in row 1",)),
        ({"rewards": [0.0, 0.0, np.inf]}, ("rewards holds inf in row 2",)),
        (
            {"observations": [[0.0, 0.0], [0.0, 1e39], [0.0, 0.0]]},
            ("observations holds 1e+39 in row 1, which is too large for float32",),
        ),
        (
            {"actions": [[0.0], [0.0], [-1.5]]},
            ("actions holds -1.5 in row 2, column 0", "dataset.action_low"),
        ),
        ({"actions": [0.0, 0.0, 0.0]}, ("actions has shape (3,)", "[N, D]")),
        ({"rewards": [[1.0, 2.0]] * 3}, ("rewards has shape (3, 2)", "[N]")),
        ({"rewards": [1.0, 2.0]}, ("rewards has 2 rows, but observations has 3",)),
        ({"rewards": ["a", "b", "c"]}, ("rewards has dtype <U1",)),
        ({"rewards": [1j, 0, 0]}, ("rewards has dtype complex128",)),
        ({"observations": [[1.0], [1.0, 2.0], [1.0]]}, ("observations is ragged",)),
        ({"next_observations": [[0.0]] * 3}, ("(3, 2)", "(3, 1)")),
        ({"masks": [1.0, 0.5, 1.0]}, ("masks holds 0.5 in row 1", "only 0 and 1")),
        ({"observations": np.zeros((3, 0)), "next_observations": np.zeros((3, 0))}, ("shape (3, 0)",)),
        (
            {key: np.zeros((0, 1)) for key in three_rows()},
            ("the dataset is empty",),
        ),
    ],
)
def test_refuses(changes: dict[str, Any], parts: tuple[str, ...]) -> None:
    with user_error("arrays arrays: ", *parts):
        OfflineDataset.from_arrays(**three_rows(**changes))


def test_rounding_outside_the_bounds_is_clipped() -> None:
    dataset = OfflineDataset.from_arrays(**three_rows(actions=[[1.000005], [-1.000005], [0.25]]))
    np.testing.assert_array_equal(dataset.actions, [[1.0], [-1.0], [0.25]])


def test_action_scaling_there_and_back() -> None:
    scaling = ActionScaling.from_bounds([-2.0, 0.0], [2.0, 10.0], action_size=2)
    actions = np.array([[-2.0, 0.0], [1.0, 5.0], [2.0, 10.0]])
    # 2 (a - low) / (high - low) - 1: (1 + 2) / 2 - 1 = 0.5 and 2 * 5 / 10 - 1 = 0
    unit = np.array([[-1.0, -1.0], [0.5, 0.0], [1.0, 1.0]])
    np.testing.assert_array_equal(scaling.to_unit(actions), unit)
    np.testing.assert_array_equal(scaling.from_unit(unit), actions)
    dataset = OfflineDataset.from_arrays(**three_rows(actions=actions), action_scaling=scaling)
    np.testing.assert_array_equal(dataset.actions, unit)
    actions[1, 1] = 12.0
    with user_error("actions holds 12 in row 1, column 1, outside the bounds [0, 10]"):
        OfflineDataset.from_arrays(**three_rows(actions=actions), action_scaling=scaling)


def test_actions_slightly_outside_are_clipped_on_request(caplog: pytest.LogCaptureFixture) -> None:
    columns = three_rows(actions=[[1.05], [-1.02], [0.25]])
    with user_error("actions holds 1.05 in row 0, column 0", "dataset.clip_actions=1.0 clips what is slightly outside"):
        OfflineDataset.from_arrays(**columns)
    dataset = OfflineDataset.from_arrays(**columns, clip_actions=True)
    np.testing.assert_array_equal(dataset.actions, [[1.0], [-1.0], [0.25]])
    note = "2 of 3 action values were outside their bounds and are clipped; the farthest was 1.05 in row 0, column 0"
    assert f"note         {note}" in dataset.card().splitlines()
    assert caplog.messages == [f"arrays arrays: {note}"]


def test_actions_slightly_outside_their_own_bounds() -> None:
    """Bounds 0 and 10: 10.4 is 1.08 in units of [-1, 1], 10.6 is 1.12."""
    scaling = ActionScaling.from_bounds(0.0, 10.0)
    options = {"action_scaling": scaling, "clip_actions": True}
    dataset = OfflineDataset.from_arrays(**three_rows(actions=[[10.4], [-0.3], [5.0]]), **options)
    np.testing.assert_array_equal(dataset.actions, [[1.0], [-1.0], [0.0]])
    with user_error("actions holds 10.6 in row 0, column 0, too far outside for dataset.clip_actions", "1.1 in units"):
        OfflineDataset.from_arrays(**three_rows(actions=[[10.6], [0.0], [5.0]]), **options)


def test_actions_inside_are_left_alone_on_request(caplog: pytest.LogCaptureFixture) -> None:
    plain = OfflineDataset.from_arrays(**three_rows())
    clipped = OfflineDataset.from_arrays(**three_rows(), clip_actions=True)
    assert (clipped.content_hash, clipped.notes, caplog.messages) == (plain.content_hash, (), [])


def test_masks_that_look_inverted_are_asked_about(caplog: pytest.LogCaptureFixture) -> None:
    OfflineDataset.from_arrays(**three_rows(masks=np.array([0.0, 0.0, 1.0])))
    assert caplog.text == ""
    OfflineDataset.from_arrays(**three_rows(masks=np.zeros(3)))
    assert "nearly every transition is terminal; masks are 1 - terminated: are they inverted?" in caplog.text


@pytest.mark.parametrize(
    ("low", "high", "parts"),
    [
        ([-1.0, -1.0, -1.0], 1.0, ("action_low has shape (3,)", "2 of them")),
        ([[-1.0]], 1.0, ("action_low has shape (1, 1)",)),
        (-1.0, np.inf, ("action_high must be finite",)),
        (1.0, 1.0, ("action_low must be below dataset.action_high",)),
    ],
)
def test_action_bounds_that_make_no_sense(low: Any, high: Any, parts: tuple[str, ...]) -> None:
    with user_error(*parts):
        ActionScaling.from_bounds(low, high, action_size=2)


def test_one_bound_for_all_actions_needs_no_size() -> None:
    scaling = ActionScaling.from_bounds(0.0, 4.0)
    np.testing.assert_array_equal(scaling.to_unit(np.array([[0.0, 1.0, 4.0]])), [[-1.0, -0.5, 1.0]])
    with user_error("have 2 and 3 numbers"):
        ActionScaling.from_bounds([0.0, 0.0], [1.0, 1.0, 1.0])


def test_action_bounds_for_another_number_of_actions() -> None:
    scaling = ActionScaling.from_bounds([-1.0, -1.0], 1.0)
    with user_error("actions has 1 columns", "bounds for 2"):
        OfflineDataset.from_arrays(**three_rows(), action_scaling=scaling)


def test_sizes_that_do_not_fit_the_task() -> None:
    dataset = OfflineDataset.from_arrays(**three_rows())
    dataset.require_sizes(custom_task(2, 1))
    with user_error("observations have size 2, but task custom has 3"):
        dataset.require_sizes(custom_task(3, 1))
    with user_error("actions have size 1, but task custom has 4"):
        dataset.require_sizes(custom_task(2, 4))


def test_npz_keeps_every_bit(tmp_path: Path) -> None:
    dataset = trajectories([1.0, 2.0], [3.0], terminal=False)
    dataset.save_npz(tmp_path / "new" / "data.npz")
    again = OfflineDataset.from_npz(tmp_path / "new" / "data.npz")
    assert again.content_hash == dataset.content_hash
    np.testing.assert_array_equal(again.episode_ends, dataset.episode_ends)
    assert again.source == DataSource("path", "data.npz", str(tmp_path / "new" / "data.npz"))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["data.npz"]


def test_npz_may_hold_terminals(tmp_path: Path) -> None:
    columns = three_rows()
    del columns["masks"]
    np.savez(tmp_path / "data.npz", terminals=[False, False, True], **columns)
    np.testing.assert_array_equal(OfflineDataset.from_npz(tmp_path / "data.npz").masks, [1.0, 1.0, 0.0])
    np.savez(tmp_path / "data.npz", terminals=[0, 0, 1], masks=[1, 1, 0], **columns)
    np.testing.assert_array_equal(OfflineDataset.from_npz(tmp_path / "data.npz").masks, [1.0, 1.0, 0.0])
    np.savez(tmp_path / "data.npz", terminals=[0, 0, 1], masks=[1, 1, 1], **columns)
    with user_error("masks is not 1 - terminals in row 2", "leave one of them out"):
        OfflineDataset.from_npz(tmp_path / "data.npz")


def test_npz_errors(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    with user_error("data.npz: no such file"):
        OfflineDataset.from_npz(path)
    with user_error("not a file"):
        OfflineDataset.from_npz(tmp_path)
    path.write_bytes(b"")
    with user_error("the file is empty"):
        OfflineDataset.from_npz(path)
    path.write_bytes(b"no zip at all")
    with user_error("not a .npz file"):
        OfflineDataset.from_npz(path)
    np.savez(path, **three_rows(rewards=np.array([1.0, None, "a"], object)))
    with user_error("holds Python objects; save arrays of numbers"):
        OfflineDataset.from_npz(path)
    np.savez(path, **three_rows())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with user_error("not a readable .npz file"):
        OfflineDataset.from_npz(path)
    np.savez(path, **{key: value for key, value in three_rows().items() if key != "masks"})
    with user_error("missing key 'masks' (or terminals)", "the file has actions, next_observations"):
        OfflineDataset.from_npz(path)
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with user_error("a single array"):
        OfflineDataset.from_npz(path)


def test_unwritable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with user_error("cannot write", "data.npz"):
        trajectories([1.0]).save_npz(tmp_path / "file" / "data.npz")


def test_content_hash_sees_content_and_nothing_else() -> None:
    first = OfflineDataset.from_arrays(**three_rows())
    same = OfflineDataset.from_arrays(**three_rows(), source=DataSource("path", "x", "/x"))
    other = OfflineDataset.from_arrays(**three_rows(rewards=[1.0, 2.0, 4.0]))
    assert first.content_hash == same.content_hash
    assert first.content_hash != other.content_hash


def in_no_order(**changes: Any) -> OfflineDataset:
    """Return three rows none of which follows another."""
    return OfflineDataset.from_arrays(**three_rows(next_observations=np.full((3, 2), 9.0), masks=[1, 1, 1]), **changes)


def test_rows_in_no_order_have_no_returns() -> None:
    dataset = in_no_order()
    assert not dataset.has_trajectories
    with user_error("2 of 3 rows are not followed by their next observation", "selection.rule=advantage"):
        dataset.require_trajectories()
    assert "note         2 of 3 rows are not followed by their next observation: returns may" in dataset.card()
    assert dataset.describe_line() == "data: arrays arrays: 3 transitions, in no order of episodes"


def test_recorded_ends_of_rows_in_no_order_are_asked_about(caplog: pytest.LogCaptureFixture) -> None:
    in_no_order(episode_ends=[False, False, True]).require_trajectories()
    assert "2 of 3 rows are not followed" in caplog.text
    assert "unless episode_ends says otherwise" in caplog.text


def test_one_step_episodes_are_trajectories() -> None:
    OfflineDataset.from_arrays(
        **three_rows(next_observations=np.full((3, 2), 9.0), masks=[0, 0, 0])
    ).require_trajectories()


def test_descriptions() -> None:
    dataset = trajectories([1.0, 2.0], [3.0, 4.0, 5.0])
    assert dataset.describe_line() == "data: arrays arrays: 5 transitions, 2 episodes, mean return 7.50"
    card = dataset.card().splitlines()
    assert card[0] == "dataset      arrays"
    assert "episodes     2, mean length 2.5" in card
    # returns 3 and 12; the 10 % quantile is a tenth of the way: 3 + 0.9 = 3.9
    assert "returns      mean 7.50; min 3.00, 10 % 3.90, median 7.50, 90 % 11.10, max 12.00" in card
    assert "terminals    40.000 % of the transitions" in card
    assert card[-1] == f"content      sha256 {dataset.content_hash}"


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"episode_ends": [True, False]}, ("episode_ends has 2 rows, but observations has 3",)),
        ({"episode_ends": [[True], [True, False], [True]]}, ("episode_ends is ragged",)),
        ({"episode_ends": [0, 2, 1]}, ("episode_ends holds 2 in row 1; only 0 and 1 are allowed",)),
        ({"masks": [[1.0, 1.0, 0.0]]}, ("masks has shape (1, 3); [N] is needed",)),
        ({"masks": [1.0, np.nan, 0.0]}, ("masks holds nan in row 1",)),
        ({"next_observations": [[0.0, 0.0]] * 2}, ("next_observations has 2 rows, but observations has 3",)),
        ({"next_observations": [[0.0, 0.0, np.nan]] * 3}, ("next_observations holds nan in row 0",)),
        ({"observations": np.zeros((3, 4, 4))}, ("observations has shape (3, 4, 4); [N, D]",)),
        ({"rewards": []}, ("rewards has 0 rows, but observations has 3",)),
        ({"rewards": 1.0}, ("rewards has shape (); [N] is needed",)),
        ({"action_scaling": ActionScaling.from_bounds([0.0, 0.0], [1.0, 1.0])}, ("actions has 1 columns",)),
    ],
)
def test_refuses_columns_that_do_not_match(changes: dict[str, Any], parts: tuple[str, ...]) -> None:
    with user_error("arrays arrays: ", *parts):
        OfflineDataset.from_arrays(**three_rows(**changes))


def test_episode_ends_of_one_column_are_flattened() -> None:
    dataset = OfflineDataset.from_arrays(**three_rows(), episode_ends=[[1], [0], [1]])
    np.testing.assert_array_equal(dataset.episode_ends, [True, False, True])
