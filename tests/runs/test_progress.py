"""Progress: the steps at which a run stops, plain lines without a terminal, and one overwritten line on a terminal."""

import pytest

from ssar_jax.runs import progress
from ssar_jax.runs.progress import Progress, stops


@pytest.fixture
def clock(monkeypatch):
    """Returns a list whose last entry is the time."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[-1])
    return now


def test_stops_are_the_multiples_of_all_intervals_and_the_end():
    assert list(stops(0, 2000, 1000, 5000)) == [1000, 2000]
    assert list(stops(250, 1250, 1000, 500)) == [500, 1000, 1250]


def test_without_a_terminal_lines_come_every_ten_seconds(clock, capsys):
    shown = Progress(4000, 1)
    shown.score = ", score 12.3"
    shown.show(1000, 4.0, 1000)
    assert capsys.readouterr().out == ""  # no ten seconds since the start
    clock.append(111.0)
    shown.show(2000, 4.0, 1000)  # 2000 left at 250 per second are 8 s
    assert capsys.readouterr().out == "2,000 of 4,000 updates, 250 updates/s, 0:00:08 left, score 12.3\n"
    clock.append(112.0)
    shown.show(3000, 4.0, 1000)
    assert capsys.readouterr().out == ""
    shown.show(4000, 4.0, 1000)  # the last line is always printed
    assert capsys.readouterr().out == "4,000 of 4,000 updates, 250 updates/s, 0:00:00 left, score 12.3\n"
    shown.close()
    assert capsys.readouterr().out == ""


def test_rates_are_smoothed_and_long_times_have_hours(clock, capsys):
    """0.8 * 10 ms + 0.2 * 5 ms = 9 ms, 111 updates/s; 1,000,000 - 200 updates take 8998.2 s = 2:29:58."""
    shown = Progress(1_000_000, 5)
    shown.show(100, 1.0, 100)
    clock.append(200.0)
    shown.show(200, 0.5, 100)
    assert capsys.readouterr().out == "200 of 1,000,000 updates, 111 updates/s x 5 seeds, 2:29:58 left\n"


def test_on_a_terminal_the_line_is_overwritten(clock, capsys, monkeypatch):
    monkeypatch.setattr(progress.sys.stdout, "isatty", lambda: True, raising=False)
    shown = Progress(20, 1)
    shown.show(10, 1.0, 10)
    shown.line("update 10: score 1.0")
    shown.show(20, 1.0, 10)
    shown.close()
    assert capsys.readouterr().out == (
        "\r\033[K10 of 20 updates, 10 updates/s, 0:00:01 left"
        "\r\033[Kupdate 10: score 1.0\n"
        "\r\033[K20 of 20 updates, 10 updates/s, 0:00:00 left\n"
    )
