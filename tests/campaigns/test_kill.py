"""A short kill campaign; the long one is `python -m tests.campaigns.kill --kills=100`."""

import pytest

from tests.campaigns import kill


@pytest.mark.slow
def test_killed_work_ends_with_the_numbers_of_undisturbed_work():
    counts = kill.campaign(kills=2, seed=0)
    assert set(counts) == {"offline", "overlapped", "online", "sweep", "generation"}
    assert all(killed == 2 and finished >= 1 for killed, finished in counts.values())
