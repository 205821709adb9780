"""Selection, scaling and normalization against the authors' program (golden files `selection*.npz`)."""

import math
import re
from pathlib import Path

import numpy as np
import pytest

from ssar_jax.data.dataset import OfflineDataset
from ssar_jax.data.scaling import ObservationScaling, RewardMap, prepare, range_scale, reward_range
from ssar_jax.data.selection import keep_best, segments, select_by_return, select_successful
from tests.golden_vectors import golden_files, load_golden

pytestmark = pytest.mark.conformance

NOT_OURS = {
    # tests/training/test_replay_buffer.py compares these.
    r"ring/expected/(pointer|size|final_mask|final_rewards)": "ring buffer",
    r"dense/expected/keep_\d+/(pointer|after_5_added_(size|mask))": "ring buffer",
    # Plain bugs of the program, not reproduced.
    r"ring/expected/sample_upper_bound": "after a wrap only the newest rows are drawn",
    r"sparse/expected/td3_bc_mask_if_rewards_not_modified": "trusts every row",
}
OURS = (
    r"dense/expected/mask_\d+(_no_step_limit)?",
    r"dense/expected/segment_returns",
    r"dense/expected/keep_\d+/(indices|size|mask_first_size)",
    r"dense/expected/(return_range|obs_mean|obs_std_plus_eps)",
    r"dense/expected/normalised_(observations|next_observations)",
    r"dense/expected/modified_(rewards|online)/(td3_bc|cql)_\w+",
    r"sparse/expected/(td3_bc|cql)_(rewards|mask)",
)


@pytest.fixture(params=golden_files("selection"), ids=lambda path: path.stem)
def golden(request: pytest.FixtureRequest) -> dict[str, np.ndarray]:
    path: Path = request.param
    return load_golden(path)


def read(golden: dict[str, np.ndarray], group: str) -> OfflineDataset:
    def column(key: str) -> np.ndarray:
        return golden[f"{group}/dataset/{key}"]

    return OfflineDataset.from_arrays(
        observations=column("observations"),
        actions=column("actions"),
        rewards=column("rewards"),
        masks=1 - column("terminals"),
        next_observations=column("next_observations"),
    )


def assert_close(actual: np.ndarray, expected: np.ndarray, limit: float) -> None:
    """Compare by |x - y| / (1 + |y|), the error measure of the vectors."""
    assert np.shape(actual) == np.shape(expected)
    error = np.abs(np.float64(actual) - expected) / (1.0 + np.abs(expected))
    assert np.max(error, initial=0.0) <= limit


def test_every_expected_key_is_compared_or_excluded_by_name(golden: dict[str, np.ndarray]) -> None:
    unknown = [
        key
        for key in golden
        if "/expected/" in key and not any(re.fullmatch(pattern, key) for pattern in (*OURS, *NOT_OURS))
    ]
    assert unknown == []


def test_return_masks(golden: dict[str, np.ndarray]) -> None:
    dataset, max_steps = read(golden, "dense"), int(golden["hyper/max_steps"])
    names = [key for key in golden if re.fullmatch(r"dense/expected/mask_\d+(_no_step_limit)?", key)]
    assert len(names) >= len(golden["hyper/thresholds"])
    for name in names:
        threshold = float(golden["hyper/thresholds"][int(re.findall(r"mask_(\d+)", name)[0])])
        limit = None if name.endswith("no_step_limit") else max_steps
        selection = select_by_return(dataset, threshold, max_steps=limit)
        np.testing.assert_array_equal(selection.trusted, golden[name], err_msg=name)


def test_segment_returns_to_the_last_float32_digit(golden: dict[str, np.ndarray]) -> None:
    """The vectors were made with NumPy 2, under which the program adds in float32; ours are float64, see below."""
    dataset = read(golden, "dense")
    trajectories = segments(dataset, max_steps=int(golden["hyper/max_steps"]))
    expected = golden["dense/expected/segment_returns"]
    parts = [dataset.rewards[start:stop] for start, stop in zip(trajectories.starts, trajectories.stops, strict=True)]
    in_float32 = [np.cumsum(part, dtype=np.float32)[-1] for part in parts]
    np.testing.assert_array_equal(in_float32, expected.astype(np.float32))
    # Under the NumPy of its time a Python sum of float32 rewards was float64.
    in_float64 = [sum(float(reward) for reward in part) for part in parts]
    assert_close(trajectories.sums(dataset.rewards), np.array(in_float64), 1e-15)
    assert_close(trajectories.sums(dataset.rewards), expected, 1e-6)


