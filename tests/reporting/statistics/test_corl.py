"""CORL's scores: complete, with all digits, in agreement with its printed averages, and found by system."""

import re
from decimal import Decimal

import pytest

from ssar_jax.reporting.statistics.corl import (
    CORL,
    CORL_OFFLINE,
    CORL_ONLINE,
    PAPER,
    find_published,
    published_tables,
)
from ssar_jax.reporting.statistics.published import OFFLINE, tasks_of

ANTMAZE = tasks_of(OFFLINE, "antmaze")
CAL_QL = "Cal-QL (CORL's form)"  # not the authors' form, the variant `base`
LOCOMOTION = tuple(task for task in tasks_of(OFFLINE, "locomotion") if not task.endswith("-e"))  # no expert data


def test_the_tasks_and_systems():
    assert tuple(CORL_OFFLINE.rows) == (*LOCOMOTION, *ANTMAZE)
    assert tuple(CORL_ONLINE.rows) == ANTMAZE
    assert CORL_OFFLINE.systems == ("AWAC", "ReBRAC", "SAC-N", "EDAC", CAL_QL)
    assert CORL_ONLINE.systems == ("AWAC", "ReBRAC", CAL_QL)
    assert CORL_OFFLINE.totals == CORL_ONLINE.totals == {}


def test_cells_keep_their_digits():
    assert [str(number) for number in CORL_OFFLINE.rows["hopper-m"]["ReBRAC"]] == ["102.29", "0.17"]
    assert [str(number) for number in CORL_ONLINE.rows["antmaze-lp"]["ReBRAC"]] == ["31.50", "33.56"]
    for table in (CORL_OFFLINE, CORL_ONLINE):
        scores = [score for row in table.rows.values() for score in row.values() if score is not None]
        assert all(re.fullmatch(r"\d+\.\d\d", str(number)) for score in scores for number in score)


def test_only_cal_qls_locomotion_is_empty():
    empty = {(task, system) for task, row in CORL_OFFLINE.rows.items() for system, cell in row.items() if cell is None}
    assert empty == {(task, CAL_QL) for task in LOCOMOTION}
    assert all(cell is not None for row in CORL_ONLINE.rows.values() for cell in row.values())


# Typed from the lines of averages below the tables.
@pytest.mark.parametrize(
    ("table", "tasks", "averages"),
    [
        (CORL_OFFLINE, LOCOMOTION, {"AWAC": "79.39", "ReBRAC": "89.74", "SAC-N": "83.52", "EDAC": "92.92"}),
        (CORL_OFFLINE, ANTMAZE, {"AWAC": "18.58", "ReBRAC": "78.42", "SAC-N": "0.00", "EDAC": "0.00"}),
        (CORL_OFFLINE, ANTMAZE, {CAL_QL: "53.04"}),
        (CORL_ONLINE, ANTMAZE, {"AWAC": "16.46", "ReBRAC": "78.88", CAL_QL: "97.33"}),
    ],
)
def test_the_rows_have_the_printed_averages(table, tasks, averages):
    """To half a digit of the average and of every row, at most 0.01."""
    for system, printed in averages.items():
        mean = sum(table.rows[task][system].mean for task in tasks) / len(tasks)
        assert abs(mean - Decimal(printed)) <= Decimal("0.01"), system


@pytest.mark.parametrize("phase", ["offline", "online"])
def test_no_system_has_two_sources(phase):
    tables = published_tables(phase)
    assert list(tables) == [PAPER, CORL]
    assert not set(tables[PAPER].systems) & set(tables[CORL].systems)


def test_a_score_is_found_with_its_source():
    for phase, system, mean, source in (
        ("offline", "TD3+BC(SA)", "101.6", PAPER),
        ("offline", "ReBRAC", "102.29", CORL),
        ("online", "TD3+BC(SA)", "103.5", PAPER),
    ):
        found = find_published(phase, "hopper-m", system)
        assert (str(found.score.mean), found.source) == (mean, source)
    assert find_published("online", "hopper-m", "ReBRAC") is None
    assert find_published("online", "antmaze-u", "ReBRAC").source == CORL
    assert find_published("offline", "custom", "ReBRAC") is None
    assert find_published("offline", "hopper-m", "Toy") is None
