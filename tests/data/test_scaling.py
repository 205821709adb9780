"""Scaling of observations and rewards, worked out by hand."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from ssar_jax.data.dataset import OfflineDataset
from ssar_jax.data.scaling import ObservationScaling, RewardMap, prepare, range_scale, reward_range
from ssar_jax.data.segments import Segments
from ssar_jax.data.selection import segments
from ssar_jax.transitions import Transitions
from tests.data.helpers import trajectories, user_error


def test_observation_scaling_by_hand() -> None:
    scaling = ObservationScaling.from_observations(np.array([[1.0, 5.0], [3.0, 5.0]], np.float32))
    # mean (1 + 3) / 2 = 2, population std sqrt((1 + 1) / 2) = 1; a constant column has std 0; both + 1e-3
    np.testing.assert_array_equal(scaling.mean, np.float32([2.0, 5.0]))
    np.testing.assert_array_equal(scaling.std, np.float32([1.001, 0.001]))
    np.testing.assert_allclose(scaling(np.array([4.002, 5.001])), [2.0, 1.0], rtol=1e-4)


def test_statistics_of_many_rows_do_not_drift() -> None:
    # A million values, 0.1 and 1000.1 by turns: mean 500.1, std 500. Sums in float32 are visibly off.
    observations = np.tile(np.float32([[0.1], [1000.1]]), (500_000, 1))
    scaling = ObservationScaling.from_observations(observations)
    assert scaling.mean[0] == pytest.approx(500.1, rel=1e-7)
    assert scaling.std[0] == pytest.approx(500.001, rel=1e-7)


def test_identity() -> None:
    observations = np.float32([[1.5, -2.0]])
    np.testing.assert_array_equal(ObservationScaling.identity(2)(observations), observations)


def time_stamps(rows: int = 1000, **changes: Any) -> OfflineDataset:
    """Return an episode with the time in seconds as its first observation."""
    times = np.stack([1.7e9 + np.arange(rows + 1), np.sin(np.arange(rows + 1))], axis=1)
    columns = {
        "observations": times[:-1],
        "actions": np.zeros((rows, 1)),
        "rewards": np.zeros(rows),
        "masks": np.ones(rows),
        "next_observations": times[1:],
    }
    return OfflineDataset.from_arrays(**{**columns, **changes})


def test_float64_is_scaled_before_it_is_rounded() -> None:
    """Time stamps of 1,000 steps: float32 has only multiples of 128 there. Mean 499.5, std sqrt((1000^2 - 1) / 12)."""
    prepared = prepare(time_stamps())
    expected = (np.arange(1001) - 499.5) / (np.sqrt((1000**2 - 1) / 12) + 1e-3)
    observations = prepared.transitions.observations
    assert observations.dtype == np.float32
    np.testing.assert_allclose(observations[:, 0], expected[:-1], atol=1e-6)
    np.testing.assert_allclose(prepared.transitions.next_observations[:, 0], expected[1:], atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_observation_is_the_same_input_in_training_and_in_evaluation(dtype: type) -> None:
    """Bit for bit, alone or in the dataset, whatever the dtype in which an environment returns it."""
    states = np.random.default_rng(0).normal(100.0, 3.0, size=(11, 4)).astype(dtype)
    dataset = time_stamps(10, observations=states[:-1], next_observations=states[1:])
    prepared = prepare(dataset)
    for row, trained in zip(states.astype(np.float64), prepared.transitions.observations, strict=False):
        np.testing.assert_array_equal(prepared.observation_scaling(row), trained)


def test_float32_data_are_scaled_in_float32() -> None:
    """As they have always been, so that published data give the same training data to the last bit."""
    observations = np.random.default_rng(0).normal(size=(1000, 3)).astype(np.float32)
    dataset = time_stamps(1000, observations=observations, next_observations=observations)
    mean = observations.mean(axis=0, dtype=np.float64).astype(np.float32)
    std = (observations.std(axis=0, dtype=np.float64) + 1e-3).astype(np.float32)
    np.testing.assert_array_equal(prepare(dataset).transitions.observations, (observations - mean) / std)


@pytest.mark.parametrize(
    ("column", "options", "message"),
    [
        (1.7e9 + np.arange(100), {}, "the spread of observation column 0 is below what float32 resolves"),
        (1e8 + 0.1 * np.sin(np.arange(100)), {}, "the spread of observation column 0 is below"),
        (1e9 + np.arange(100) % 2, {}, "the spread of observation column 0 is below"),
        (np.full(100, 1_234_567.8), {}, "the spread of observation column 0 is below"),
        (
            1.7e9 + 50.0 * np.arange(100),
            {"normalize_states": False},
            "different values of observation column 0 become equal in float32",
        ),
        (
            np.where(np.arange(100) == 0, 1e12, np.sin(np.arange(100))),  # the outlier is all of the deviation
            {},
            "different values of observation column 0 become equal in float32",
        ),
    ],
)
def test_columns_that_float32_does_not_resolve_are_named(
    column: np.ndarray, options: dict[str, Any], message: str, caplog: pytest.LogCaptureFixture
) -> None:
    observations = np.stack([column, np.cos(np.arange(100))], axis=1)
    following = np.roll(observations, -1, axis=0)
    prepare(time_stamps(100, observations=observations, next_observations=following), **options)
    [record] = caplog.records
    assert message in record.getMessage()
    assert "\n" not in record.getMessage()


def test_ordinary_columns_are_not_named(caplog: pytest.LogCaptureFixture) -> None:
    """Small numbers, constants, integers, an offset, and a robot at rest, whose state changes by less than 1e-9."""
    rng, rows = np.random.default_rng(0), np.arange(1000)
    columns = [
        rng.normal(size=1000), 1e-8 * rng.normal(size=1000), np.full(1000, 0.1), np.full(1000, 1e7), 1e6 + rows,
        100.0 + rng.normal(size=1000), np.exp(-rows / 20.0), rows % 2,
    ]  # fmt: skip
    observations = np.stack(columns, axis=1)
    dataset = time_stamps(1000, observations=observations, next_observations=np.roll(observations, -1, axis=0))
    assert dataset.observations.dtype == np.float64
    prepare(dataset)
    prepare(dataset, normalize_states=False)
    assert caplog.text == ""


def test_rewards_are_mapped_before_they_are_rounded(caplog: pytest.LogCaptureFixture) -> None:
    rewards = 1e9 + np.arange(10.0)
    dataset = time_stamps(10, observations=np.zeros((10, 1)), next_observations=np.zeros((10, 1)), rewards=rewards)
    prepared = prepare(dataset, reward_bias=-1e9)
    np.testing.assert_array_equal(prepared.transitions.rewards, np.arange(10.0))
    assert prepared.transitions.rewards.dtype == np.float32
    assert dataset.episode_returns() == [1e10 + 45.0]
    assert caplog.text == ""
    prepare(dataset)
    assert "float32 does not resolve rewards that are 1e+09 on average with a standard deviation of 2.87228: set " in (
        caplog.text
    )
    assert "--config.dataset.reward_bias=-1e+09" in caplog.text


def test_reward_map_keeps_the_floating_point_type_it_gets() -> None:
    reward_map = RewardMap(10.0, -5.0)
    assert reward_map(np.float32([0.0, 1.0])).dtype == np.float32
    np.testing.assert_array_equal(reward_map(np.float32([0.0, 1.0])), [-5.0, 5.0])
    assert reward_map(np.array(0.25)).dtype == np.float64
    np.testing.assert_array_equal(RewardMap(0.5, 0.0)(np.array([1, 2])), [0.5, 1.0])  # integers are not cut off


def test_reward_range_by_real_and_by_the_authors_boundaries() -> None:
    # Three trajectories of 2, 5 and 1 rows with the returns 10, 5 and -1, none of them terminal.
    dataset = trajectories([4.0, 6.0], [1.0] * 5, [-1.0], terminal=False)
    assert reward_range(dataset) == (-1.0, 10.0)
    # The authors cut every 4 rows regardless of the recorded ends: 4 + 6 + 1 + 1 and 1 + 1 + 1 - 1.
    authors = segments(dataset, tolerance=np.inf, max_steps=4, tail="drop_open")
    assert reward_range(dataset, boundaries=authors) == (2.0, 12.0)
    with user_error("no complete trajectory"):
        reward_range(dataset, boundaries=segments(dataset, tolerance=np.inf, max_steps=9, tail="drop_open"))


def test_range_scale() -> None:
    assert range_scale(-100.0, 400.0, 1000) == 2.0
    with user_error("all returns are 3"):
        range_scale(3.0, 3.0, 1000)


def test_prepare_changes_only_what_it_must() -> None:
    dataset = trajectories([1.0, 2.0])
    transitions = prepare(dataset, normalize_states=False).transitions
    for name, array in transitions.columns().items():
        assert array is getattr(dataset, name)


def test_prepare_applies_one_map_offline_and_online() -> None:
    dataset = trajectories([1.0, 1.0], [4.0])
    prepared = prepare(dataset, reward_scale=2.0, reward_bias=-1.0, range_scaling_horizon=1000)
    # Returns 2 and 4: r' = r * 1000 / 2 = 500 r, and 2 * 500 r - 1 = 1000 r - 1
    assert prepared.reward_map == RewardMap(1000.0, -1.0)
    np.testing.assert_array_equal(prepared.transitions.rewards, [999.0, 999.0, 3999.0])
    np.testing.assert_array_equal(prepared.reward_map(np.float32([0.5])), [499.0])
    scaling = prepared.observation_scaling
    np.testing.assert_array_equal(prepared.transitions.observations, scaling(dataset.observations))
    np.testing.assert_array_equal(prepared.transitions.next_observations, scaling(dataset.next_observations))
    assert prepared.transitions.observations.dtype == prepared.transitions.rewards.dtype == np.float32


def test_prepare_clips_actions() -> None:
    dataset = OfflineDataset.from_arrays(
        observations=[[0.0]] * 3,
        actions=[[-1.0], [0.5], [1.0]],
        rewards=[0.0] * 3,
        masks=[1.0] * 3,
        next_observations=[[0.0]] * 3,
    )
    actions = prepare(dataset, clip_actions=0.75).transitions.actions
    np.testing.assert_array_equal(actions, [[-0.75], [0.5], [0.75]])
    assert actions.dtype == np.float32
    np.testing.assert_array_equal(dataset.actions, [[-1.0], [0.5], [1.0]])
    with user_error("clip_actions must be in (0, 1], not 0.0"):
        prepare(dataset, clip_actions=0.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clip_actions": 1.5}, "clip_actions must be in (0, 1], not 1.5"),
        ({"clip_actions": np.nan}, "clip_actions must be in (0, 1], not nan"),
        ({"reward_scale": np.nan}, "reward_scale must be finite, not nan"),
        ({"reward_bias": -np.inf}, "reward_bias must be finite, not -inf"),
        ({"reward_scale": 1e39}, "reward 2 in row 1 times 1e+39 is too large for float32; choose a smaller"),
        ({"range_scaling_horizon": 0}, "the horizon of range scaling must be at least 1, not 0"),
        (
            {"range_scaling_horizon": 10, "boundaries": Segments(np.array([5]), 5)},
            "boundaries are for 5 rows, but the dataset has 3",
        ),
    ],
)
def test_prepare_refuses(options: dict[str, Any], message: str) -> None:
    with user_error(message):
        prepare(trajectories([0.0, 2.0], [1.0]), **options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rewards": np.zeros((3, 1))}, "rewards has shape (3, 1); [N] is needed"),  # [N, 1] broadcasts to [N, N]
        ({"masks": np.ones((3, 1))}, "masks has shape (3, 1); [N] is needed"),
        ({"actions": np.zeros(3)}, "actions has shape (3,); [N, D] is needed"),
        ({"rewards": np.zeros(4)}, "rewards has 4 rows, but observations has 3"),
        ({"next_observations": np.zeros((3, 2))}, "observations has shape (3, 1), but next_observations has (3, 2)"),
    ],
)
def test_prepared_data_refuse_columns_of_wrong_shape(changes: dict[str, np.ndarray], message: str) -> None:
    prepared = prepare(trajectories([0.0, 2.0], [1.0]))
    with user_error("prepared data: ", message):
        dataclasses.replace(prepared, transitions=prepared.transitions._replace(**changes))


def test_prepared_data_refuse_to_be_empty() -> None:
    prepared = prepare(trajectories([0.0]))
    none = Transitions(**{name: column[:0] for name, column in prepared.transitions.columns().items()})
    with user_error("prepared data: the dataset is empty"):
        dataclasses.replace(prepared, transitions=none)
