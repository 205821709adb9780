"""Damaged and odd files; `python -m tests.campaigns.corpus --seed=1` makes others."""

import pytest

from tests.campaigns import corpus


@pytest.mark.slow
def test_every_file_leads_to_one_clear_line_or_to_the_numbers_of_the_intact_file():
    results = corpus.campaign(seed=0, report=False)
    assert len(results) >= 200
    assert {each.case.kind for each in results} == {"hdf5", "npz", "minari", "run"}
    assert [each for each in results if not each.is_right] == []
