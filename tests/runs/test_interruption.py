"""Signals: the first is a question, the second acts as it always did."""

import os
import signal
import threading

import pytest

from ssar_jax.runs.interruption import watch_signals

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def heard():
    """Catches what reaches the process itself, and restores its handlers."""
    heard = []
    previous = {number: signal.signal(number, lambda number, frame: heard.append(number)) for number in SIGNALS}
    yield heard
    for number, handler in previous.items():
        signal.signal(number, handler)


def test_without_a_signal_the_status_is_zero(heard):
    with watch_signals() as interruption:
        assert interruption.signal_number is None
        assert interruption.exit_status == 0


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_is_noted_and_the_second_goes_through(heard, number, status):
    with watch_signals() as interruption:
        os.kill(os.getpid(), number)
        assert (interruption.signal_number, interruption.exit_status) == (number, status)
        assert heard == []
        os.kill(os.getpid(), number)
        assert heard == [number]


def test_a_signal_of_the_other_kind_goes_through_too(heard):
    with watch_signals() as interruption:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
    assert heard == [signal.SIGINT]
    assert interruption.exit_status == 143


def test_another_thread_hears_nothing(heard):
    """Python lets the main thread alone handle signals."""

    def watch():
        with watch_signals() as interruption:
            os.kill(os.getpid(), signal.SIGINT)
            statuses.append(interruption.exit_status)

    statuses = []
    thread = threading.Thread(target=watch)
    thread.start()
    thread.join()
    assert statuses == [0]
    assert heard == [signal.SIGINT]


def test_afterwards_signals_are_the_process_own_again(heard):
    handlers = [signal.getsignal(number) for number in SIGNALS]
    with pytest.raises(KeyError), watch_signals():
        raise KeyError
    assert [signal.getsignal(number) for number in SIGNALS] == handlers
