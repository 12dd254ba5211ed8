"""Being asked to stop: noted once, obeyed at once the second time, and never without giving the handlers back."""

import os
import pickle
import signal
import threading
from pathlib import Path

import pytest

from cnncourse.training.signals import SIGNALS, Interrupted, exit_code, stop_requested


@pytest.fixture(autouse=True)
def own_handlers():
    """Start from a known state: a program started in the background is told to ignore SIGINT."""
    before = [signal.signal(signum, signal.default_int_handler) for signum in SIGNALS]
    yield
    assert [signal.getsignal(signum) for signum in SIGNALS] == [signal.default_int_handler] * 2
    for signum, handler in zip(SIGNALS, before, strict=True):
        signal.signal(signum, handler)


def send(signum):
    os.kill(os.getpid(), signum)


@pytest.mark.parametrize("signum", SIGNALS)
def test_the_first_signal_is_noted(signum):
    with stop_requested() as stop:
        assert stop.signal is None
        assert not stop
        send(signum)
        assert stop.signal == signum
        assert stop


@pytest.mark.parametrize("first", SIGNALS)
def test_ctrl_c_after_a_request_stops_at_once(first):
    with stop_requested() as stop:
        send(first)
        assert stop.signal == first
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)
        assert stop.signal == first


def test_a_repeated_sigterm_is_no_reason_to_hurry():
    with stop_requested() as stop:
        send(signal.SIGINT)
        send(signal.SIGTERM)
        send(signal.SIGTERM)
        assert stop.signal == signal.SIGINT


def test_errors_come_out():
    def fail():
        with stop_requested():
            raise LookupError("of the run's own")

    with pytest.raises(LookupError, match="of the run's own"):
        fail()


def test_nested_requests_are_apart():
    with stop_requested() as outer:
        with stop_requested() as inner:
            send(signal.SIGTERM)
        assert inner.signal == signal.SIGTERM
        assert outer.signal is None
        send(signal.SIGTERM)
        assert outer.signal == signal.SIGTERM


def test_an_ignored_signal_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with stop_requested() as stop:
        send(signal.SIGINT)
        assert stop.signal is None
        send(signal.SIGTERM)
        assert stop.signal == signal.SIGTERM
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_outside_the_main_thread_nothing_is_installed():
    seen = []

    def work():
        with stop_requested() as stop:
            seen.append((stop.signal, signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(None, signal.default_int_handler)]


def test_exit_codes_are_the_shells():
    assert (exit_code(signal.SIGTERM), exit_code(signal.SIGINT)) == (143, 130)
    assert Interrupted(signal.SIGTERM).exit_code == 143


def test_the_message_names_signal_and_file():
    assert str(Interrupted(15)) == "stopped by SIGTERM; nothing was saved"
    stopped = Interrupted(2, Path("runs/step-00000007.safetensors"))
    assert str(stopped) == "stopped by SIGINT; the run goes on from runs/step-00000007.safetensors"
    again = pickle.loads(pickle.dumps(stopped))
    assert (again.signum, again.checkpoint, str(again)) == (2, stopped.checkpoint, str(stopped))