def test_success_masks_by_the_authors_rule_on_their_rewards(golden: dict[str, np.ndarray]) -> None:
    dataset = read(golden, "sparse")
    maps = {
        "td3_bc": RewardMap(1.0, -1.0),
        "cql": RewardMap(float(golden["hyper/reward_scale"]), float(golden["hyper/reward_bias"])),
    }
    for algorithm, reward_map in maps.items():
        stored = reward_map(dataset.rewards)
        assert_close(stored, golden[f"sparse/expected/{algorithm}_rewards"], 1e-6)
        selection = select_successful(
            dataset,
            stored_rewards=stored,
            no_reward=reward_map.bias,
            max_steps=int(golden["hyper/max_steps"]),
        )
        np.testing.assert_array_equal(selection.trusted, golden[f"sparse/expected/{algorithm}_mask"])


def test_our_success_rule_agrees_where_no_reward_is_negative(golden: dict[str, np.ndarray]) -> None:
    dataset = read(golden, "sparse")
    assert (dataset.rewards >= 0.0).all()
    selection = select_successful(dataset, max_steps=int(golden["hyper/max_steps"]))
    np.testing.assert_array_equal(selection.trusted, golden["sparse/expected/td3_bc_mask"])


def test_keep_best_by_the_authors_segmentation(golden: dict[str, np.ndarray]) -> None:
    dataset = read(golden, "dense")
    for k in golden["hyper/keep_trajs"]:
        rows = keep_best(dataset, int(k), tolerance=1e-4, keep_open_tail=False)
        expected = f"dense/expected/keep_{k}"
        np.testing.assert_array_equal(rows, golden[f"{expected}/indices"])
        assert rows.size == golden[f"{expected}/size"]
        trusted_before = golden["dense/expected/mask_1"]
        np.testing.assert_array_equal(trusted_before[rows], golden[f"{expected}/mask_first_size"])


def test_keep_best_by_our_segmentation_differs_in_the_two_ways_named(golden: dict[str, np.ndarray]) -> None:
    dataset = read(golden, "dense")
    everything = len(dataset)
    ours = keep_best(dataset, everything)
    # Ours keeps every row; the authors' scan loses the trajectory that holds the last one.
    assert sorted(ours) == list(range(everything))
    authors = keep_best(dataset, everything, tolerance=1e-4, keep_open_tail=False)
    assert everything - 1 not in authors
    # A jump between the two tolerances ends a trajectory for us and not for them.
    jump, size = int(golden["dense/tiny_jump_index"]), float(golden["dense/tiny_jump_norm"])
    assert 1e-6 < size < 1e-4
    ends = {tolerance: segments(dataset, tolerance=tolerance).ends[jump] for tolerance in (1e-6, 1e-4)}
    assert ends == {1e-6: True, 1e-4: False}


def authors_range(golden: dict[str, np.ndarray]) -> tuple[float, float]:
    dataset = read(golden, "dense")
    boundaries = segments(dataset, tolerance=math.inf, max_steps=int(golden["hyper/max_steps"]), tail="drop_open")
    return reward_range(dataset, boundaries=boundaries)


def test_return_range_by_the_authors_boundaries(golden: dict[str, np.ndarray]) -> None:
    assert_close(np.array(authors_range(golden)), golden["dense/expected/return_range"], 1e-12)


def test_return_range_by_real_boundaries(golden: dict[str, np.ndarray]) -> None:
    dataset = read(golden, "dense")
    returns = [part.sum(dtype=np.float64) for part in np.split(dataset.rewards, dataset.episodes.stops[:-1])]
    assert reward_range(dataset) == pytest.approx((min(returns), max(returns)), abs=1e-12)


def test_observation_scaling(golden: dict[str, np.ndarray]) -> None:
    dataset = read(golden, "dense")
    scaling = ObservationScaling.from_observations(dataset.observations)
    assert_close(scaling.mean, golden["dense/expected/obs_mean"], 1e-6)
    assert_close(scaling.std, golden["dense/expected/obs_std_plus_eps"], 1e-6)
    transitions = prepare(dataset, normalize_states=True).transitions
    assert_close(transitions.observations, golden["dense/expected/normalised_observations"], 1e-6)
    assert_close(transitions.next_observations, golden["dense/expected/normalised_next_observations"], 1e-6)


def test_reward_maps_offline_and_online(golden: dict[str, np.ndarray]) -> None:
    dataset = read(golden, "dense")
    names = [key.rsplit("/", 1)[1] for key in golden if key.startswith("dense/expected/modified_rewards/")]
    assert names
    for name in names:
        algorithm, environment = re.fullmatch(r"(td3_bc|cql)_(\w+)", name).groups()
        scale, bias = 1.0, 0.0
        if environment != "antmaze":
            scale = range_scale(*authors_range(golden), int(golden["hyper/max_steps"]))
        elif algorithm == "td3_bc":
            bias = -1.0
        if algorithm == "cql":
            scale, bias = scale * float(golden["hyper/reward_scale"]), float(golden["hyper/reward_bias"])
        reward_map = RewardMap(scale, bias)
        assert_close(reward_map(dataset.rewards), golden[f"dense/expected/modified_rewards/{name}"], 1e-6)
        online = reward_map(golden["dense/modified_online_inputs"])
        assert_close(online, golden[f"dense/expected/modified_online/{name}"], 1e-10)
