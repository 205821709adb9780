"""Signals: the first is recorded, the second has its usual effect."""

import os
import signal
import threading

import pytest

from ssar_jax.runs.interruption import Interruption, watch_signals

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def heard():
    """Records the signals that reach the handlers of the process, and restores these."""
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
    """Python handles signals in the main thread only."""

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


def test_afterwards_the_handlers_are_restored(heard):
    handlers = [signal.getsignal(number) for number in SIGNALS]
    with pytest.raises(KeyError), watch_signals():
        raise KeyError
    assert [signal.getsignal(number) for number in SIGNALS] == handlers


def test_a_stopped_run_says_how_to_resume(capsys):
    interruption = Interruption()
    interruption.signal_number = signal.SIGTERM
    assert interruption.announce("update 1,000") == 143
    assert capsys.readouterr().out == "stopped at update 1,000; rerun the command with --resume to continue\n"


def test_the_first_signal_says_what_is_still_done(capfd, heard):
    with watch_signals() as interruption:
        interruption.activity = "finishing the updates up to 1,000, which are then saved"
        assert not interruption.requested()
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruption.requested()
    message = (
        "SIGTERM: finishing the updates up to 1,000, which are then saved; a second signal ends the process at once"
    )
    assert capfd.readouterr().err.strip() == message
