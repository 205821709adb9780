"""Segments: hand-made cuts, and the vectorized code against row-by-row rules."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssar_jax.data.segments import Segments, find_segments
from tests.data.helpers import user_error

rows_with_flags = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40)


def cut(terminals: list[bool], jumps: list[bool], **options: object) -> Segments:
    """Segment rows with the given terminals and the given jumps after them."""
    after = np.cumsum([0.0, *(1.0 + 0.5 * np.array(jumps))])
    observations, next_observations = after[:-1, None], (after[:-1] + 1.0)[:, None]
    return find_segments(observations, next_observations, 1.0 - np.array(terminals), **options)


def test_by_hand() -> None:
    # rows:      0  1  2 | 3  4 | 5     terminal after row 2, a jump after row 4, and the end of the data
    segments = cut([False, False, True, False, False, False], [False, False, False, False, True, False])
    np.testing.assert_array_equal(segments.starts, [0, 3, 5])
    np.testing.assert_array_equal(segments.stops, [3, 5, 6])
    np.testing.assert_array_equal(segments.lengths, [3, 2, 1])
    np.testing.assert_array_equal(segments.ends, [False, False, True, False, True, True])
    np.testing.assert_array_equal(segments.sums(np.array([1, 2, 3, 4, 5, 6])), [6, 9, 6])
    np.testing.assert_array_equal(segments.spread(np.array([1.0, 0.0, 2.0])), [1, 1, 1, 0, 0, 2])
    np.testing.assert_array_equal(segments.rows_of(np.array([2, 0])), [5, 0, 1, 2])


def test_max_steps_restarts_its_count_at_every_cut() -> None:
    # terminal after row 1, then six rows of which at most four make a segment
    segments = cut([False, True] + [False] * 6, [False] * 8, max_steps=4)
    np.testing.assert_array_equal(segments.stops, [2, 6, 8])


def test_infinite_tolerance_ignores_jumps() -> None:
    assert len(cut([False] * 4, [True] * 4)) == 4
    assert len(cut([False] * 4, [True] * 4, tolerance=math.inf)) == 1


@pytest.mark.parametrize(
    ("last_terminal", "tail", "stops"),
    [
        (False, "keep", [2, 4]),
        (False, "drop_open", [2]),
        (False, "drop", [2]),
        (True, "keep", [2, 4]),
        (True, "drop_open", [2, 4]),
        (True, "drop", [2]),
    ],
)
def test_tails(last_terminal: bool, tail: str, stops: list[int]) -> None:
    segments = cut([False, True, False, last_terminal], [False] * 4, tail=tail)
    np.testing.assert_array_equal(segments.stops, stops)
    assert segments.num_rows == 4
    np.testing.assert_array_equal(segments.spread(np.ones(len(segments))), [1, 1] + [int(len(stops) == 2)] * 2)


def test_no_segment_at_all() -> None:
    segments = cut([False, False], [False, False], tail="drop")
    assert len(segments) == 0
    assert segments.sums(np.ones(2)).size == 0
    np.testing.assert_array_equal(segments.spread(np.zeros(0)), [0, 0])
    assert segments.rows_of(np.zeros(0, int)).size == 0


@settings(max_examples=60, deadline=None)
@given(rows_with_flags, st.one_of(st.none(), st.integers(1, 7)))
def test_agrees_with_the_walk_over_the_rows(flags: list[tuple[bool, bool]], max_steps: int | None) -> None:
    terminals, jumps = [list(column) for column in zip(*flags, strict=True)]
    stops, length = [], 0
    for row, (terminal, jump) in enumerate(flags):
        length += 1
        if terminal or jump or row == len(flags) - 1 or length == max_steps:
            stops.append(row + 1)
            length = 0
    np.testing.assert_array_equal(cut(terminals, jumps, max_steps=max_steps).stops, stops)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.integers(0, 2**32 - 1))
def test_sums_run_in_float64(lengths: list[int], seed: int) -> None:
    stops = np.cumsum(lengths)
    values = np.random.default_rng(seed).normal(scale=1000.0, size=stops[-1]).astype(np.float32)
    segments = Segments(stops, int(stops[-1]))
    np.testing.assert_allclose(
        segments.sums(values), [part.astype(float).sum() for part in np.split(values, stops[:-1])], rtol=1e-9
    )


def test_max_steps_must_be_positive() -> None:
    with user_error("max_steps must be at least 1, not 0"):
        cut([False, False], [False, False], max_steps=0)
