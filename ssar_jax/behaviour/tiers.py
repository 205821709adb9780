"""The quality tiers of the embedded suite: which returns a policy of each must reach."""

from typing import NamedTuple


class Band(NamedTuple):
    """A range of normalised scores, mean over episodes of the stochastic policy."""

    low: float
    high: float


BANDS: dict[tuple[str, str], Band] = {
    # D4RL's own medium policies lie in these ranges: raw returns 4065 to 5927, 1282 to 1770 and 2526 to 3215.
    ("halfcheetah", "medium"): Band(35.0, 50.0),
    ("hopper", "medium"): Band(40.0, 55.0),
    ("walker2d", "medium"): Band(55.0, 70.0),
    ("halfcheetah", "expert"): Band(75.0, float("inf")),
    ("hopper", "expert"): Band(85.0, float("inf")),
    ("walker2d", "expert"): Band(85.0, float("inf")),
}

NUM_SNAPSHOTS = 8
"""Policies kept from the way to medium, at even intervals, for the medium-replay sets."""
