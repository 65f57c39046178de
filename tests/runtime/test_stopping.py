"""Signals that ask a run to stop: noticed at once, and fatal the second time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from adaptstilts.errors import Interrupted
from adaptstilts.runtime.stopping import StopRequest, stop_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_asks_for_a_stop_and_is_announced(number: signal.Signals) -> None:
    announced: list[bool] = []
    heard = threading.Event()

    def notify(at_once: bool) -> None:
        announced.append(at_once)
        heard.set()

    before = signal.getsignal(number)
    with stop_signals(notify) as stop:
        assert not stop()
        os.kill(os.getpid(), number)
        assert heard.wait(10)
        assert stop()
    assert announced == [False]
    assert signal.getsignal(number) is before


def test_what_is_not_worth_saving_is_interrupted_at_once() -> None:
    reached = []

    def interrupt(stop: StopRequest) -> None:
        with stop.interruptible():
            reached.append("begun")
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(10)
            reached.append("gone on")

    with stop_signals(lambda at_once: None) as stop:
        with pytest.raises(Interrupted):
            interrupt(stop)
        with pytest.raises(Interrupted):  # and not even begun once a stop is asked for
            interrupt(stop)
    assert reached == ["begun"]


def test_other_threads_have_no_signals() -> None:
    answers = []

    def ask() -> None:
        with stop_signals(lambda at_once: None) as stop:
            answers.append(stop())

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert answers == [False]


def test_the_second_signal_ends_the_process_whatever_it_does() -> None:
    program = (
        "import os, signal, time\n"
        "from adaptstilts.runtime.stopping import stop_signals\n"
        "with stop_signals(lambda at_once: print(at_once, flush=True)) as stop:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    while not stop(): pass\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(60)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "False\nTrue\n", "")
